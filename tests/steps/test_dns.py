"""`dns` against a server of names on loopback, over UDP and TCP."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from synthmon.core.outcomes import Outcome, Reason
from synthmon.steps import dns as kind
from tests.connections.running import faults
from tests.servers.ports import free_port
from tests.steps.speaking import probe, run_steps, settings

Answer = Callable[[dns.message.Message, bool], dns.message.Message | bytes | None]

RECORDS = {
    "A": ["192.0.2.2", "192.0.2.1"],
    "MX": ["10 mail.example.com."],
    "TXT": ['"v=spf1 " "-all"'],
    "AAAA": ["2001:db8::1"],
    "SRV": ["0 5 5060 sip.example.com."],
    "NS": ["ns.example.com."],
    "SOA": ["ns.example.com. root.example.com. 1 2 3 4 5"],
    "CNAME": ["elsewhere.example.com."],
}


class Names(asyncio.DatagramProtocol):
    """The UDP side of a server, and what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.port, self.packets = answer, 0, 0
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets += 1
        reply = self.reply(data, False)
        if reply is not None and self.transport is not None:
            self.transport.sendto(reply, addr)

    def reply(self, data: bytes, over_tcp: bool) -> bytes | None:
        made = self.answer(dns.message.from_wire(data), over_tcp)
        return made.to_wire() if isinstance(made, dns.message.Message) else made


@asynccontextmanager
async def names(answer: Answer) -> AsyncIterator[Names]:
    server = Names(answer)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        reply = server.reply(await reader.readexactly(size), True)
        if reply is not None:
            writer.write(struct.pack("!H", len(reply)) + reply)
            await writer.drain()
        writer.close()

    streams = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.port = streams.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", server.port)
    )
    try:
        yield server
    finally:
        transport.close()
        streams.close()
        await asyncio.sleep(0)


