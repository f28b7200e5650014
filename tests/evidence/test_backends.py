"""How a back end is looked at: less often while it fails, in smaller pages when these are too large."""

from __future__ import annotations

import pytest

from synthmon.core.evidence import Blind, Watermark
from synthmon.core.outcomes import Reason
from synthmon.evidence.backends import CannotTell, Reader
from synthmon.evidence.windows import MOST_PAGES, Page, read_whole
from tests.evidence.back_ends import a_source
from tests.evidence.lending import Heard, Lent


async def test_one_that_failed_is_left_alone_for_a_while_and_asked_at_once_while_it_is_well() -> None:
    looks, fails, heard = 0, False, Heard()

    async def read() -> None:
        nonlocal looks
        looks += 1
        if fails:
            raise CannotTell(Reason.EVIDENCE, "it is down")

    reader = Reader(a_source("tempo", "http://127.0.0.1:9", {}), Lent(), heard, read)
    for _ in range(3):
        await reader.look()
    fails = True
    for _ in range(3):
        await reader.look()

    assert looks == 4
    assert [type(report) for report in heard.reports] == [Watermark, Watermark, Watermark, Blind]


async def test_a_page_that_is_too_large_for_the_door_is_asked_for_again_and_smaller() -> None:
    limits = []

    async def ask(begin_ns: int, end_ns: int, limit: int) -> Page:
        limits.append(limit)
        if limit > 300:
            raise CannotTell(Reason.TOO_LARGE, "too much")
        return Page(False, begin_ns, end_ns)

    await read_whole(0, 10, ask)

    assert limits == [1000, 250]


async def test_one_that_goes_on_and_on_is_given_up() -> None:
    asked = 0

    async def ask(begin_ns: int, end_ns: int, limit: int) -> Page:
        nonlocal asked
        asked += 1
        return Page(True, begin_ns, begin_ns + 1)

    with pytest.raises(CannotTell, match="more came of this run than is read"):
        await read_whole(0, 10**9, ask)

    assert asked == MOST_PAGES
