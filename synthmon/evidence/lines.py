"""Which lines of a log are whose: those in which a mark of a run stands, and no other is parsed."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from synthmon.core.evidence import Blind, Evidence, Tell, Wanted
from synthmon.core.fields import fields_of, from_fields
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.tailing import Chunk

LINES_A_BREATH = 50


@dataclass(slots=True, eq=False)
class Watcher:
    """A run that waits for its lines. `told` are the places of those that it had."""

    source: Source
    wanted: Wanted
    means: Means
    tell: Tell
    marks: tuple[bytes, ...] = ()
    fresh: tuple[str, ...] = ()  # keys by which what was read before is to be looked through again
    lost: bool = False  # some of that is there no more
    told: set[tuple[int, int]] = field(default_factory=set)
    joined: bool = True
    caught_up: bool = False
    marked_s: float = field(default_factory=time.monotonic)  # when it was last told a watermark
    blind: str = ""

    def __post_init__(self) -> None:
        self.marks = tuple(spellings(self.wanted.marks))

    def widen(self, keys: tuple[str, ...]) -> None:
        """Lines in which one of these stands are the run's too."""
        self.wanted = self.wanted.widened(keys)
        self.marks = tuple(spellings(self.wanted.marks))
        self.fresh += keys

    @property
    def every_s(self) -> float:
        """How often it wants the files looked at."""
        return min(max(self.source.lag_s / 4, 0.1), 1.0)

    def see_nothing(self, reason: Reason, detail: str) -> None:
        """Say it once for each reason."""
        if self.joined and detail != self.blind:
            self.blind = detail
            self.tell(Blind(self.source.name, reason, detail))


Found = tuple[Watcher, Evidence]


def search(
    chunk: Chunk, watchers: Iterable[Watcher], received_ns: int, marks: tuple[bytes, ...] = ()
) -> Iterator[Found]:
    """The lines of each run, as evidence. Lines in which no mark stands (of these, if there are any) are not parsed."""
    content = chunk.content
    hits: dict[int, list[Watcher]] = {}  # where a line begins → whose it may be
    for watcher in watchers:
        for begin in {begin for mark in marks or watcher.marks for begin in _lines_with(mark, content)}:
            hits.setdefault(begin, []).append(watcher)
    for n, begin in enumerate(sorted(hits)):
        if n % LINES_A_BREATH == 0:
            time.sleep(0)  # the loop waits for the interpreter; without this it gets it every 5 ms only
        end = content.find(b"\n", begin)
        line = content[begin : end if end >= 0 else None].strip(b"\0 \t\r")
        fields = fields_of(line)
        if fields is None:
            continue
        place = chunk.offset + begin, zlib.crc32(line)
        for watcher in hits[begin]:
            if place in watcher.told:
                continue  # a copy of the file, made when it was rotated
            record = from_fields(watcher.source.name, fields, watcher.wanted, received_ns, watcher.source.map)
            if record is not None:
                watcher.told.add(place)
                yield watcher, record if record.id else replace(record, id=f"{place[0]}:{place[1]:08x}")


def _lines_with(mark: bytes, content: bytes) -> Iterator[int]:
    """Where the lines begin in which it stands."""
    at = content.find(mark)
    while at >= 0:
        yield content.rfind(b"\n", 0, at) + 1
        end = content.find(b"\n", at)
        if end < 0:
            return
        at = content.find(mark, end)


def spellings(marks: Iterable[str]) -> Iterator[bytes]:
    """A mark as it may stand in a line: JSON spells quotes, and often all beyond ASCII, with a backslash."""
    for mark in marks:
        if mark:
            plain, escaped = json.dumps(mark, ensure_ascii=False)[1:-1], json.dumps(mark)[1:-1]
            yield from {mark.encode("utf-8", "replace"), plain.encode("utf-8", "replace"), escaped.encode()}