def known(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    reply = dns.message.make_response(query)
    (question,) = query.question
    name, word = str(question.name), question.rdtype.name  # type: ignore[attr-defined]
    if name.startswith("gone."):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif name.startswith("alias."):
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", "shop.example.com."))
        reply.answer.append(dns.rrset.from_text("shop.example.com.", 300, "IN", word, *RECORDS[word]))
    else:
        reply.answer.append(dns.rrset.from_text(question.name, 300, "IN", word, *RECORDS[word]))
    return reply


def long(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    """It fits only into TCP."""
    reply = known(query, over_tcp)
    if not over_tcp:
        reply.answer.clear()
        reply.flags |= dns.flags.TC
    return reply


def silent(query: dns.message.Message, over_tcp: bool) -> None:
    """It says nothing."""


def nonsense(query: dns.message.Message, over_tcp: bool) -> bytes:
    return b"\x00\x01" + b"\xff" * 3


STEP = """
- id: name
  dns: {name}
  type: {word}
  server: "localhost:{port}"
  timeout: {timeout}
  expect:
    - {check}
"""


async def ask(
    folder: Path, port: int, check: str, name: str = "shop.example.com", word: str = "A", timeout: str = "30s"
) -> tuple[Outcome, Reason, str]:
    steps = STEP.format(name=name, word=word, port=port, timeout=timeout, check=f"'{check}'")
    record = await run_steps(folder, steps, "http://localhost")
    return record.outcome, record.reason, record.message


@pytest.mark.parametrize("server", [known, long], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("word", "check"),
    [
        ("A", 'answers == ["192.0.2.1", "192.0.2.2"] && count == 2 && ttl == duration("300s")'),
        ("MX", 'answers[0] == "10 mail.example.com." && status == "NOERROR"'),
        ("TXT", 'answers == ["v=spf1 -all"]'),
        ("SRV", 'answers == ["0 5 5060 sip.example.com."]'),
        ("CNAME", 'answers == ["elsewhere.example.com."] && elapsed > duration("0s")'),
    ],
)
async def test_the_records_of_a_name_are_told(tmp_path: Path, server: Answer, word: str, check: str) -> None:
    async with names(server) as running:
        outcome, _, message = await ask(tmp_path, running.port, check, word=word)

    assert outcome is Outcome.PASSED, message


async def test_an_alias_is_followed_and_no_answer_itself(tmp_path: Path) -> None:
    async with names(known) as running:
        outcome, _, message = await ask(tmp_path, running.port, "count == 2", "alias.example.com")

    assert outcome is Outcome.PASSED, message


async def test_that_there_is_no_such_name_is_an_answer(tmp_path: Path) -> None:
    async with names(known) as running:
        outcome, _, message = await ask(
            tmp_path, running.port, 'status == "NXDOMAIN" && count == 0', "gone.example.com"
        )
        failed, reason, said = await ask(tmp_path, running.port, 'ttl > duration("1s")', "gone.example.com")

    assert outcome is Outcome.PASSED, message
    assert (failed, reason) == (Outcome.FAILED, Reason.EXPECTATION), said
    assert "NXDOMAIN" in said


async def test_another_record_fails(tmp_path: Path) -> None:
    async with names(known) as running:
        outcome, reason, message = await ask(tmp_path, running.port, 'answers == ["192.0.2.9"]')

    assert (outcome, reason) == (Outcome.FAILED, Reason.EXPECTATION), message


async def test_a_server_that_is_silent_is_asked_again_and_then_at_fault(tmp_path: Path) -> None:
    async with names(silent) as running:
        outcome, reason, message = await ask(tmp_path, running.port, "count == 1", timeout="1s")

    assert (outcome, reason) == (Outcome.FAILED, Reason.TIMEOUT), message
    assert running.packets >= 2


async def test_a_lost_packet_costs_no_run(tmp_path: Path) -> None:
    asked: list[int] = []

    def forgetful(query: dns.message.Message, over_tcp: bool) -> dns.message.Message | None:
        asked.append(1)
        return known(query, over_tcp) if len(asked) > 1 else None

    async with names(forgetful) as running:
        outcome, _, message = await ask(tmp_path, running.port, "count == 2", timeout="6s")

    assert outcome is Outcome.PASSED, message


async def test_nonsense_is_no_answer(tmp_path: Path) -> None:
    async with names(nonsense) as running:
        outcome, _, message = await ask(tmp_path, running.port, "count == 1", timeout="1s")

    assert outcome is Outcome.FAILED, message


async def test_where_no_server_listens_there_is_no_answer(tmp_path: Path) -> None:
    outcome, reason, message = await ask(tmp_path, free_port(), "count == 1", timeout="1s")

    assert (outcome, reason) == (Outcome.FAILED, Reason.TIMEOUT), message


async def test_a_resolver_of_ours_that_is_dead_is_our_own_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "resolv.conf"
    own.write_text("nameserver 127.0.0.1\n")
    monkeypatch.setattr(kind, "RESOLVERS", str(own))
    steps = "- {id: name, dns: shop.example.com, timeout: 1s, expect: [count == 1]}"
    async with names(silent) as running:
        monkeypatch.setattr(kind, "PORT", running.port)
        silence = await run_steps(tmp_path / "silent", steps, "http://localhost")
    refused = await run_steps(tmp_path / "refused", steps, "http://localhost")
    async with names(known) as running:
        monkeypatch.setattr(kind, "PORT", running.port)
        alive = await run_steps(tmp_path / "alive", steps.replace("== 1", "== 2"), "http://localhost")

    assert (silence.outcome, silence.reason) == (Outcome.UNKNOWN, Reason.RESOLVER), silence.message
    assert (refused.outcome, refused.reason) == (Outcome.UNKNOWN, Reason.RESOLVER), refused.message
    assert alive.outcome is Outcome.PASSED, alive.message


async def test_a_server_that_no_rule_allows_gets_no_packet(tmp_path: Path) -> None:
    async with names(known) as running:
        steps = STEP.format(name="a.example.com", word="A", port=running.port, timeout="5s", check="count == 2")
        record = await run_steps(tmp_path, steps, "http://shop.example.com")

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert running.packets == 0


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("- {id: s, dns: 'https://shop.example.com', expect: [count == 1]}", "dns-name"),
        ("- {id: s, dns: shop.example.com, server: 'https://a', expect: [count == 1]}", "dns-name"),
        ("- {id: s, dns: shop.example.com, type: PTR, expect: [count == 1]}", "unknown-word"),
        ("- {id: s, dns: shop.example.com, expect: [body == 1]}", "undeclared-name"),
        ("- {id: s, dns: shop.example.com, leaves: nothing, expect: [count == 1]}", "undo-of-a-read"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, steps: str, code: str) -> None:
    found = faults(tmp_path, probe(steps), settings("https://shop.example.com"))

    assert any(one.startswith(f"{code}:") for one in found), found
