"""The faults as a table: who turned red, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.acceptance.target_faults.bench import Result, why
from tests.acceptance.target_faults.faults import Fault

_WIDTH = 160


def table(faults: Sequence[Fault], results: Mapping[str, Result]) -> str:
    """One paragraph a fault."""
    lines: list[str] = []
    for fault in faults:
        result = results[fault.name]
        lines.append(f"{fault.name}: {fault.does}  red {len(result.red & fault.meets)} of {len(fault.meets)}")
        for name in sorted(result.red):
            lines.append(f"    {name}: {_short(why(result.records[name]))}")
    return "\n".join(lines)


def _short(text: str) -> str:
    text = text.replace("\n", " ")
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
