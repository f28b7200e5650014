"""`jsonl` is log files with one JSON object a line.

```yaml
evidence:
  logs: {jsonl: /var/log/shop/*.jsonl, lag: 2s, map: {step: step, clock: service}}
```

The path may hold `*`, `?`, `[…]` and `**`; a relative one counts from where the daemon was started. Files are followed
from where they stand when a run begins: what is appended, what turns up later, and renamed, cut and deleted ones too
(what stands in a file when `copytruncate` cuts it before it was read is lost). They are read once for all runs.

A line counts if it bears a mark of the run: its id or namespace in any field, or one of its keys as the whole of a
field. What its fields mean is found by their names (`step`, `time`, `eventId`, `status`, `attempt`, `service` and
their like), or as `map` says, by dotted path. Lines that are no JSON object, bear no time or are longer than 256 KiB
are passed over. `lag` is how long a line may take to be in the file. Where no file matches or one cannot be read,
nothing is told, and that is said.

When a step has saved an id, what was read since the run began is read once more for it: up to 512 MiB. Where that was
more, or is there no more, nothing is told from then on, and that is said.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted, Watermark
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.lines import Found, Watcher, search, spellings
from synthmon.evidence.looking import Breath
from synthmon.evidence.shared import Shared
from synthmon.evidence.tailing import Chunk, Files, Gone, Place

KEPT_BYTES = 4 * 1024 * 1024  # of what was read last, for a run whose watch begins after the run itself
MOST_AGAIN_BYTES = 512 * 1024 * 1024  # of what was read, to be looked through again for a key that was learnt later
OLDER_NS = 60 * 10**9  # than all that are here: by how much a run may be that joins later
PATIENCE_S = 10.0  # with the file system
BEHIND_S = 5.0


class JsonlKeys(BaseModel):
    """The keys of a `jsonl` source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jsonl: str = Field(description="Which files: a path, or a pattern of paths.", min_length=1)


_MANUAL = __doc__


