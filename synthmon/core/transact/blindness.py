"""Which sources of evidence could not tell for a part of a run, since when and why: kept even where all was decided."""

from __future__ import annotations

from dataclasses import dataclass

from synthmon.core.evidence import Blind, Report, Watermark
from synthmon.core.fields import cut


@dataclass(slots=True)
class _Spell:
    """Times in which one source was blind; instants are on the run's clock."""

    first: Blind
    since_s: float
    until_s: float | None = None
    count: int = 1


class Blindness:
    """Follows what the sources of one run report.

    One that was blind at first and then began to tell is not named: OTLP is so until somebody reports, and whoever is
    asked later tells of the time before too.
    """

    def __init__(self) -> None:
        self._spells: dict[str, _Spell] = {}
        self._told: set[str] = set()  # sources that told how far they can be relied on

    def take(self, report: Report, at_s: float) -> None:
        """A source is blind from a `Blind` until its next `Watermark`."""
        source = report.source
        known = self._spells.get(source)
        if isinstance(report, Blind):
            if known is None:
                self._spells[source] = _Spell(report, at_s)
            elif known.until_s is not None:
                known.until_s, known.count = None, known.count + 1
        elif isinstance(report, Watermark):
            if known is not None and source not in self._told:
                del self._spells[source]
            elif known is not None and known.until_s is None:
                known.until_s = at_s
            self._told.add(source)

    def notes(self, begin_s: float) -> tuple[str, ...]:
        """One a source, in the order in which they went blind: `logs could not tell from +2.1s to +5.0s: it answered
        503 (server_error)`. Of a source that was blind several times the first why and the last end are told."""
        return tuple(self._note(name, spell, begin_s) for name, spell in self._spells.items())

    def _note(self, name: str, spell: _Spell, begin_s: float) -> str:
        until = f"to {spell.until_s - begin_s:+.1f}s" if spell.until_s is not None else "to the end"
        times = f", {spell.count} times" if spell.count > 1 else ""
        when = f"from {spell.since_s - begin_s:+.1f}s {until}{times}"
        return f"{name} could not tell {when}: {cut(spell.first.detail)} ({spell.first.reason})"
