"""What every broker must show: found by correlation, lost, foreign, twice, late, and a server that is killed meanwhile.

A broker's test file makes a `bench` and inherits the scenarios:

    class TestNats(Scenarios):
        @pytest.fixture
        async def bench(self, tmp_path): ...
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from tests.connections.running import run_probe

Headers = Mapping[str, str]
Reply = tuple[float, Headers, bytes]
"""(after how many seconds, headers, content) of one message that the service publishes."""

Service = Callable[[Headers, bytes], Sequence[Reply]]
"""What the service under test does with one message."""


@dataclass
class Bench:
    """A real server and a service behind it, which speaks by the broker's own client and not by ours.

    `connection` is the entry of `connections:` (one line of YAML, without `writes` and `watches`); `asked` and
    `answered` are YAML lines for the places where the service listens and answers. `serve` runs the service until the
    context ends, and has it listening when it begins; it outlives the server without a word. `say` publishes one
    message at `answered`. `kill` ends the server at once; `start` starts it again on the same port.
    """

    connection: str
    asked: str
    answered: str
    serve: Callable[[Service], AbstractAsyncContextManager[None]]
    say: Callable[[Headers, bytes], Awaitable[None]]
    kill: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    carries_headers: bool = True


class Server(Protocol):
    """A broker's own `Bus`: the server, with a client of its own to speak to it."""

    def serve(self, service: Service) -> AbstractAsyncContextManager[None]: ...

    async def say(self, headers: Headers, body: bytes) -> None: ...

    async def kill(self) -> None: ...

    async def start(self) -> None: ...


def bench_of(server: Server, connection: str, asked: str, answered: str) -> Bench:
    """The bench of a server."""
    return Bench(connection, asked, answered, server.serve, server.say, server.kill, server.start)


