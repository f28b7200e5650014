"""`synthmon debts`: what runs left behind, and what becomes of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import FAILED, OK, people, print_json, say_problems, screen, stop

if TYPE_CHECKING:
    from synthmon.runtime.arrears import Owing


def debts(
    settings: SettingsFiles = None,
    store: Store = "",
    pay: Annotated[bool, typer.Option("--pay", help="Take back now what can be; not while a daemon runs.")] = False,
    forget: Annotated[str, typer.Option("--forget", help="Do not take this one back any more.", metavar="ID")] = "",
    because: Annotated[str, typer.Option("--because", help="Why, for the log; with --forget.", metavar="TEXT")] = "",
    as_json: Json = False,
) -> None:
    """List what runs created and is not yet taken back for certain; exit 1 if --pay leaves some."""
    from synthmon.language.load import load
    from synthmon.runtime.debtor import NotNow, forget_debt, list_debts, pay_debts
    from synthmon.runtime.logs import log_words
    from synthmon.store.failures import StoreUnusable

    if pay and forget:
        stop("--pay and --forget are two different ends of a debt: give one")
    if bool(forget) != bool(because.strip()):
        stop("--forget needs --because, and --because belongs to --forget: say which debt, and why it may stay")
    log_words(sys.stderr)
    loaded = load((), settings or ())
    if loaded.errors:
        say_problems(loaded.problems)
    url = store or loaded.settings.store
    try:
        if forget:
            gone = asyncio.run(forget_debt(loaded.settings, url, forget, _who(), because.strip()))
            people().print(Text(f"forgotten: {gone.debt.id}. Nobody takes it back: {gone.debt.by_hand}"))
            return
        if pay:
            done = asyncio.run(pay_debts(loaded.settings, url))
            _show(done.left, as_json)
            people().print(f"{done.paid} paid, {len(done.left)} left")
            raise typer.Exit(FAILED if done.left else OK)
        _show(asyncio.run(list_debts(loaded.settings, url)), as_json)
    except NotNow as error:
        stop(str(error))
    except (OSError, StoreUnusable) as error:
        stop(f"the journal cannot be used: {error}")


def _show(owed: Sequence[Owing], as_json: bool) -> None:
    now = datetime.now(UTC)
    if as_json:
        print_json([owing.told(now) for owing in owed])
        return
    if not owed:
        people().print("no open debts: everything that runs created was taken back")
    for owing in owed:
        screen().print(_lines(owing, now), soft_wrap=True)


def _lines(owing: Owing, now: datetime) -> Text:
    from synthmon.web.words import age, clock

    debt, tried = owing.debt, owing.tried
    lines = Text.assemble(
        (debt.id, "bold"),
        f"\n  {debt.journey}, step {debt.path}, in {debt.system}, {age(debt.since, now)} old, tag {debt.tag}",
        f"\n  {tried.times} tries" if tried.times else "\n  not tried yet",
        f", the last at {clock(tried.at)}: {tried.reason}" if tried.at else "",
        f"; the next at {clock(owing.next_try)}" if owing.next_try else "",
    )
    return lines.append(f"\n  by hand: {debt.by_hand or 'its journey cannot be read any more'}", "dim")


def _who() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        import os

        return f"uid {os.getuid()}"