class JsonlSource:
    """The kind of source that `jsonl:` chooses (`core.sources.SourceKind`)."""

    word: str = "jsonl"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = JsonlKeys
    secrets: frozenset[str] = frozenset()
    counts: bool = False

    def __init__(self) -> None:
        self._tailers: Shared[Tailer] = Shared()

    def base(self, keys: JsonlKeys) -> str:
        """It has no back end."""
        return ""

    def connection(self, keys: JsonlKeys) -> str:
        """It asks none."""
        return ""

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Join those who follow these files; answers when every file has its place."""
        pattern = source.keys.jsonl
        if wanted.words:  # somebody's request of long ago: nobody else reads these files from so far back
            tailer = Tailer(pattern, wanted.since_ns, _keep_none, far_back=True)
        else:
            tailer = self._tailers.take(pattern, lambda: Tailer(pattern, wanted.since_ns, self._forget))
        return await tailer.join(Watcher(source, wanted, means, tell))

    def _forget(self, pattern: str, tailer: Tailer) -> None:
        self._tailers.drop(pattern, tailer)


SOURCE = JsonlSource()


class Tailer:
    """Follows the files of one pattern for all runs that wait for lines in them."""

    def __init__(
        self, pattern: str, since_ns: int, when_empty: Callable[[str, Tailer], None], far_back: bool = False
    ) -> None:
        self._pattern, self._when_empty = pattern, when_empty
        self._files = Files(pattern, since_ns, far_back)
        self._watchers: dict[Watcher, None] = {}
        self._last: list[Chunk] = []
        self._recent: deque[tuple[int, Chunk]] = deque()  # with when it had been read at the latest
        self._recent_bytes = 0
        self._places: deque[tuple[int, Place]] = deque()  # of all that was read since the oldest run began, likewise
        self._places_bytes = 0
        self._lost_ns = 0  # up to when what was read is not known any more
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="synthmon-jsonl")
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def join(self, watcher: Watcher) -> LogEar:
        """From now on it is told."""
        self._watchers[watcher] = None
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name=f"evidence {self._pattern}")
        ear = LogEar(self, watcher)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._ready.wait()
        except TimeoutError:
            watcher.see_nothing(Reason.TIMEOUT, f"the file system of {self._pattern} does not answer")
        except asyncio.CancelledError:
            await ear.aclose()
            raise
        return ear

    async def leave(self, watcher: Watcher) -> None:
        """It is told nothing more; after the last one nothing is followed."""
        if not watcher.joined:
            return
        watcher.joined = False
        del self._watchers[watcher]
        if self._watchers or self._task is None:
            return
        self._when_empty(self._pattern, self)
        self._task.cancel()
        await asyncio.wait({self._task})
        self._executor.submit(self._files.close)  # after a look that hangs, if one does
        self._executor.shutdown(wait=False)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            watchers = tuple(self._watchers)
            try:
                await self._look(watchers)
            except Exception as error:  # noqa: BLE001  a defect here must not look like silence of the logs
                for watcher in watchers:
                    watcher.see_nothing(Reason.BROKEN, f"{self._pattern} could not be read: {error!r}")
            self._ready.set()
            interval_s = min((watcher.every_s for watcher in self._watchers), default=1.0)
            if self._files.behind_bytes:
                interval_s = 0.0
            await asyncio.sleep(max(began_s + interval_s - loop.time(), 0.005))

    async def _look(self, watchers: Sequence[Watcher]) -> None:
        """Once: read in a thread, tell on the loop."""
        began = [(watcher, watcher.means.now_ns()) for watcher in watchers]
        if not began:
            return
        at_ns = min(now_ns for _, now_ns in began)
        fresh = {watcher: watcher.fresh for watcher in watchers if watcher.fresh}
        reading = asyncio.get_running_loop().run_in_executor(self._executor, self._read, watchers, fresh, at_ns)
        while not (await asyncio.wait({reading}, timeout=PATIENCE_S))[0]:
            for watcher in watchers:
                watcher.see_nothing(Reason.TIMEOUT, f"the file system of {self._pattern} does not answer")
        breath = Breath()
        for watcher, record in reading.result():
            if watcher.joined:
                watcher.tell(record)
            await breath.take()
        for watcher, keys in fresh.items():
            watcher.fresh = watcher.fresh[len(keys) :]
        for watcher, now_ns in began:
            self._mark(watcher, now_ns)

    def _mark(self, watcher: Watcher, now_ns: int) -> None:
        if self._files.trouble is not None:
            watcher.see_nothing(*self._files.trouble)
        elif watcher.lost:
            detail = f"{self._pattern}: what was written before a step saved an id is there no more, or too much"
            watcher.see_nothing(Reason.TOO_MANY, detail)
        elif watcher.fresh:
            return  # learnt in the midst of this look: the next one knows them
        elif not self._files.behind_bytes:
            watcher.blind, watcher.marked_s = "", time.monotonic()
            if watcher.joined:
                watcher.tell(Watermark(watcher.source.name, now_ns - round(watcher.source.lag_s * 1e9)))
        elif time.monotonic() - watcher.marked_s > BEHIND_S:
            watcher.see_nothing(Reason.SATURATED, f"{self._pattern} is written faster than it can be read")

    # in the thread ---------------------------------------------------------------------------------------------------

    def _read(self, watchers: Sequence[Watcher], fresh: Mapping[Watcher, tuple[str, ...]], now_ns: int) -> list[Found]:
        found: list[Found] = []
        self._remember(now_ns, min(watcher.wanted.since_ns for watcher in watchers))
        for watcher, keys in fresh.items():
            found += self._search_again(watcher, keys, now_ns)
        late = [watcher for watcher in watchers if not watcher.caught_up]
        for read_ns, chunk in self._recent:
            found += search(chunk, [one for one in late if one.wanted.since_ns <= read_ns], now_ns)
        for watcher in late:
            watcher.caught_up = True
        for chunk in self._files.look(time.monotonic()):
            found += search(chunk, watchers, watchers[0].means.now_ns())  # not before what was just written
            self._last.append(chunk)
        return found

    def _search_again(self, watcher: Watcher, keys: tuple[str, ...], now_ns: int) -> Iterator[Found]:
        """What was read since its run began, for keys that it did not have then."""
        since_ns, marks = watcher.wanted.since_ns, tuple(spellings(keys))
        watcher.lost |= since_ns <= self._lost_ns
        for read_ns, place in self._places:
            if read_ns >= since_ns:
                try:
                    yield from search(self._files.again(place), (watcher,), now_ns, marks)
                except (Gone, OSError):
                    watcher.lost = True

    def _remember(self, now_ns: int, oldest_ns: int) -> None:
        """What the look before this one read, was read by now; before the oldest run began nobody needs to know."""
        for chunk in self._last:
            self._places.append((now_ns, chunk.place))
            self._places_bytes += len(chunk.content)
            self._recent.append((now_ns, chunk))
            self._recent_bytes += len(chunk.content)
        self._last = []
        while self._places and (self._places[0][0] < oldest_ns - OLDER_NS or self._places_bytes > MOST_AGAIN_BYTES):
            self._lost_ns, place = self._places.popleft()
            self._places_bytes -= place.end - place.begin
        while self._recent_bytes > KEPT_BYTES:
            self._recent_bytes -= len(self._recent.popleft()[1].content)


def _keep_none(pattern: str, tailer: Tailer) -> None:
    """It was never shared."""


class LogEar:
    """`core.door.OpenEar` of one run among those that follow the same files."""

    def __init__(self, tailer: Tailer, watcher: Watcher) -> None:
        self._tailer, self._watcher = tailer, watcher

    @property
    def where(self) -> str:
        return str(self._watcher.source.keys.jsonl)

    def widen(self, keys: tuple[str, ...]) -> None:
        """See `core.sources.Widens`."""
        self._watcher.widen(keys)

    async def aclose(self) -> None:
        await self._tailer.leave(self._watcher)
