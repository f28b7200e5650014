"""Whose fault it was: every way in which an act brings no answer, produced for real, over both transports."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from synthmon.core.door import HttpRequest, Trouble
from synthmon.core.outcomes import Reason, whose
from synthmon.core.secrets import Vault, seal
from synthmon.core.system import Tls
from synthmon.runtime.doors import Doors
from synthmon.runtime.outbound.stamps import Address
from tests.runtime.door_certificates import Authority, make_authority
from tests.runtime.door_narrow import BODY
from tests.runtime.door_servers import (
    ENVELOPE,
    RUN,
    Talk,
    Target,
    answer,
    answered,
    door_to,
    names,
    read_request,
    redirect,
    shop,
    talking,
    troubled,
)
from tests.servers.ports import free_port

TRANSPORTS = ("stock", "wire")
GET = HttpRequest("GET", "/")
VAULT = Vault({"secret.token": "t0p-s3cret-value"})


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def sending(*pieces: bytes, reset: bool = False) -> Talk:
    """Read the request, send this, and end the connection: in good order, or with a reset."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if reset:
            if pieces:
                await asyncio.sleep(0.05)  # else the reset would overtake what was sent
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    return talk


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def stuck_in_mid_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(HEAD + b"x" * 50)
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await reader.read(1)


def good(authority: Authority) -> ssl.SSLContext:
    return authority.serving("shop.test")


