"""What was measured, as one table: the figure, what stands beside it, the target, and whether it is reached."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


@dataclass(frozen=True, slots=True)
class Beside:
    """A peer or a floor: the same work, measured in the same rounds. `value` None: `name` says why not."""

    name: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. It should be at most `target`, or at least if `least` is true; `value` None: `note` says why not."""

    what: str
    value: float | None
    unit: str
    target: float | None = None
    least: bool = False
    beside: Sequence[Beside] = ()
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """None without a target or a figure."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.least else self.value <= self.target


def median(values: Sequence[float | None]) -> float | None:
    """None if there is not one value."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which this share of the values lies; None if there are none."""
    return sorted(values)[int(share * (len(values) - 1))] if values else None


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = ["| what | figure | beside it | ratio | target | reached |", "| --- | ---: | --- | ---: | ---: | --- |"]
    for row in rows:
        beside = "; ".join(b.name if b.value is None else f"{b.name} {_number(b.value)}" for b in row.beside)
        ratios = [f"{row.value / b.value:.2g}" for b in row.beside if row.value is not None and b.value]
        figure = f"{_number(row.value)} {row.unit}".strip() if row.value is not None else "–"
        limit = f"{'≥' if row.least else '≤'} {_number(row.target)}" if row.target is not None else ""
        reached = {True: "yes", False: "**no**", None: ""}[row.reached]
        what = f"{row.what} ({row.note})" if row.note else row.what
        lines.append(f"| {what} | {figure} | {beside} | {'; '.join(ratios)} | {limit} | {reached} |")
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> str:
    """One sentence about the targets; what could not be measured is not reached."""
    aimed = [row for row in rows if row.target is not None]
    fallen = [row.what for row in aimed if not row.reached]
    if not fallen:
        return f"All {len(aimed)} targets are reached."
    return f"{len(aimed) - len(fallen)} of {len(aimed)} targets are reached; missed: {'; '.join(fallen)}."


def machine() -> str:
    """Where and when."""
    model = "unknown processor"
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    loop = "uvloop installed" if find_spec("uvloop") else "no uvloop"
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {cores} cores ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {loop}; load before: {os.getloadavg()[0]:.1f}."
    )


def write(readme: Path, text: str) -> None:
    """Put the text between the marks. Raises `ValueError` when they are not there."""
    whole = readme.read_text()
    new, found = re.subn(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}\n{END}", whole, count=1, flags=re.DOTALL)
    if not found:
        raise ValueError(
            f"{readme} has no place between {BEGIN} and {END}: put these two lines where the table belongs."
        )
    readme.write_text(new)


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return ()
