"""What a run would send, without sending it: `synthmon run --dry-run`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from synthmon.core import secrets
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Journey, Step
from synthmon.core.owed import described
from synthmon.core.run import Original, Run, run_names
from synthmon.identities.invent import invent
from synthmon.identities.pools import read_pool
from synthmon.language.settings import Invented, Settings

_ID = "0123456789abcdef0123456789abcdef"  # the plan is the same each time


def draw_plan(journey: Journey, settings: Settings, seed_of: str = "", again: Original | None = None) -> RenderableType:
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
    lines: list[RenderableType] = [
        Text(f"{journey.name}  {journey.title}", "bold"),
        Text(f"  system {journey.system}{base}"),
    ]
    for step in journey.flat:
        lines.extend(_step(step, names))
    return Group(*lines)


def _step(step: Step, names: dict[str, Any]) -> list[Text]:
    if step.spec is None:
        return [Text(f"  {step.id}  pause {step.pause_s:g}s")]
    lines = [Text.assemble("  ", (step.id, "bold"), "  ", _request(step, names))]
    if step.spec.effect:
        lines[0].append("  writes", "yellow")
    if step.within:
        after = f" after {step.within.after}" if step.within.after else ""
        lines.append(Text(f"      asked again until it holds, for {step.within.limit_s:g}s{after}", "dim"))
    lines.extend(Text(f"      expects {check.expression.text}", "dim") for check in step.expect)
    lines.extend(Text(f"      saves {step.id}.{name} = {kept.text}", "dim") for name, kept in step.save)
    if step.undo:
        undone = described(step.undo.spec, names, "") or step.undo.spec.kind
        lines.append(Text(f"      taken back by {undone}, at the latest after {step.undo.ttl_s:g}s", "dim"))
    elif step.leaves:
        lines.append(Text(f"      leaves {step.leaves}", "dim"))
    return lines


def _request(step: Step, names: dict[str, Any]) -> str:
    assert step.spec is not None
    try:
        request = step.spec.render(Scope(names))
    except ExpressionError:
        unknown = sorted(step.spec.refs - names.keys())
        return f"{step.spec.kind}, with {', '.join(unknown)} from steps before"
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
        names[f"vars.{name}"] = template.render(Scope(dict(names)))
    return names | dict(run.again.names) if run.again is not None else names