@dataclass
class Row:
    """One way to fail. `https` without `tls`: the server does not even begin TLS."""

    reason: Reason
    talk: Talk = silence
    sent: bool = True
    words: str = ""
    tls: Callable[[Authority], ssl.SSLContext] | None = None
    https: bool = False
    request: HttpRequest = GET
    timeout_s: float = 10
    system: dict[str, Any] = field(default_factory=dict)
    table: dict[str, str] = field(default_factory=lambda: {"shop.test": "127.0.0.1"})


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
THEIRS = {
    "reset after the request": Row(
        Reason.RESET, sending(reset=True), words="broke the connection off while its answer"
    ),
    "closed without an answer": Row(Reason.NO_ANSWER, sending(), words="without a byte of an answer"),
    "silent until the deadline": Row(Reason.TIMEOUT, silence, timeout_s=1.5, words="while its answer was awaited"),
    "silent in mid-body": Row(Reason.TIMEOUT, stuck_in_mid_body, timeout_s=1.5, words="in the middle of its answer"),
    "not HTTP": Row(Reason.BAD_ANSWER, sending(b"SSH-2.0-OpenSSH_9.2\r\n"), words="no whole HTTP answer"),
    "reset in mid-body": Row(Reason.RESET, sending(HEAD + b"x" * 50, reset=True), words="in the middle of its answer"),
    "closed in mid-body": Row(Reason.BAD_ANSWER, sending(HEAD + b"x" * 50), words="no whole HTTP answer"),
    "closed in mid-header": Row(Reason.BAD_ANSWER, sending(b"HTTP/1.1 200 OK\r\nContent-Le"), words="no whole HTTP"),
    "a chunk that is none": Row(Reason.BAD_ANSWER, sending(CHUNKED + b"zz\r\nxx\r\n0\r\n\r\n")),
    "closed in mid-chunk": Row(Reason.BAD_ANSWER, sending(CHUNKED + b"ff\r\nxx")),
    "a body that is not what its coding says": Row(
        Reason.BAD_ANSWER, sending(answer(b"no", 200, "text/plain", "Content-Encoding: gzip")), words="not gzip"
    ),
    "redirects in a circle": Row(
        Reason.BAD_ANSWER, Target({"/": redirect("/")}).talk, words="more than 5 times", system={"follow": True}
    ),
    "redirects to no URL": Row(
        Reason.BAD_ANSWER,
        sending(redirect("http://shop.test:port/")),
        words="unusable location",
        system={"follow": True},
    ),
    "TLS certificate of another name": Row(
        Reason.TLS, tls=lambda a: a.serving("pay.test"), https=True, sent=False, words="not valid for 'shop.test'"
    ),
    "TLS certificate that names the host in its common name only": Row(
        Reason.TLS, tls=lambda a: a.serving_common_name_only("shop.test"), https=True, sent=False, words="shop.test"
    ),
    "TLS certificate that has expired": Row(
        Reason.TLS, tls=lambda a: a.serving("shop.test", not_after=YESTERDAY), https=True, sent=False, words="expired"
    ),
    "TLS certificate of an unknown authority": Row(
        Reason.TLS, tls=good, https=True, sent=False, words="not to be trusted", system={"tls": Tls()}
    ),
    "TLS that demands a client certificate": Row(
        Reason.TLS, tls=lambda a: a.demanding("shop.test"), https=True, sent=False
    ),
    "plain text where TLS should be": Row(Reason.TLS, plain_text, https=True, sent=False, words="does not speak TLS"),
    "closed in the TLS handshake": Row(Reason.TLS, hang_up, https=True, sent=False),
    "silent in the TLS handshake": Row(
        Reason.TIMEOUT, silence, https=True, sent=False, timeout_s=1.5, words="in the TLS handshake"
    ),
    "no such name": Row(Reason.NO_SUCH_NAME, sent=False, words="no address for shop.test", table={}),
    "a body over the limit": Row(
        Reason.TOO_LARGE, sending(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 11 * 1024 * 1024)
    ),
}
OURS = {
    "a host outside of the allow-list": Row(
        Reason.EGRESS_BLOCKED, sent=False, request=HttpRequest("GET", "http://pay.test/"), words="pay.test is not in"
    ),
    "an address outside of the allowed networks": Row(
        Reason.EGRESS_BLOCKED, sent=False, table={"shop.test": "10.0.0.1"}, words="10.0.0.1 is outside of"
    ),
    "a write that the settings forbid": Row(
        Reason.EGRESS_BLOCKED, sent=False, request=HttpRequest("POST", "/"), system={"writes": False}
    ),
    "a secret that is missing": Row(
        Reason.MISSING_SECRET,
        sent=False,
        request=HttpRequest("GET", "/", (("Authorization", seal("secret.other")),)),
        words="secret.other is not known",
    ),
    "a header with a line break": Row(
        Reason.EXPRESSION, sent=False, request=HttpRequest("GET", "/", (("X-A", "1\r\nX-B: 2"),)), words="line break"
    ),
    "a URL that is none": Row(Reason.EXPRESSION, sent=False, request=HttpRequest("GET", "http://shop.test:port/")),
}
ROWS = THEIRS | OURS


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("what", ROWS)
async def test_whose_fault_it_was(what: str, transport: str, authority: Authority) -> None:
    row = ROWS[what]
    context = row.tls(authority) if row.tls else None
    async with talking(row.talk, context) as port:
        known = {"allow_networks": ("127.0.0.0/8",), "transport": transport, "tls": Tls(ca=authority.ca_file)}
        system = shop(f"http{'s' * row.https}://shop.test:{port}", **{**known, **row.system})
        async with door_to(system, VAULT, names(row.table)) as door:
            trouble = troubled(await door.http(row.request, replace(ENVELOPE, timeout_s=row.timeout_s)))

    assert trouble.reason is row.reason, trouble.detail
    assert whose(trouble.reason) == ("theirs" if what in THEIRS else "ours")
    assert trouble.sent is row.sent
    assert row.words in trouble.detail


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_closed_port_is_theirs(transport: str) -> None:
    port = free_port()
    async with door_to(shop(port, transport=transport)) as door:
        trouble = troubled(await door.http(GET, ENVELOPE))

    assert (trouble.reason, trouble.sent) == (Reason.REFUSED, False)
    assert trouble.detail.startswith(f"127.0.0.1:{port} refused the connection: nobody listens there")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_target_that_accepts_nobody_any_more_is_theirs(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as crowd:
        port = server.getsockname()[1]
        for _ in range(2):
            waiting = crowd.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        async with door_to(shop(port, transport=transport)) as door:
            trouble = troubled(await door.http(GET, replace(ENVELOPE, timeout_s=2)))

    assert (trouble.reason, trouble.sent) == (Reason.TIMEOUT, False)
    assert "while connecting" in trouble.detail
    assert trouble.timing.connect_ms > 1000


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (socket.EAI_NONAME, Reason.NO_SUCH_NAME),
        (socket.EAI_NODATA, Reason.NO_SUCH_NAME),
        (socket.EAI_AGAIN, Reason.RESOLVER),
        (socket.EAI_FAIL, Reason.RESOLVER),
        (socket.EAI_SYSTEM, Reason.RESOLVER),
    ],
)
async def test_a_resolver_that_says_no_is_told_from_one_that_is_dead(code: int, reason: Reason, transport: str) -> None:
    async def look_up(name: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(code, "as resolved")

    async with door_to(shop("http://shop.test", transport=transport), look_up=look_up) as door:
        trouble = troubled(await door.http(GET, ENVELOPE))

    assert (trouble.reason, trouble.sent) == (reason, False)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_resolver_that_never_answers_is_ours(transport: str) -> None:
    async def look_up(name: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    async with door_to(shop("http://shop.test", transport=transport), look_up=look_up) as door:
        trouble = troubled(await door.http(GET, replace(ENVELOPE, timeout_s=2)))

    assert (trouble.reason, trouble.sent) == (Reason.RESOLVER, False)
    assert trouble.detail == "our resolver gave no answer for shop.test within 2 s"
    assert trouble.timing.dns_ms > 1900


@contextmanager
def answering_thread() -> Iterator[int]:
    """A server that our event loop cannot hold up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer(b"{}"))
                connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_loop_that_stood_still_past_the_timeout_is_ours(transport: str) -> None:
    with answering_thread() as port:
        async with door_to(shop(port, transport=transport)) as door:
            asking = asyncio.create_task(door.http(GET, replace(ENVELOPE, timeout_s=0.5)))
            await asyncio.sleep(0)
            time.sleep(0.9)  # noqa: ASYNC251 — to hold the loop is what this test is about
            result = await asking

    if isinstance(result, Trouble):
        assert result.reason is Reason.LOOP_STALLED, result.detail
        assert "our own event loop stood still" in result.detail
    else:  # the answer was there in time, and was read although the limit had passed
        assert result.timing.lagged or result.timing.kernel


async def test_a_loop_that_stumbled_while_the_target_was_silent_does_not_excuse_the_target() -> None:
    async with talking(silence) as port, door_to(shop(port)) as door:
        asking = asyncio.create_task(door.http(GET, replace(ENVELOPE, timeout_s=4)))
        await asyncio.sleep(0.4)
        time.sleep(0.5)  # noqa: ASYNC251 — to hold the loop is what this test is about
        trouble = troubled(await asking)

    assert trouble.reason is Reason.TIMEOUT
    assert trouble.timing.lagged


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_out_of_descriptors_is_ours(transport: str) -> None:
    target = Target()
    async with talking(target.talk) as port:
        told = await _told_by(sys.executable, "-m", "tests.runtime.door_starved", str(port), transport)

    assert told == {"by address": Reason.DESCRIPTORS, "by name": Reason.DESCRIPTORS}


@pytest.mark.platform_limit("root")
@pytest.mark.platform_limit("netns")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_our_own_routes_are_told_from_what_the_network_says(transport: str) -> None:
    told = await _told_by("unshare", "--net", sys.executable, "-m", "tests.runtime.door_netns", transport)

    reasons = {row: reason for row, (reason, _, _) in told.items()}
    soft = reasons.pop("net unreachable, says the router")  # Linux keeps trying after this one (RFC 1122 4.2.3.9)
    assert soft in (Reason.TIMEOUT, Reason.UNREACHABLE)
    assert reasons == {
        "route prohibited here": Reason.PROHIBITED,
        "route unreachable here": Reason.PROHIBITED,
        "route blackholed here": Reason.PROHIBITED,
        "no route here": Reason.PROHIBITED,
        "host unreachable, says the router": Reason.UNREACHABLE,
        "prohibited, says the router": Reason.UNREACHABLE,
        "swallowed by the router": Reason.TIMEOUT,
    }
    assert not any(sent for _, sent, _ in told.values())


@pytest.mark.platform_limit("root")
@pytest.mark.platform_limit("netns")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_packets_of_576_bytes_carry_long_requests_and_answers_whole(transport: str) -> None:
    told = await _told_by("unshare", "--net", sys.executable, "-m", "tests.runtime.door_narrow", transport)

    assert told == [200, len(BODY), len(BODY)]


async def test_a_defect_of_our_own_is_ours_and_costs_one_act() -> None:
    class Broken(httpx.AsyncBaseTransport):
        def __init__(self, *_: object) -> None: ...

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise KeyError("t0p-s3cret-value")

    async with Doors({"shop": shop("http://127.0.0.1")}, transports={"stock": Broken}) as doors:
        trouble = troubled(await doors.open(RUN, "checkout", VAULT).http(GET, ENVELOPE))

    assert (trouble.reason, whose(trouble.reason)) == (Reason.BROKEN, "ours")
    assert "t0p" not in trouble.detail


async def test_a_client_certificate_of_the_settings_is_shown(authority: Authority) -> None:
    cert, key = authority.client_files()
    target = Target()
    async with talking(target.talk, authority.demanding("shop.test")) as port:
        system = shop(
            f"https://shop.test:{port}",
            allow_networks=("127.0.0.0/8",),
            tls=Tls(ca=f"file:{authority.ca_file}", cert=cert, key=f"file:{key}"),
        )
        async with door_to(system, look_up=names({"shop.test": "127.0.0.1"})) as door:
            got = answered(await door.http(GET, ENVELOPE))

    assert got.timing.tls_ms > 0
    assert got.timing.tls_expires_in_s is not None


async def test_a_client_key_from_the_environment_never_touches_a_disk(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = authority.client_pems()
    monkeypatch.setenv("CLIENT_CERT", cert)
    monkeypatch.setenv("CLIENT_KEY", key)
    target = Target()
    async with talking(target.talk, authority.demanding("shop.test")) as port:
        system = shop(
            f"https://shop.test:{port}",
            allow_networks=("127.0.0.0/8",),
            tls=Tls(ca=authority.ca_file, cert="env:CLIENT_CERT", key="env:CLIENT_KEY"),
        )
        async with door_to(system, look_up=names({"shop.test": "127.0.0.1"})) as door:
            answered(await door.http(GET, ENVELOPE))


async def _told_by(*command: str) -> Any:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return json.loads(told)
