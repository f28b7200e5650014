"""`websocket` against a real server: what it says and hears, and what is said of it when it ends."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers

from synthmon.core.outcomes import Outcome, Reason
from synthmon.steps import websocket as kind
from tests.connections.running import faults, run_probe
from tests.servers.ports import free_port
from tests.steps.speaking import listening, probe, run_steps, settings

Feed = Callable[[ServerConnection], Awaitable[None]]


class Live:
    """A server of feeds, and what it saw."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.port = next(iter(server.sockets)).getsockname()[1]
        self.headers: list[Headers] = []
        self.paths: list[str] = []

    def kill(self) -> None:
        """As the end of its process does."""
        for connection in self._server.connections:
            connection.transport.abort()


@asynccontextmanager
async def live(feed: Feed, tls: ssl.SSLContext | None = None) -> AsyncIterator[Live]:
    seen: list[Live] = []

    async def connected(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen[0].headers.append(connection.request.headers)
        seen[0].paths.append(connection.request.path)
        await feed(connection)

    async with serve(connected, "127.0.0.1", 0, ssl=tls, subprotocols=None) as server:
        seen.append(Live(server))
        yield seen[0]


async def ordering(connection: ServerConnection) -> None:
    """Every `order` is confirmed to who subscribed before."""
    subscribed = json.loads(await connection.recv())
    await connection.send('{"type": "hello"}')
    await connection.send(json.dumps({"type": "subscribed", "reference": subscribed["reference"]}))
    await connection.send(json.dumps({"reference": subscribed["reference"], "state": "placed"}))
    await connection.wait_closed()


FEED = """
- id: feed
  websocket: /live?client=${{run.namespace}}
  open:
    - say: {{type: subscribe, reference: "${{run.namespace}}"}}
      until: message.json.type == "subscribed" && message.json.reference == run.namespace
  within: {within}
  timeout: {timeout}
  expect:
    - count == 1
    - message.json.state == "{state}"
    - message.subject == "text"
"""


def feed(within: str = "30s", state: str = "placed", timeout: str = "30s") -> str:
    return FEED.format(within=within, state=state, timeout=timeout)


def base(port: int) -> str:
    return f"http://localhost:{port}"


async def test_what_comes_after_the_dialogue_is_heard_and_the_handshake_bears_the_marks(tmp_path: Path) -> None:
    async with live(ordering) as server:
        record = await run_steps(tmp_path, feed(), base(server.port), "writes: true")

    assert record.outcome is Outcome.PASSED, record.message
    (headers,), (path,) = server.headers, server.paths
    assert headers["x-correlation-id"] == record.run_id
    assert headers["traceparent"].split("-")[1] == record.run_id
    assert "synthetic_request=true" in headers["baggage"]
    assert headers["user-agent"].startswith("synthmon/")
    assert path.startswith("/live?client=syn-")


async def test_another_message_fails(tmp_path: Path) -> None:
    async with live(ordering) as server:
        record = await run_steps(tmp_path, feed("1s", "paid"), base(server.port), "writes: true")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message


async def test_a_message_that_never_comes_is_lost(tmp_path: Path) -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.send('{"reference": "of somebody else"}')
        await connection.wait_closed()

    steps = "- {id: feed, websocket: /live, within: 1s, expect: [count == 1]}"
    async with live(silent) as server:
        record = await run_steps(tmp_path, steps, base(server.port))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LOST), record.message


async def test_a_server_that_never_says_what_is_awaited_is_silent(tmp_path: Path) -> None:
    async def mute(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with live(mute) as server:
        record = await run_steps(tmp_path, feed(timeout="700ms"), base(server.port), "writes: true")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.TIMEOUT), record.message


async def test_a_server_that_does_not_speak_websocket_is_told(tmp_path: Path) -> None:
    async def unavailable(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with listening(unavailable) as server:
        record = await run_steps(tmp_path, feed(), base(server.port), "writes: true")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.BAD_ANSWER), record.message
    assert "503" in record.message


async def test_where_nobody_listens_it_is_refused(tmp_path: Path) -> None:
    record = await run_steps(tmp_path, feed(), base(free_port()), "writes: true")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.REFUSED), record.message


