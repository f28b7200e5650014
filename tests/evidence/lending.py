"""What a source is lent in these tests, and what it told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from synthmon.core.connections import Counts
from synthmon.core.door import HttpAnswer, OpenEar, Rows, Trouble
from synthmon.core.evidence import Blind, Evidence, Report, Wanted, Watermark
from synthmon.core.inbound import Telemetry
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Source, SourceKind, Widens
from synthmon.core.timing import Timing
from synthmon.web.collector import Collector

LIMIT_S = 60.0


@dataclass
class Lent:
    """`core.sources.Means` over what a test has: a query, a link that counts, a collector."""

    ask_rows: Callable[[str, Mapping[str, Any]], list[dict[str, Any]]] | None = None
    link: Counts | None = None
    collector: Collector | None = None

    def now_ns(self) -> int:
        return time.time_ns()

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer | Trouble:
        raise AssertionError("none of these sources speaks HTTP")

    async def rows(self, sql: str, params: Mapping[str, Any]) -> Rows | Trouble:
        assert self.ask_rows is not None
        try:
            return Rows(tuple(await asyncio.to_thread(self.ask_rows, sql, params)), Timing())
        except Exception as error:  # noqa: BLE001  as the door does: whatever a database says is a trouble
            return Trouble(Reason.CONNECTION, str(error))

    async def count(self, at: Mapping[str, str]) -> int | Trouble:
        assert self.link is not None
        try:
            return await self.link.count(at)
        except Exception as error:  # noqa: BLE001  as the door does
            return Trouble(Reason.CONNECTION, repr(error))

    def hear_telemetry(self, deliver: Callable[[Telemetry], bool]) -> Callable[[], None]:
        assert self.collector is not None
        return self.collector.subscribe(deliver)

    def secret(self, name: str) -> str:
        return ""


@dataclass
class Heard:
    """What a source told of one run, in order."""

    reports: list[Report] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ear: OpenEar | None = None

    @property
    def where(self) -> str:
        assert self.ear is not None
        return self.ear.where

    def widen(self, *keys: str) -> None:
        """As when a step saves ids."""
        assert isinstance(self.ear, Widens)
        self.ear.widen(keys)

    def __call__(self, report: Report) -> None:
        self.reports.append(report)
        self.news.set()

    @property
    def records(self) -> list[Evidence]:
        return [report for report in self.reports if isinstance(report, Evidence)]

    @property
    def steps(self) -> list[str]:
        return [record.step for record in self.records]

    @property
    def blind(self) -> list[str]:
        return [report.detail for report in self.reports if isinstance(report, Blind)]

    @property
    def watermark_ns(self) -> int:
        return max((report.at_ns for report in self.reports if isinstance(report, Watermark)), default=0)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a report after which this holds."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self.news.clear()
                await self.news.wait()

    async def until_told(self, *steps: str) -> None:
        """Wait until exactly these were told, in any order, and the source relies on having told everything."""
        await self.until(lambda: len(self.steps) >= len(steps))
        await self.until_sure()
        assert sorted(self.steps) == sorted(steps)

    async def until_sure(self) -> None:
        """Wait for a watermark from now on: what was written before this call has been read then."""
        now_ns = time.time_ns()
        await self.until(lambda: self.watermark_ns > now_ns)


def wanted(digit: str = "a", **more: Any) -> Wanted:
    """A run that begins now."""
    run_id = (digit * 2 + "0123456789abcd") * 2
    return Wanted(run_id, f"syn-{run_id[:16]}{digit * 8}", more.pop("since_ns", time.time_ns()), **more)


def a_source(kind: SourceKind, keys: Mapping[str, Any], **more: Any) -> Source:
    """An entry of the settings with a lag of nothing, so that a watermark is the instant of its look."""
    checked = kind.keys.model_validate(keys)
    return Source("logs", kind.word, checked, **{"lag_s": 0.0, "connection": kind.connection(checked), **more})


@asynccontextmanager
async def watching(kind: SourceKind, source: Source, run: Wanted, means: Lent | None = None) -> AsyncIterator[Heard]:
    """What the source tells as long as the block lasts."""
    heard = Heard()
    ear = await kind.watch(source, run, means or Lent(), heard)
    heard.ear = ear
    try:
        yield heard
    finally:
        await ear.aclose()
        told = len(heard.reports)
        await ear.aclose()
        await asyncio.sleep(0)
        assert len(heard.reports) == told, "it told something after it was closed"
