"""How one series is written as a line, in the Prometheus text format 0.0.4 and in OpenMetrics 1.0.

Both read the same sample lines; only the head of a family and the exemplars differ.
Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and the OpenMetrics 1.0.0 specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from types import MappingProxyType

from synthmon.core.families import OTHER, Family, Form
from synthmon.core.samples import Constant, Labels

_SUFFIX = {Form.COUNTER: "_total", Form.INFO: "_info"}
_EXEMPLAR = re.compile(rb' # \{run_id="[^"]*"\} \S+ \S+$', re.MULTILINE)

Exemplar = tuple[str, float, float]
"""A run id, the value that it gave, and when (Unix seconds)."""

_NO_EXEMPLARS: Mapping[Labels, Exemplar] = MappingProxyType({})


class Tally:
    """A histogram of one series: how many values fell under each bound and beyond, and their sum."""

    __slots__ = ("bounds", "counts", "exemplar", "exemplar_at", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.exemplar: Exemplar | None = None
        self.exemplar_at = 0

    def add(self, value: float, exemplar: Exemplar | None) -> None:
        """Count one value."""
        at = next((i for i, bound in enumerate(self.bounds) if value <= bound), len(self.bounds))
        self.counts[at] += 1
        self.total += value
        self.exemplar, self.exemplar_at = exemplar, at


class Numbers:
    """The counters or gauges of one family: label values → number, and the last run that moved each."""

    __slots__ = ("exemplars", "values")

    def __init__(self) -> None:
        self.values: dict[Labels, float] = {}
        self.exemplars: dict[Labels, Exemplar] | None = None

    def add(self, labels: Labels, by: float, most: int, exemplar: Exemplar | None) -> None:
        """Grow a counter; where `most` (0: no bound) label values are there already, a new one counts as `other`."""
        if labels not in self.values and most and len(self.values) >= most - 1:
            labels = (OTHER,) * len(labels)
        self.values[labels] = self.values.get(labels, 0) + by
        if exemplar is not None:
            self.exemplars = self.exemplars if self.exemplars is not None else {}
            self.exemplars[labels] = exemplar


Cell = Numbers | dict[Labels, Tally]
"""What one family holds of one journey in one location."""


def head(family: Family, openmetrics: bool) -> str:
    """HELP, TYPE and UNIT."""
    if not openmetrics:
        name = family.name + _SUFFIX.get(family.form, "")
        form = Form.GAUGE if family.form is Form.INFO else family.form
        return f"# HELP {name} {family.help}\n# TYPE {name} {form}\n"
    unit = f"# UNIT {family.name} {family.unit}\n" if family.unit else ""
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.form}\n{unit}"


def common_labels(name: str, case: str, location: str = "") -> str:
    """The labels that every sample of a journey has; empty ones are left out, which is the same."""
    pairs = (("journey", name), ("case", case), ("location", location))
    return ",".join(f'{key}="{escaped(text)}"' for key, text in pairs if text)


def constant_line(common: str, sample: Constant) -> str:
    """One line of what a journey is."""
    own = "".join(f',{key}="{escaped(text)}"' for key, text in sample.labels)
    suffix = _SUFFIX.get(sample.family.form, "")
    return f"{sample.family.name}{suffix}{{{common}{own}}} {_number(sample.value)}\n"


def cell_text(family: Family, common: str, cell: Cell) -> str:
    """All lines of one family of one journey in one location."""
    if isinstance(cell, Numbers):
        return _number_text(family, common, cell)
    return "".join([_tally_text(family, common, labels, tally) for labels, tally in cell.items()])


def without_exemplars(text: bytes) -> bytes:
    """The same lines for the older format, which knows no exemplars."""
    return _EXEMPLAR.sub(b"", text)


def escaped(text: str) -> str:
    r"""A label value: `\`, `"` and line ends escaped; half surrogates, which UTF-8 cannot say, replaced."""
    text = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", " ")
    return text.encode("utf-8", "replace").decode()


def _number_text(family: Family, common: str, cell: Numbers) -> str:
    begin = f"{family.name}{_SUFFIX.get(family.form, '')}{{{common}"
    exemplars = cell.exemplars or _NO_EXEMPLARS
    lines = [
        f"{begin}{_own(family.labels, labels)}}} {_number(value)}{_exemplar(exemplars.get(labels))}\n"
        for labels, value in cell.values.items()
    ]
    return "".join(lines)


def _tally_text(family: Family, common: str, labels: Labels, tally: Tally) -> str:
    inside = common + _own(family.labels, labels)
    begin = f'{family.name}_bucket{{{inside},le="'
    reached = list(accumulate(tally.counts))
    lines = [f'{begin}{bound}"}} {count}\n' for bound, count in zip(_bounds(tally.bounds), reached, strict=True)]
    if tally.exemplar:
        lines[tally.exemplar_at] = f"{lines[tally.exemplar_at][:-1]}{_exemplar(tally.exemplar)}\n"
    lines.append(f"{family.name}_sum{{{inside}}} {_number(tally.total)}\n")
    lines.append(f"{family.name}_count{{{inside}}} {reached[-1]}\n")
    return "".join(lines)


@lru_cache(maxsize=64)
def _bounds(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*map(repr, bounds), "+Inf")


@lru_cache(maxsize=4096)
def _own(names: tuple[str, ...], values: Labels) -> str:
    pairs: Iterable[tuple[str, str]] = zip(names, values, strict=True)
    return "".join(f',{name}="{escaped(value)}"' for name, value in pairs if value)


def _exemplar(told: Exemplar | None) -> str:
    return f' # {{run_id="{told[0]}"}} {_number(told[1])} {told[2]:.3f}' if told else ""


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(round(value, 6))