@pytest.mark.parametrize("how", ["killed", "closed"])
async def test_a_server_that_goes_away_meanwhile_is_a_gap_and_is_not_connected_to_again(
    tmp_path: Path, how: str
) -> None:
    async def leaving(connection: ServerConnection) -> None:
        if how == "closed":
            await connection.close(1001, "going away")
        else:
            connection.transport.abort()

    steps = "- {id: feed, websocket: /live, within: 2s, expect: [count == 1]}"
    async with live(leaving) as server:
        record = await run_steps(tmp_path, steps, base(server.port))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.RESET), record.message
    assert "not opened again" in record.message
    assert ("1001: going away" in record.message) is (how == "closed")
    assert len(server.headers) == 1


async def test_a_server_that_answers_no_ping_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "SILENCE_S", 0.2)

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.wait_closed()

    steps = "- {id: feed, websocket: /live, within: 3s, expect: [count == 1]}"
    async with live(deaf) as server:
        record = await run_steps(tmp_path, steps, base(server.port))
        server.kill()

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.RESET), record.message
    assert "ping" in record.message


async def test_over_tls_the_certificate_is_checked_and_a_secret_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOKEN_PIN", 'open-"sesame"-please')
    heard: list[str] = []

    async def tattling(connection: ServerConnection) -> None:
        heard.append(str(await connection.recv()))
        await connection.send("open-" + '"sesame"-please is wrong')
        await connection.wait_closed()

    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    steps = """
    - id: feed
      websocket: wss://localhost:{port}/live?token=${{secret.pin}}
      headers: {{Authorization: "Bearer ${{secret.pin}}"}}
      open:
        - say: {{pin: "${{secret.pin}}"}}
      where: message.text.contains("wrong")
      within: 2s
      expect: [message.text == "right"]
    """
    async with live(tattling, context) as server:
        options = f"writes: true\ntls: {{ca: {tmp_path / 'ca.pem'}}}"
        secrets = "secrets: {pin: env:SPOKEN_PIN}"
        written = steps.format(port=server.port)
        record = await run_steps(tmp_path, written, base(server.port), options, secrets)
        mistrusted = await run_steps(tmp_path, written, base(server.port), "writes: true", secrets)

    assert [json.loads(text) for text in heard] == [{"pin": 'open-"sesame"-please'}]
    assert server.headers[0]["authorization"] == 'Bearer open-"sesame"-please'
    assert server.paths == ["/live?token=open-%22sesame%22-please"]
    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message
    assert "sesame" not in repr(record)
    assert (mistrusted.outcome, mistrusted.reason) == (Outcome.FAILED, Reason.TLS), mistrusted.message


async def test_an_address_that_no_rule_allows_gets_no_packet(tmp_path: Path) -> None:
    steps = "- {id: feed, websocket: '${vars.place}', expect: [count == 1]}"

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(nothing) as server:
        text = probe(steps).replace("system:", f"vars: {{place: 'ws://127.0.0.1:{server.port}/'}}\nsystem:")
        record = await run_probe(tmp_path, text, settings("http://shop.example.com"))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert server.connections == 0


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("- {id: s, websocket: live, expect: [count == 1]}", "websocket-url"),
        ("- {id: s, websocket: 'wss://other.example.com/', expect: [count == 1]}", "host-not-allowed"),
        ("- {id: s, websocket: /live, open: [{say: x}], expect: [count == 1]}", "write-not-allowed"),
        ("- {id: s, websocket: /live, open: [{until: message.txt == ''}], expect: [count == 1]}", "undeclared-name"),
        ("- {id: s, websocket: /live, open: [{say: x, til: y}], expect: [count == 1]}", "unknown-key"),
        ("- {id: s, websocket: /live, headers: {Upgrade: h2c}, expect: [count == 1]}", "http-header"),
        ("- {id: s, websocket: /live, headers: {Sec-WebSocket-Key: a}, expect: [count == 1]}", "http-header"),
        ("- {id: s, websocket: /live}", "no-check"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, steps: str, code: str) -> None:
    found = faults(tmp_path, probe(steps), settings("https://shop.example.com"))

    assert any(one.startswith(f"{code}:") for one in found), found
