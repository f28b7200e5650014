"""The files of a guardrail: the probe's patch, the rules with their test, and a runbook to be filled in."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import unified_diff
from errno import EACCES
from pathlib import Path
from stat import S_IMODE
from tempfile import NamedTemporaryFile

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
    """File name → text; and the probe as it is and with the clause in it, None when it has it already."""

    files: dict[str, str]
    probe: tuple[str, str] | None


def guard_files(loaded: Loaded, journey: Journey, found: Guard, bad: Record, tested: Backtest, new: bool) -> Made:
    """The files for a guard; `new`: the probe does not have its clause yet. Ends the command where that cannot be."""
    file, files, probe = journey.place.file, dict[str, str](), None
    if new:
        note = f"Guardrail: broken in run {bad.run_id[:12]} of {bad.slot:%Y-%m-%d}, kept in {tested.passed} good runs."
        try:
            text = read_text(file)
            fresh = with_clause(file, text, journey.base_name, found.clause, found.events, note)
        except Unpatchable as error:
            stop(f"{error}\nThen --clause {shlex.quote(found.clause.text)} writes its alerts. Nothing was written.")
        _check(loaded, file, fresh)
        files[PATCH], probe = _patch(Path(file).name, text, fresh), (text, fresh)
    every_s = interval_s(journey.schedule, datetime.now(UTC))
    made = guard_rules(journey, found.clause.text, every_s, RULES, RUNBOOK)
    files[RULES] = "\n".join(lines(made.rules)) + "\n"
    files[TEST] = "# promtool test rules " + TEST + "\n" + "\n".join(lines(made.test)) + "\n"
    files[RUNBOOK] = _runbook(journey, found, bad, tested)
    return Made(files, probe)


def write_all(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files; a runbook that is there already may have been filled in, so it stays. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if name != RUNBOOK or not (folder / name).exists():
            put_in_place(folder / name, text.encode())
    return [str(folder / name) for name in files]


def change_probe(file: str, probe: tuple[str, str]) -> None:
    """Put the new text of a probe in the place of the old one. Raises `OSError`: then the file is as it was."""
    path = Path(file).resolve()  # a link stays one
    old, fresh = (text.encode() for text in probe)
    if path.read_bytes() != old:
        raise OSError("it was changed meanwhile")
    if not os.access(path, os.W_OK):
        raise PermissionError(EACCES, os.strerror(EACCES))
    put_in_place(path, fresh)


def put_in_place(path: Path, content: bytes) -> None:
    """All of it or nothing, whatever happens; who may read and write it stays as it was. Raises `OSError`."""
    with NamedTemporaryFile(dir=path.parent, prefix=".synthmon-", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
            if path.exists():
                before = path.stat()
                with suppress(PermissionError):  # only root may give a file away
                    os.fchown(new.fileno(), before.st_uid, before.st_gid)
                os.fchmod(new.fileno(), S_IMODE(before.st_mode))
            else:
                os.fchmod(new.fileno(), 0o644)
            os.replace(new.name, path)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise


def _patch(name: str, old: str, new: str) -> str:
    """As `diff -u` writes it: lines end with a line feed alone, and a last one without is marked."""
    ends = "\t" if " " in name else ""  # else `patch` takes the first word for the name
    made = unified_diff(_lines(old), _lines(new), f"a/{name}{ends}", f"b/{name}{ends}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made)


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


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
