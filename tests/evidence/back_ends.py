"""A small real HTTP server that answers as a back end does, what is asked of it by the real door, and what all back
ends must show."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Wanted
from synthmon.core.secrets import Vault
from synthmon.core.sources import Source
from synthmon.language import documents
from synthmon.language.evidence import find_sources, read_sources
from synthmon.language.faults import Faults
from synthmon.runtime.doors import Doors
from synthmon.runtime.gathering import Gatherer
from tests.evidence.lending import LIMIT_S, Heard, wanted

PASSWORD = "a-password-for-logs"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """One answer; `body` is sent as JSON unless it is bytes."""

    body: Any
    status: int = 200


Answer = Callable[[Asked], Said | Awaitable[Said]]


@dataclass
class BackEnd:
    """What listens on a port of loopback."""

    answer: Answer
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_asked(self, times: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.asked) < times:
                self.news.clear()
                await self.news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.rstrip().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        parts = urlsplit(target)
        asked = Asked(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)
        self.asked.append(asked)
        self.news.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            said = self.answer(asked)
            if not isinstance(said, Said):
                said = await said
        finally:
            self.in_flight -= 1
        content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        writer.write(f"HTTP/1.1 {said.status} Said\r\nContent-Type: application/json\r\n".encode())
        writer.write(f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()


@asynccontextmanager
async def a_back_end(answer: Answer) -> AsyncIterator[BackEnd]:
    """Listening, as long as the block lasts."""
    back_end = BackEnd(answer)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(back_end.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    back_end.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield back_end
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def a_source(word: str, url: str, keys: Mapping[str, Any]) -> Source:
    """An entry of the settings, read as the settings are, with next to no lag."""
    raw = {"lag": "1ms", "networks": ["127.0.0.0/8"], **keys, word: url}
    [document], _ = documents.read("synthmon.yaml", json.dumps({"logs": raw}))
    faults = Faults(document.marks)
    sources = read_sources(document.tree, find_sources(), (), faults)
    assert not faults.problems, faults.problems
    return sources["logs"]


@asynccontextmanager
async def looking(word: str, url: str, run: Wanted, keys: Mapping[str, Any] | None = None) -> AsyncIterator[Heard]:
    """What a source tells of a run that asks through its own door, as long as the block lasts."""
    source, heard = a_source(word, url, keys or {}), Heard()
    assert source.system is not None
    gatherer = Gatherer({word: find_sources()[word].kind}, lambda: None, lambda source, key: PASSWORD)
    async with Doors({source.system.name: source.system}) as doors:
        door = doors.open(run.run_id, "order-ships", Vault({}))
        ear: OpenEar = await gatherer.watch(source, run, door, "order-ships", heard)
        heard.ear = ear
        try:
            yield heard
        finally:
            await ear.aclose()
            await door.aclose()


@dataclass(frozen=True)
class Thing:
    """Something that happened in the system under test, as its back end may keep it."""

    step: str
    run_id: str
    at_ns: int
    id: str


def thing(run: Wanted, step: str, ago_ms: float = 0) -> Thing:
    at_ns = time.time_ns() - round(ago_ms * 1e6)
    return Thing(step, run.run_id, at_ns, f"{step}-{at_ns}")


class Scenarios:
    """What every back end must show: a class for each, that says how it answers when it holds these things."""

    word: ClassVar[str]
    keys: ClassVar[Mapping[str, Any]] = {}
    known_by: ClassVar[str] = "`token`, or `user` and `password`"

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        """As documented; `ignores_filter`: everything that it has, whatever was asked."""
        raise NotImplementedError

    async def test_what_happened_is_told_once_with_its_parts(self) -> None:
        run = wanted()
        kept = [thing(run, "publish", 20), thing(run, "posted")]

        async with a_back_end(self.answers(kept)) as back_end, looking(self.word, back_end.url, run, self.keys) as told:
            await told.until_told("publish", "posted")
            await told.until_sure()

        assert sorted(told.steps) == ["posted", "publish"], "a second look told something again"
        posted = next(record for record in told.records if record.step == "posted")
        assert (posted.source, posted.status, posted.clock, posted.id) == ("logs", "ok", "ledger", kept[1].id)
        assert abs(posted.at_ns - kept[1].at_ns) < 1_000_000
        assert posted.matched_by
        assert not told.blind
        assert back_end.url.removeprefix("http://") in told.where

    async def test_what_comes_late_is_told_and_once(self) -> None:
        run = wanted()
        kept = [thing(run, "publish")]

        async with a_back_end(self.answers(kept)) as back_end, looking(self.word, back_end.url, run, self.keys) as told:
            await told.until_told("publish")
            kept.append(thing(run, "posted", ago_ms=5000))
            await told.until_told("publish", "posted")

        assert told.records[1].at_ns < told.records[0].at_ns

    async def test_nothing_is_told_of_others_even_if_the_filter_is_ignored(self) -> None:
        run, other = wanted("a"), wanted("b")
        kept = [thing(other, "theirs"), thing(run, "ours"), thing(other, "theirs")]

        async with (
            a_back_end(self.answers(kept, ignores_filter=True)) as back_end,
            looking(self.word, back_end.url, run, self.keys) as told,
        ):
            await told.until_told("ours")
            await told.until_sure()

        assert told.steps == ["ours"]

    async def test_an_empty_answer_is_an_answer(self) -> None:
        run = wanted()

        async with a_back_end(self.answers([])) as back_end, looking(self.word, back_end.url, run, self.keys) as told:
            await told.until_sure()

        assert not told.records
        assert not told.blind

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (401, {}, "answered HTTP 401: it does not let us in; check {known_by}"),
            (403, b"<html>no</html>", "answered HTTP 403: it does not let us in"),
            (429, {}, "answered HTTP 429: it is asked more often than it allows"),
            (500, b"too many outstanding requests\n", "answered HTTP 500: too many outstanding requests"),
            (503, b"<html>down</html>", "answered HTTP 503"),
            (200, b'{"data": {', "with something that is no JSON"),
            (200, b"<html>Log in</html>", "with something that is no JSON"),
            (200, [], "with something that is no JSON"),
            (200, {"welcome": "stranger"}, "; is it "),
        ],
    )
    async def test_a_back_end_that_does_not_tell_is_said_and_not_taken_for_silence(
        self, status: int, body: Any, words: str
    ) -> None:
        run = wanted()

        async with (
            a_back_end(lambda asked: Said(body, status)) as back_end,
            looking(self.word, back_end.url, run, self.keys) as told,
        ):
            await told.until(lambda: bool(told.blind))

        assert words.format(known_by=self.known_by) in told.blind[0]
        assert not told.watermark_ns

    async def test_after_a_failure_it_looks_less_often_and_tells_everything_when_it_is_back(self) -> None:
        run = wanted()
        kept, failing = [thing(run, "publish")], True
        healthy = self.answers(kept)

        def answer(asked: Asked) -> Said | Awaitable[Said]:
            return Said({}, 500) if failing else healthy(asked)

        async with a_back_end(answer) as back_end, looking(self.word, back_end.url, run, self.keys) as told:
            await back_end.until_asked(2)
            failing = False
            assert told.blind == told.blind[:1], "it said the same more than once"
            await told.until_told("publish")

    async def test_nobody_listening_there_is_said(self) -> None:
        async with a_back_end(lambda asked: Said({})) as back_end:
            url = back_end.url

        async with looking(self.word, url, wanted(), self.keys) as told:
            await told.until(lambda: bool(told.blind))

        assert not told.watermark_ns

    async def test_a_slow_one_is_asked_one_thing_at_a_time(self) -> None:
        run = wanted()
        kept, go_on = [thing(run, "publish")], asyncio.Event()
        healthy = self.answers(kept)

        async def answer(asked: Asked) -> Said:
            await go_on.wait()
            said = healthy(asked)
            return said if isinstance(said, Said) else await said

        async with a_back_end(answer) as back_end, looking(self.word, back_end.url, run, self.keys) as told:
            await back_end.until_asked(1)
            await asyncio.sleep(1.2)  # more than two looks, if it did not wait for the first
            assert len(back_end.asked) == 1
            assert not told.watermark_ns
            go_on.set()
            await told.until_told("publish")

        assert back_end.most_in_flight == 1

    async def test_it_shows_its_password(self) -> None:
        run = wanted()
        keys = {**self.keys, "user": "reader", "password": "env:LOGS_PASSWORD"}

        async with a_back_end(self.answers([])) as back_end, looking(self.word, back_end.url, run, keys) as told:
            await told.until_sure()

        assert {asked.headers["authorization"] for asked in back_end.asked} == {
            "Basic cmVhZGVyOmEtcGFzc3dvcmQtZm9yLWxvZ3M="
        }

    def test_an_address_is_checked_when_the_settings_are_loaded(self) -> None:
        kind = find_sources()[self.word].kind
        for url, words in (
            ("logs.example.com:1", "is no address of a back end"),
            ("ftp://logs.example.com", "is no address of a back end"),
            ("http://", "is no address of a back end"),
            ("http://logs.example.com:99999", "is no address of a back end"),
            ("http://me:secret@logs.example.com", "neither user nor query"),
            ("http://logs.example.com/?q=1", "neither user nor query"),
        ):
            with pytest.raises(ValueError, match=words) as fault:
                kind.base(kind.keys.model_validate({**self.keys, self.word: url}))
            assert "secret" not in str(fault.value)
