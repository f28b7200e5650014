"""`tcp` against servers on loopback: what it reads and sends, what it tells of TLS, and whose fault a failure is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from synthmon.core.outcomes import Outcome, Reason
from tests.connections.running import faults, run_probe
from tests.servers.ports import free_port
from tests.steps.speaking import Serve, listening, probe, run_steps, settings


def greeting(text: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await reader.read()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def breaking_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ")
    await writer.drain()
    writer.transport.abort()


GREETED = """
- id: relay
  tcp: localhost:{port}
  until: "\\r\\n"
  timeout: {timeout}
  expect:
    - text == "220 ready\\r\\n"
    - elapsed > duration("0s")
    - phase.connect <= elapsed
"""


async def run_greeted(folder: Path, port: int, timeout: str = "30s") -> tuple[Outcome, Reason, str]:
    record = await run_steps(folder, GREETED.format(port=port, timeout=timeout), "http://localhost")
    return record.outcome, record.reason, record.message


async def test_what_a_port_says_is_read_until_enough_has_come(tmp_path: Path) -> None:
    async with listening(greeting(b"220 ready\r\n")) as server:
        outcome, _, message = await run_greeted(tmp_path, server.port)

    assert outcome is Outcome.PASSED, message


async def test_another_greeting_fails(tmp_path: Path) -> None:
    async with listening(greeting(b"554 go away\r\n")) as server:
        outcome, reason, message = await run_greeted(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.EXPECTATION), message
    assert "554 go away" in message


async def test_silence_is_a_timeout_and_theirs(tmp_path: Path) -> None:
    async with listening(silent) as server:
        outcome, reason, message = await run_greeted(tmp_path, server.port, "500ms")

    assert (outcome, reason) == (Outcome.FAILED, Reason.TIMEOUT), message


async def test_a_port_at_which_nobody_listens_refuses(tmp_path: Path) -> None:
    outcome, reason, message = await run_greeted(tmp_path, free_port())

    assert (outcome, reason) == (Outcome.FAILED, Reason.REFUSED), message


async def test_a_connection_that_is_reset_in_between_says_so(tmp_path: Path) -> None:
    async with listening(breaking_off) as server:
        outcome, reason, message = await run_greeted(tmp_path, server.port)

    assert outcome is Outcome.FAILED, message
    assert reason in (Reason.RESET, Reason.BAD_ANSWER), message


async def test_one_that_closes_without_a_word_gave_no_answer(tmp_path: Path) -> None:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """It hangs up."""

    async with listening(closing) as server:
        outcome, reason, message = await run_greeted(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.NO_ANSWER), message


async def test_a_flood_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with listening(greeting(b"x" * 1_000_000)) as server:
        outcome, reason, message = await run_greeted(tmp_path, server.port)

    assert (outcome, reason) == (Outcome.FAILED, Reason.TOO_LARGE), message


async def test_without_until_and_send_connecting_is_all(tmp_path: Path) -> None:
    steps = "- {id: port, tcp: ':%d', expect: [\"text == ''\", phase.connect < duration('30s')]}"
    async with listening(silent) as server:
        record = await run_steps(tmp_path, steps % server.port, "http://localhost:1")

    assert record.outcome is Outcome.PASSED, record.message


SENT = """
- id: said
  tcp: localhost:{port}
  say: "LOGIN ${{secret.pin}} ${{run.id}}\\r\\n"
  until: "\\r\\n"
  leaves: nothing
  expect:
    - text == "OK ${{run.id}}\\r\\n"
"""
SECRETS = "secrets: {pin: env:SPOKEN_PIN}"


async def test_what_is_sent_has_its_secrets_opened_and_they_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOKEN_PIN", "open-sesame-please")
    heard: list[bytes] = []

    async def repeating(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"NO open-sesame-please is wrong\r\n")

    async with listening(repeating) as server:
        steps = SENT.format(port=server.port)
        record = await run_steps(tmp_path, steps, "http://localhost", "writes: true", SECRETS)

    assert heard == [f"LOGIN open-sesame-please {record.run_id}\r\n".encode()]
    assert record.outcome is Outcome.FAILED
    assert "NO ••• is wrong" in record.message
    assert "open-sesame-please" not in repr(record)


def test_sending_is_a_write(tmp_path: Path) -> None:
    found = faults(tmp_path, probe(SENT.format(port=25)), settings("http://localhost", "", SECRETS))

    assert [one.partition(":")[0] for one in found] == ["write-not-allowed"], found


Serving = Callable[..., ssl.SSLContext]


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Serving, str]:
    """Makes a server's TLS, and the options of a system that believes it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def serving(name: str, days: int) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days)).configure_cert(context)
        return context

    return serving, f"tls: {{ca: {tmp_path / 'ca.pem'}}}"


SECURED = """
- id: port
  tcp: localhost:{port}
  tls: true
  expect:
    - tls.expires_in > days(14)
    - tls.version == "TLSv1.3"
    - tls.issuer.contains("trustme") && tls.subject.contains("trustme")
    - phase.tls > duration("0s")
"""


@pytest.mark.parametrize(("days", "outcome"), [(30, Outcome.PASSED), (7, Outcome.FAILED)])
async def test_a_certificate_that_expires_soon_is_told_before_it_has(
    tmp_path: Path, authority: tuple[Serving, str], days: int, outcome: Outcome
) -> None:
    serving, trusting = authority
    async with listening(silent, serving("localhost", days)) as server:
        record = await run_steps(tmp_path, SECURED.format(port=server.port), "http://localhost", trusting)

    assert record.outcome is outcome, record.message
    assert ("tls.expires_in" in record.message) is (outcome is Outcome.FAILED)


@pytest.mark.parametrize(("name", "days"), [("localhost", -1), ("elsewhere.example.com", 30)])
async def test_a_certificate_that_is_not_to_be_trusted_fails_by_itself(
    tmp_path: Path, authority: tuple[Serving, str], name: str, days: int
) -> None:
    serving, trusting = authority
    async with listening(silent, serving(name, days)) as server:
        record = await run_steps(tmp_path, SECURED.format(port=server.port), "http://localhost", trusting)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.TLS), record.message
    assert "certificate" in record.message


async def test_an_address_that_no_rule_allows_gets_no_packet(tmp_path: Path) -> None:
    steps = "- {id: s, tcp: '${vars.place}', expect: [text == '']}"
    async with listening(silent) as server:
        text = probe(steps).replace("system:", f"vars: {{place: '127.0.0.1:{server.port}'}}\nsystem:")
        record = await run_probe(tmp_path, text, settings("http://shop.example.com"))
        count = server.connections

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert count == 0


@pytest.mark.parametrize(
    ("steps", "base", "code"),
    [
        ("- {id: s, tcp: shop.example.com, expect: [text == '']}", "https://shop.example.com", "tcp-place"),
        (
            "- {id: s, tcp: 'other.example.com:25', expect: [text == '']}",
            "https://shop.example.com",
            "host-not-allowed",
        ),
        ("- {id: s, tcp: ':25', expect: [status == 200]}", "https://shop.example.com", "undeclared-name"),
        ("- {id: s, tcp: ':25', say: x, expect: [text == '']}", "https://shop.example.com", "write-not-allowed"),
        ("- {id: s, tcp: ':25', sey: x, expect: [text == '']}", "https://shop.example.com", "unknown-key"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, steps: str, base: str, code: str) -> None:
    found = faults(tmp_path, probe(steps), settings(base))

    assert any(one.startswith(f"{code}:") for one in found), found
