"""How many messages wait somewhere: the part of a count that is the same for every broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from synthmon.core.door import OpenEar, Trouble
from synthmon.core.evidence import COUNTED, Blind, Evidence, Tell, Wanted, Watermark
from synthmon.core.sources import Means, Source
from synthmon.evidence.looking import Looking, every_s

STEP = "count"


class CountSource:
    """A kind of source that counts (`core.sources.SourceKind`): its word is that of the connection that it asks, the
    other keys say at what."""

    extra: str = ""
    library: str = ""
    secrets: frozenset[str] = frozenset()
    counts: bool = True

    def __init__(self, word: str, manual: str, keys: type[BaseModel], at: Sequence[str]) -> None:
        self.word, self.manual, self.keys, self._at = word, manual, keys, tuple(at)

    def base(self, keys: BaseModel) -> str:
        """It is reached over a connection."""
        return ""

    def connection(self, keys: BaseModel) -> str:
        """The broker."""
        return str(getattr(keys, self.word))

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Count until closed."""
        at = {name: value for name in self._at if (value := str(getattr(source.keys, name)))}
        where = f"{' of '.join(reversed(at.values()))} on {self.connection(source.keys)}"
        counting = Counting(source, at, means, tell)
        return Looking(source.name, where, every_s(source.lag_s), counting.look, tell)


class Counting:
    """A count that is told when it changes."""

    def __init__(self, source: Source, at: Mapping[str, str], means: Means, tell: Tell) -> None:
        self._source, self._at, self._means, self._tell = source, at, means, tell
        self._last: int | None = None

    async def look(self) -> None:
        """Count once."""
        name, asked_ns = self._source.name, self._means.now_ns()
        match await self._means.count(self._at):
            case Trouble(reason, detail):
                self._tell(Blind(name, reason, detail))
                return
            case number:
                if number != self._last:
                    self._last = number
                    self._tell(_counted(name, number, self._means.now_ns()))
        self._tell(Watermark(name, asked_ns - round(self._source.lag_s * 1e9)))


def _counted(source: str, number: int, at_ns: int) -> Evidence:
    attrs = {"count": str(number)}
    return Evidence(source, STEP, at_ns, attrs=attrs, received_ns=at_ns, matched_by=COUNTED)
