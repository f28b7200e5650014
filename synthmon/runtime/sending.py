"""What a run would send, without sending it, line by line: for `synthmon run --dry-run` and for a replay's plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from synthmon.core import secrets
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Journey, Step
from synthmon.core.lengths import written
from synthmon.core.run import Original, Run, run_names
from synthmon.core.undo.owed import described
from synthmon.identities.invent import invent
from synthmon.identities.pools import read_pool
from synthmon.language.settings import Invented, Settings

Line = tuple[tuple[str, str], ...]
"""Pieces of text, each with how a terminal sets it: `bold`, `dim`, a colour, or nothing."""

_ID = "0123456789abcdef0123456789abcdef"  # the plan is the same each time


def plan_lines(
    journey: Journey, settings: Settings, seed_of: str = "", again: Original | None = None
) -> Iterator[Line]:
    """Every step with its request as far as its values are known before anything is sent, its checks, its undo.

    For a replay `seed_of` is the run whose invented values it has, `again` the one that it sends once more.
    """
    now = datetime.now(UTC)
    run = Run(
        _ID,
        journey.name,
        journey.digest,
        now,
        now,
        settings.location,
        instance=settings.instance,
        seed_of=seed_of,
        again=again,
    )
    names = _names(journey, settings, run)
    system = settings.systems.get(journey.system)
    base = f"  {system.base_at('')}" if system else ""
    yield _line(f"{journey.name}  {journey.title}", "bold")
    yield _line(f"  system {journey.system}{base}")
    for step in journey.flat:
        yield from _step(step, names)


def _line(text: str, style: str = "") -> Line:
    return ((text, style),)


def _step(step: Step, names: dict[str, Any]) -> Iterator[Line]:
    if step.spec is None:
        yield _line(f"  {step.id}  pause {step.pause_s:g}s")
        return
    writes = (("  writes", "yellow"),) if step.spec.effect else ()
    yield (("  ", ""), (step.id, "bold"), ("  ", ""), (_request(step, names), ""), *writes)
    if step.within:
        after = f" after {step.within.after}" if step.within.after else ""
        yield _line(f"      asked again until it holds, for {step.within.limit_s:g}s{after}", "dim")
    for check in step.expect:
        yield _line(f"      expects {check.expression.text}", "dim")
    for name, kept in step.save:
        yield _line(f"      saves {step.id}.{name} = {kept.text}", "dim")
    if step.undo:
        undone = described(step.undo.spec, names, "") or step.undo.spec.kind
        yield _line(f"      taken back by {undone}, at the latest after {written(step.undo.ttl_s)}", "dim")
    elif step.leaves:
        yield _line(f"      leaves {step.leaves}", "dim")


def _request(step: Step, names: dict[str, Any]) -> str:
    assert step.spec is not None
    try:
        request = step.spec.render(Scope(names))
    except ExpressionError:
        unknown = ", ".join(sorted(step.spec.refs - names.keys()))
        said = secrets.masked(described(step.spec, names, "")) or step.spec.kind
        return f"{said}, with {unknown} from steps before"
    return secrets.masked(step.spec.describe(request, None))


def _names(journey: Journey, settings: Settings, run: Run) -> dict[str, Any]:
    names: dict[str, Any] = run_names(run) | {f"case.{name}": value for name, value in journey.case.items()}
    names |= {f"secret.{name}": secrets.seal(f"secret.{name}") for name in settings.secrets}
    match settings.identities.get(journey.identity):
        case Invented(fields, locale, domain):
            who = run.again.run if run.again is not None else run
            person = invent(fields, who.id, locale, domain, who.namespace, who.seed_of)
            names |= {f"identity.{name}": value for name, value in person.items()}
        case None:
            pass
        case pool:
            first = read_pool(journey.identity, pool.accounts, sealed=pool.sealed).accounts[0]
            names |= {f"identity.{name}": value for name, value in first.fields.items()}
    for name, template in journey.vars:
        with suppress(ExpressionError):  # the address of a hook, say, is not known before it is opened
            names[f"vars.{name}"] = template.render(Scope(dict(names)))
    return names | dict(run.again.names) if run.again is not None else names