def echo(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It answers once, with the marks that it got."""
    return [(0.0, headers, body)]


def twice(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It answers, and once more half a second later."""
    return [(0.0, headers, body), (0.5, headers, body)]


def silent(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It has lost the event."""
    return []


def unmarked(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It drops the headers; the reference in the content is all that is left."""
    return [(0.0, {}, body)]


def foreign(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It answers somebody else."""
    return [(0.0, {"x-correlation-id": "f" * 32}, json.dumps({"reference": "syn-of-somebody-else"}).encode())]


def wrong(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It answers with another amount."""
    return [(0.0, headers, json.dumps({**json.loads(body), "amount": 13}).encode())]


def late(headers: Headers, body: bytes) -> Sequence[Reply]:
    """It answers after the time is over."""
    return [(3.0, headers, body)]


PROBE = """
journey: round-trip
every: 1m
deadline: 90s
steps:
  - id: ask
    send: bus
{asked}
    json: {{reference: "${{run.namespace}}", amount: 12}}
    leaves: nothing
  - id: answer
    receive: bus
{answered}
    within: {within} after ask
    timeout: 30s
{more}
    expect:
      - message.json.amount == 12
      - message.json.reference == run.namespace
      - count == 1
"""


class Scenarios:
    """Inherited by the test class of each broker."""

    async def run(
        self, bench: Bench, folder: Path, service: Service, within: str = "30s", more: str = "", options: str = ""
    ) -> Record:
        """One round trip through the service."""
        settings = f"connections:\n  bus: {{{bench.connection}, writes: true{options}}}\n"
        probe = PROBE.format(
            asked=_indented(bench.asked), answered=_indented(bench.answered), within=within, more=_indented(more)
        )
        async with bench.serve(service):
            return await run_probe(folder, probe, settings)

    async def test_the_answer_is_found_by_the_marks_that_the_message_carried(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        seen: list[Headers] = []

        def service(headers: Headers, body: bytes) -> Sequence[Reply]:
            seen.append({name.lower(): value for name, value in headers.items()})
            return echo(headers, body)

        record = await self.run(bench, tmp_path, service)

        assert record.outcome is Outcome.PASSED, record.message
        if bench.carries_headers:
            (headers,) = seen
            assert headers["x-correlation-id"] == record.run_id
            assert headers["traceparent"].split("-")[1] == record.run_id
            assert "synthetic_request=true" in headers["baggage"]
            assert headers["idempotency-key"].startswith(record.run_id)
        assert record.steps[1].latency_ms is not None

    async def test_without_headers_the_reference_in_the_content_is_enough(self, bench: Bench, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, unmarked)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_lost_event_is_lost(self, bench: Bench, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, silent, within="2s")

        assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.LOST, "answer"), record.message

    async def test_a_message_of_somebody_else_is_not_taken_for_ours(self, bench: Bench, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, foreign, within="2s")

        assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LOST), record.message

    async def test_where_picks_a_message_that_bears_no_mark(self, bench: Bench, tmp_path: Path) -> None:
        def service(headers: Headers, body: bytes) -> Sequence[Reply]:
            return [(0.0, {}, b'{"amount": 99}'), *foreign(headers, body), *echo(headers, body)]

        more = "where: message.json.reference == run.namespace"
        record = await self.run(bench, tmp_path, service, more=more)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_wrong_amount_is_shown(self, bench: Bench, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, wrong, within="2s")

        assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message
        assert "message.json.amount is 13" in record.message

    async def test_a_second_answer_is_a_duplicate(self, bench: Bench, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, twice, more="settle: 4s")

        assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DUPLICATE), record.message

    async def test_an_answer_after_its_time_is_late_and_not_lost(self, bench: Bench, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, late, within="1s", more="grace: 30s")

        assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LATE), record.message

    async def test_an_answer_after_the_server_was_killed_and_started_again_is_heard(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        record = await self._with_a_kill(bench, tmp_path, answers=True)

        assert record.outcome is Outcome.PASSED, record.message

    @pytest.mark.parametrize(
        ("options", "outcome", "reason"),
        [("", Outcome.UNKNOWN, Reason.CONNECTION), (", watches: true", Outcome.FAILED, Reason.RESET)],
    )
    async def test_what_may_have_been_missed_while_the_server_was_down_is_not_called_lost(
        self, bench: Bench, tmp_path: Path, options: str, outcome: Outcome, reason: Reason
    ) -> None:
        record = await self._with_a_kill(bench, tmp_path, answers=False, options=options)

        assert (record.outcome, record.reason) == (outcome, reason), record.message

    @pytest.mark.parametrize(("options", "outcome"), [("", Outcome.UNKNOWN), (", watches: true", Outcome.FAILED)])
    async def test_a_server_that_is_down_is_ours_unless_it_is_itself_watched(
        self, bench: Bench, tmp_path: Path, options: str, outcome: Outcome
    ) -> None:
        await bench.kill()
        settings = f"connections:\n  bus: {{{bench.connection}, writes: true{options}}}\n"
        probe = PROBE.format(
            asked=_indented(bench.asked), answered=_indented(bench.answered), within="3s", more=""
        ).replace("timeout: 30s", "timeout: 5s")

        record = await run_probe(tmp_path, probe, settings)

        assert record.outcome is outcome, record.message
        assert record.step == "answer"  # it could not begin to listen, and nothing left
        assert "bus" in record.message or "127.0.0.1" in record.message

    async def _with_a_kill(self, bench: Bench, folder: Path, answers: bool, options: str = "") -> Record:
        """The server dies after the question, comes back, and then the service answers, or never."""
        asked: asyncio.Future[tuple[Headers, bytes]] = asyncio.get_running_loop().create_future()

        def service(headers: Headers, body: bytes) -> Sequence[Reply]:
            if not asked.done():
                asked.set_result((headers, body))
            return []

        async def kill_and_answer() -> None:
            headers, body = await asked
            await asyncio.sleep(0.3)  # the acknowledgement of the question may be on its way
            await bench.kill()
            await asyncio.sleep(0.5)
            await bench.start()
            while answers:  # until the listener is bound again and has heard it
                await bench.say(headers, body)
                await asyncio.sleep(0.5)

        killing = asyncio.create_task(kill_and_answer())
        try:
            return await self.run(bench, folder, service, within="60s" if answers else "8s", options=options)
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)


def _indented(lines: str) -> str:
    return "\n".join(f"    {line}" for line in lines.splitlines())
