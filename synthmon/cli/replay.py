"""`synthmon replay`: one of synthmon's own runs again, on purpose."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from synthmon.cli.options import Afar, Json, SettingsFiles, Store, Token
from synthmon.cli.output import FAILED, INVALID, OK, UNKNOWN, people, print_json, say_problems, screen, stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synthmon.core.finding.order import Finding
    from synthmon.core.replaying import Plan, Turn, Wish
    from synthmon.core.run import Record
    from synthmon.core.timeline import Moment
    from synthmon.language.load import Loaded
    from synthmon.language.settings import Settings


def replay(
    run: Annotated[str, typer.Argument(help="A run id, or the beginning of one.", metavar="RUN")],
    yes: Annotated[bool, typer.Option("--yes", help="Send it; without, only the plan is printed.")] = False,
    same_keys: Annotated[
        bool, typer.Option("--same-keys", help="Send its writes with their old idempotency keys: no second effect.")
    ] = False,
    order: Annotated[str, typer.Option("--order", help="Force an order, and its reverse.", metavar="'b<a'")] = "",
    times: Annotated[
        int, typer.Option("--times", min=0, max=20, help="How often; with --order, each order. Default: 1, or 5.")
    ] = 0,
    url: Afar = "",
    token: Token = "",
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Run a stored run again from its inputs and its seed; exit as `run`, with --order 0 confirmed, 1 not, 2 unknown.

    Its systems must say `replay: allow`. Nothing but synthmon's own runs is ever sent again. A daemon that has the
    address of `hooks:` has to make the replays that await a call or OTLP: name it with --url.
    """
    if url:
        raise typer.Exit(_afar(url, token, run, same_keys, order, times, yes, as_json))
    from synthmon.core.finding.order import CannotForce
    from synthmon.core.replaying import Refused, Wish
    from synthmon.language.load import load
    from synthmon.runtime.logs import log_words
    from synthmon.store.failures import StoreUnusable

    log_words(sys.stderr)
    loaded = load([folder for folder in ("probes", ".") if Path(folder).is_dir()][:1], settings or [])
    broken = [problem for problem in loaded.errors if problem.place.file in loaded.settings.files]
    if broken:
        say_problems(broken)
        raise typer.Exit(INVALID)
    url = store or loaded.settings.store
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///").partition("?")[0]).exists():
        stop(f"there is no history at {url}; name another with --store or --settings")
    try:
        code = asyncio.run(_replay(Wish(run, same_keys, order, times), yes, loaded, url, as_json))
    except Refused as refused:
        stop(str(refused))
    except CannotForce as why:
        stop(f"cannot force {order}: {why}", UNKNOWN)
    except (OSError, StoreUnusable) as error:
        stop(f"the store cannot be used: {error}")
    raise typer.Exit(code)


async def _replay(wish: Wish, yes: bool, loaded: Loaded, store: str, as_json: bool) -> int:
    from synthmon.cli.plan import draw_lines
    from synthmon.runtime.house import open_house
    from synthmon.runtime.replay import finding_of
    from synthmon.runtime.replay_plan import prepare
    from synthmon.runtime.replay_words import plan_words, replay_lines

    async with open_house(store) as house:
        plan = await prepare(wish, loaded, house)
    if not as_json:
        screen().print(draw_lines(replay_lines(plan, loaded.settings)))
    if not yes:
        return _only_planned(plan_words(plan), as_json)
    made = await _make(plan, loaded.settings, store, as_json)
    told = [(turn.hold.text if turn.hold else None, record) for turn, record in made]
    return _end(plan_words(plan), told, finding_of(plan, made), as_json)


async def _make(plan: Plan, settings: Settings, store: str, as_json: bool) -> list[tuple[Turn, Record]]:
    """The runs of a plan; drawn as they go unless everything is told as JSON in the end."""
    from synthmon.cli.live import Stage
    from synthmon.runtime.replay import replay as make

    if as_json:
        return [one async for one in make(plan, settings, store)]
    made = []
    with Stage(people()) as stage:
        async for turn, record in make(plan, settings, store, stage.show):
            stage.clear()
            _draw(turn.hold.text if turn.hold else None, record)
            made.append((turn, record))
    return made


def _afar(url: str, token: str, run: str, same_keys: bool, order: str, times: int, yes: bool, as_json: bool) -> int:
    """The same, made by the daemon at `url`."""
    from synthmon.core.finding.order import Finding
    from synthmon.core.replaying import Refused, Wish
    from synthmon.runtime.remote import Daemon, Refusal
    from synthmon.runtime.remote_runs import plan_afar, replay_afar

    daemon, made, finding = Daemon(url, token), [], None
    try:
        plan = plan_afar(daemon, Wish(run, same_keys, order, times), yes)
        if not as_json:
            for at, line in enumerate(plan["lines"]):
                screen().print(Text(line, "" if at else "bold"))
        if not yes:
            return _only_planned(plan, as_json)
        for one in replay_afar(daemon, plan["replay_of"]):
            if isinstance(one, Finding):
                finding = one
                continue
            made.append((one.order, one.record))
            if not as_json:
                _draw(one.order, one.record, one.moments)
    except Refusal as refusal:
        answered = refusal.status in (403, 404, 409, 422) and refusal.title != "Cannot force"
        stop(str(refusal), INVALID if answered else UNKNOWN)
    except Refused as refused:
        stop(str(refused))
    except KeyboardInterrupt:
        stop(f"the daemon goes on with it: see {url.rstrip('/')}/runs/{run}", UNKNOWN)
    return _end(plan, made, finding, as_json)


def _only_planned(plan: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        print_json({"plan": plan})
    people().print("nothing was sent: add --yes to send it", style="bold")
    return INVALID


def _draw(order: str | None, record: Record, moments: Sequence[Moment] = ()) -> None:
    from synthmon.cli.waterfall import draw, headline

    if order is None:
        screen().print(draw(record, moments=moments))
    else:
        screen().print(Text.assemble(headline(record), (f"  {order}", "dim")), soft_wrap=True)


def _end(
    plan: Mapping[str, Any], made: Sequence[tuple[str | None, Record]], finding: Finding | None, as_json: bool
) -> int:
    """Tell what it came to; the exit code."""
    if as_json:
        runs = [{"order": order, "record": record} for order, record in made]
        print_json({"plan": plan, "runs": runs, "finding": finding})
    elif finding is not None:
        _show(finding)
    if finding is None:
        from synthmon.cli.run import code_of

        return code_of([record for _, record in made])
    return {"confirmed": OK, "not confirmed": FAILED}.get(finding.verdict, UNKNOWN)


def _show(finding: Finding) -> None:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("order", "bad", "good"):
        table.add_column(column)
    table.add_row(f"{finding.order}  forced", str(finding.forced_bad), str(finding.forced_good))
    table.add_row("the reverse, forced", str(finding.reversed_bad), str(finding.reversed_good))
    screen().print(table)
    if finding.verdict == "cannot force":
        screen().print(Text(f"cannot force: {finding.said}", "magenta"), soft_wrap=True)
        return
    style = "red" if finding.verdict == "confirmed" else "yellow"
    p = f"p = {finding.p:.4f} (Fisher's exact test, one-sided: does this order make it worse?)"
    screen().print(Text.assemble((finding.verdict, f"bold {style}"), f": {p}"), soft_wrap=True)
