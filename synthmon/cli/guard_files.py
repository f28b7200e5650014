"""The files of a guardrail: the probe's patch, the rules with their test, and a runbook to be filled in."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from synthmon.cli.output import stop
from synthmon.core.finding.backtest import Backtest
from synthmon.core.finding.guardrail import Guard
from synthmon.core.journey import Journey
from synthmon.core.run import Record
from synthmon.core.slots import interval_s
from synthmon.language.load import Loaded, load_text
from synthmon.language.patching import Unpatchable, read_text, with_clause
from synthmon.language.yaml_text import lines
from synthmon.metrics.guard_rules import guard_rules

RULES, TEST, PATCH, RUNBOOK = "rules.yml", "rules_test.yml", "probe.patch", "RUNBOOK.md"


@dataclass(frozen=True, slots=True)
class Made:
    """File name → text; and the probe with the clause in it, None when it has it already."""

    files: dict[str, str]
    probe: str | None


def guard_files(loaded: Loaded, journey: Journey, found: Guard, bad: Record, tested: Backtest, new: bool) -> Made:
    """The files for a guard; `new`: the probe does not have its clause yet. Ends the command where that cannot be."""
    file, probe, files = journey.place.file, None, {}
    if new:
        note = f"Guardrail: broken in run {bad.run_id[:12]} of {bad.slot:%Y-%m-%d}, kept in {tested.passed} good runs."
        try:
            text = read_text(file)
            probe = with_clause(file, text, journey.base_name, found.clause, found.events, note)
        except Unpatchable as error:
            stop(str(error))
        _check(loaded, file, probe)
        old, fresh = text.splitlines(keepends=True), probe.splitlines(keepends=True)
        files[PATCH] = "".join(difflib.unified_diff(old, fresh, f"a/{Path(file).name}", f"b/{Path(file).name}"))
    every_s = interval_s(journey.schedule, datetime.now(UTC))
    made = guard_rules(journey, found.clause.text, every_s, RULES, RUNBOOK)
    files[RULES] = "\n".join(lines(made.rules)) + "\n"
    files[TEST] = "# promtool test rules " + TEST + "\n" + "\n".join(lines(made.test)) + "\n"
    files[RUNBOOK] = _runbook(journey, found, bad, tested)
    return Made(files, probe)


def _check(loaded: Loaded, file: str, text: str) -> None:
    """The changed probe must load; what was wrong before is not this command's."""
    errors = load_text(text, file, loaded.settings).errors
    if errors:
        said = "; ".join(f"{problem.place} {problem.fault}" for problem in errors[:3])
        stop(f"the probe with the new clause would not load, so nothing was written: {said}")


def _runbook(journey: Journey, found: Guard, bad: Record, tested: Backtest) -> str:
    who = journey.owner or "nobody is named as `owner` in the probe"
    judged = "\n".join(f"- {evidence.step} of {evidence.clock}: {evidence.status}" for evidence in tested.bad.records)
    return f"""# {journey.title or journey.name}: {found.clause.text}

**What it means.** {found.clause.word}: {", ".join(found.clause.events)}. It was written after run
`{bad.run_id}` ({bad.slot:%Y-%m-%d %H:%M} UTC): {tested.bad.said}.

{judged}

{tested.passed} good runs before it kept the promise{f", {tested.unknown} could not be told" if tested.unknown else ""}.

**Owner.** {who}.

**When it is violated.**

1. `synthmon history {journey.name} --failed` names the run.
2. `synthmon investigate RUN` shows its events, `synthmon compare RUN` where it left the usual order.
3. `synthmon suspects {journey.name}` says what else goes along with it.

**When it is blind.** `synthmon show RUN` of a recent run says which source could not tell, or which clocks are too far
apart; if the clause is gone, look at the last change of the probe.

**What to do about it.** To be written by those who know the system: how to stop the damage, and whom to call.
"""
