"""`sse` against servers on loopback: events in every form, streams that end, and streams that are none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from synthmon.core.outcomes import Outcome, Reason
from synthmon.steps.sse_stream import Memory, Parser
from tests.connections.running import faults, run_probe
from tests.servers.ports import free_port
from tests.steps.speaking import Port, listening, probe, run_steps, settings

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
STEP = """
- id: placed
  sse: /events?run=${run.namespace}
  headers: {Authorization: "Bearer ${secret.pin}"}
  where: message.subject == "placed"
  within: 2s
  timeout: 10s
  expect:
    - count == 1
    - message.json.amount == 12
    - message.id == "7"
"""
PLACED = b'id: 7\nevent: placed\ndata: {"amount":\ndata: 12}\n\n'


class Feed:
    """Serves one list of pieces for each connection; after the last list, silence."""

    def __init__(self, *streams: list[bytes], head: bytes = HEAD, ends: bool = False) -> None:
        self._streams, self._head, self._ends = list(streams), head, ends
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(self._head)
        last = len(self._streams) <= 1
        for piece in self._streams.pop(0) if self._streams else []:
            writer.write(piece)
            await writer.drain()
        if last and not self._ends:
            await reader.read()


@pytest.fixture(autouse=True)
def pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOKEN_PIN", "open-sesame-please")


async def run(folder: Path, port: int, steps: str = STEP) -> tuple[Outcome, Reason, str]:
    record = await run_steps(folder, steps, f"http://localhost:{port}", "", "secrets: {pin: env:SPOKEN_PIN}")
    assert "open-sesame-please" not in repr(record)
    return record.outcome, record.reason, f"{record.run_id} {record.message}"


async def test_an_event_is_heard_and_the_request_bears_the_marks(tmp_path: Path) -> None:
    feed = Feed([b": hello\n\n", b"data: somebody else\n\n", PLACED[:20], PLACED[20:]])
    async with listening(feed) as server:
        outcome, _, message = await run(tmp_path, server.port)

    assert outcome is Outcome.PASSED, message
    (head,) = feed.heads
    assert head.startswith("get /events?run=syn-")
    assert f"x-correlation-id: {message.split()[0]}\r\n" in head
    assert "synthetic_request=true" in head
    assert "accept: text/event-stream\r\n" in head
    assert "authorization: bearer open-sesame-please\r\n" in head


async def test_another_event_fails(tmp_path: Path) -> None:
    async with listening(Feed([PLACED.replace(b"12", b"13")])) as server:
        outcome, reason, message = await run(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.EXPECTATION), message


async def test_an_event_that_never_comes_is_lost(tmp_path: Path) -> None:
    async with listening(Feed([b": nothing\n\n"])) as server:
        outcome, reason, message = await run(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.LOST), message


async def test_a_stream_that_ends_is_asked_for_again_from_the_last_event_on(tmp_path: Path) -> None:
    feed = Feed([b"retry: 50\nid: 6\ndata: before\n\n"], [PLACED])
    async with listening(feed) as server:
        outcome, _, message = await run(tmp_path, server.port, STEP.replace("within: 2s", "within: 20s"))

    assert outcome is Outcome.PASSED, message
    assert len(feed.heads) == 2
    assert "last-event-id" not in feed.heads[0]
    assert "last-event-id: 6\r\n" in feed.heads[1]


async def test_a_server_that_is_gone_meanwhile_is_a_gap(tmp_path: Path) -> None:
    async with listening(Feed([b"retry: 50\n\n"], ends=True)) as server:
        outcome, reason, message = await run(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.RESET), message
    assert "may have been missed" in message


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n",
        b"220 mail.example.com\r\n\r\n",
    ],
)
async def test_what_is_no_stream_is_told(tmp_path: Path, head: bytes) -> None:
    async with listening(Feed([], head=head)) as server:
        outcome, reason, message = await run(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.BAD_ANSWER), message


async def test_silence_instead_of_an_answer_is_a_timeout(tmp_path: Path) -> None:
    async with listening(Feed([], head=b"")) as server:
        outcome, reason, message = await run(tmp_path, server.port, STEP.replace("timeout: 10s", "timeout: 700ms"))

    assert (outcome, reason) == (Outcome.FAILED, Reason.TIMEOUT), message


async def test_where_nobody_listens_it_is_refused(tmp_path: Path) -> None:
    outcome, reason, message = await run(tmp_path, free_port())

    assert (outcome, reason) == (Outcome.FAILED, Reason.REFUSED), message


async def test_an_address_that_no_rule_allows_gets_no_packet(tmp_path: Path) -> None:
    steps = "- {id: s, sse: '${vars.place}', expect: [count == 1]}"
    server: Port
    async with listening(Feed([PLACED])) as server:
        text = probe(steps).replace("system:", f"vars: {{place: 'http://127.0.0.1:{server.port}/'}}\nsystem:")
        record = await run_probe(tmp_path, text, settings("http://shop.example.com"))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert server.connections == 0


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_may_end_in_three_ways_and_pieces_anywhere(end: str, size: int) -> None:
    text = "\ufeffevent: é\ndata:  two\ndata\n: x\n\nid: 1\ndata:a:b\n\nevent: empty\n\ndata: open"
    content = text.replace("\n", end).encode()
    parser = Parser(Memory())

    got = [m for at in range(0, len(content), size) for m in parser.take(content[at : at + size])]

    assert [(m.subject, m.content, m.facts["id"]) for m in got] == [("é", b" two\n", ""), ("message", b"a:b", "1")]


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("- {id: s, sse: events, expect: [count == 1]}", "sse-url"),
        ("- {id: s, sse: 'https://other.example.com/', expect: [count == 1]}", "host-not-allowed"),
        ("- {id: s, sse: /e, headers: {Last-Event-ID: '1'}, expect: [count == 1]}", "http-header"),
        ("- {id: s, sse: /e, expect: [message.event == 'a']}", "undeclared-name"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, steps: str, code: str) -> None:
    found = faults(tmp_path, probe(steps), settings("https://shop.example.com"))

    assert any(one.startswith(f"{code}:") for one in found), found
