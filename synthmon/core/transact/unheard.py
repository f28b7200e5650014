"""What came to a listener and did not count, calls that were refused and messages of others: told when a step fails."""

from __future__ import annotations

from dataclasses import dataclass, field

from synthmon.core.inbound import MOST_REFUSED

MOST_WHYS, MOST_INSTANTS = 5, 3  # that are named


@dataclass(slots=True)
class Unheard:
    """A tally for one listener; instants are seconds since the run began."""

    others: int = 0
    refused: int = 0
    whys: dict[str, _Spell] = field(default_factory=dict)

    def refuse(self, why: str, at_s: float) -> None:
        """A call was refused. What stands behind a colon in `why` may be another each time: the first is told."""
        self.refused += 1
        self.whys.setdefault(why.partition(":")[0], _Spell(why)).add(at_s)

    def said(self, came: int, by_where: bool) -> str:
        """For the end of a message, after what `came` of the run; empty when everything that came was the run's.

        `by_where`: the journey's own `where` tells whose a message is, not the marks of the run.
        """
        return "".join(f"; {part}" for part in (self._refused(), self._others(came, by_where)) if part)

    def _refused(self) -> str:
        if not self.refused:
            return ""
        named = [str(spell) for spell in list(self.whys.values())[:MOST_WHYS]]
        more = [f"{len(self.whys) - MOST_WHYS} other reasons"] if len(self.whys) > MOST_WHYS else []
        count = f"{self.refused} calls or more" if self.refused >= MOST_REFUSED else f"{self.refused} calls"
        return f"{'1 call was' if self.refused == 1 else f'{count} were'} refused: {', '.join((*named, *more))}"

    def _others(self, came: int, by_where: bool) -> str:
        if not self.others:
            return ""
        told = f"{self.others} {'more ' if came else ''}message{'' if self.others == 1 else 's'} came"
        return f"{told} for which `where` does not hold" if by_where else f"{told}, none of this run"


@dataclass(slots=True)
class _Spell:
    """When something happened: the first few instants, the last, how often."""

    why: str
    first: list[float] = field(default_factory=list)
    last_s: float = 0.0
    count: int = 0

    def add(self, at_s: float) -> None:
        """Once more."""
        self.count += 1
        self.last_s = at_s
        if len(self.first) < MOST_INSTANTS:
            self.first.append(at_s)

    def __str__(self) -> str:
        if self.count > MOST_INSTANTS:
            return f"{self.why} {self.count} times from {self.first[0]:+.1f}s to {self.last_s:+.1f}s"
        return f"{self.why} at {' and '.join(f'{at_s:+.1f}s' for at_s in self.first)}"
