"""A span of time is read whole from a back end that answers in pages, in whatever order it has them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from synthmon.core.evidence import Wanted
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Source
from synthmon.evidence.backends import CannotTell, pattern_of

PAGE, LARGEST_PAGE, SMALLEST_PAGE, MOST_PAGES = 1000, 5000, 10, 30
BEHIND_NS, AHEAD_NS = 60 * 10**9, 600 * 10**9
"""By how much the clocks of what reports may differ from ours."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer held: whether there may be more, and between which instants (Unix nanoseconds) it is whole."""

    full: bool
    oldest_ns: int
    newest_ns: int
    newest_first: bool = False


AskPage = Callable[[int, int, int], Awaitable[Page]]
"""Between two instants, both included, at most so many."""


class Window:
    """What is to be read of a source for a run: once from before the run began, then from before the last whole look.

    How far before: `lag`, in which a record may still come, and a minute.
    """

    def __init__(self, source: Source, wanted: Wanted, page: int = PAGE) -> None:
        self._begin_ns = wanted.since_ns - BEHIND_NS
        self._overlap_ns = round(source.lag_s * 1e9) + BEHIND_NS
        self._page = page

    async def read(self, now_ns: int, ask: AskPage) -> None:
        """Ask until everything was answered. Raises `CannotTell`."""
        await read_whole(self._begin_ns, now_ns + AHEAD_NS, ask, self._page)
        self._begin_ns = max(self._begin_ns, now_ns - self._overlap_ns)


Ask = Callable[[Wanted, int, int, int], Awaitable[Page]]
"""For records that bear a mark of this, between two instants, both included, at most so many."""


class Search:
    """What a search by marks reads for a run: a `Window`, and for keys that are learnt later once the whole time since
    the run began, as a record may be older than the answer that told its key.

    Then nothing else is asked for than these keys, so that nothing is read twice. `marked` finds a mark in a text.
    """

    def __init__(self, source: Source, wanted: Wanted, page: int = PAGE) -> None:
        self._source, self._page = source, page
        self._window = Window(source, wanted, page)
        self._late: tuple[str, ...] = ()
        self.wanted, self.marked = wanted, re.compile(pattern_of(wanted))

    def widen(self, keys: tuple[str, ...]) -> None:
        """From the next read on these too."""
        self.wanted = self.wanted.widened(keys)
        self.marked = re.compile(pattern_of(self.wanted))
        self._late += keys

    async def read(self, now_ns: int, ask: Ask) -> None:
        """Ask until everything was answered. Raises `CannotTell`; then the next read begins with it."""
        if self._late:
            keys_alone = replace(self.wanted, run_id="", namespace="", traces=(), keys=self._late)
            await Window(self._source, self.wanted, self._page).read(now_ns, partial(ask, keys_alone))
            self._late = ()
        await self._window.read(now_ns, partial(ask, self.wanted))


async def read_whole(begin_ns: int, end_ns: int, ask: AskPage, page: int = PAGE) -> None:
    """Everything between two instants, page by page: the next begins where the last one ended, whatever end that was.

    A page that holds nothing but one instant is asked for once more, larger; one that is too large for our door,
    smaller. Raises `CannotTell`, also after thirty pages.
    """
    limit, largest = page, max(page, LARGEST_PAGE)
    for _ in range(MOST_PAGES):
        try:
            got = await ask(begin_ns, end_ns, limit)
        except CannotTell as trouble:
            if trouble.reason is not Reason.TOO_LARGE or limit <= SMALLEST_PAGE:
                raise
            limit = max(limit // 4, SMALLEST_PAGE)
            continue
        if not got.full:
            return
        if got.newest_first and got.oldest_ns < end_ns:
            end_ns = got.oldest_ns
        elif not got.newest_first and got.newest_ns > begin_ns:
            begin_ns = got.newest_ns
        elif limit >= largest:
            break
        else:
            limit = largest
            continue
    raise CannotTell(Reason.TOO_MANY, "more came of this run than is read, or it comes in no order")
