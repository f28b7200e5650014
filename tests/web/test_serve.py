"""Serving over real sockets: addresses, TLS, clients that dawdle, an end that comes."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import time
from contextlib import suppress

import httpx
import pytest
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from synthmon.web.patience import Patience
from synthmon.web.serve import address_of, bind, serving
from synthmon.web.web_config import read
from tests.web.conftest import an_app
from tests.web.some import a_monitor

HASTY = Patience(request_s=0.3, read_s=0.3, connections=8)


async def hello(scope, receive, send):
    """Says hello to everybody."""
    await PlainTextResponse("hello")(scope, receive, send)


async def dial(base):
    """A raw connection to a server."""
    host, _, port = base.partition("://")[2].rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_port_0_takes_a_free_one_and_says_which():
    sock = bind("127.0.0.1:0")

    async with serving(hello, sock) as base, httpx.AsyncClient() as client:
        assert base == f"http://{address_of(sock)}"
        assert not base.endswith(":0")
        assert (await client.get(base)).text == "hello"


def test_a_taken_address_is_refused_before_anything_runs():
    taken = bind("127.0.0.1:0")

    with taken, pytest.raises(OSError, match="in use"):
        bind(address_of(taken))


@pytest.mark.parametrize("listen", ["", "9880", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", ":-1"])
def test_what_is_no_address_is_said_with_an_example(listen):
    with pytest.raises(ValueError, match=r"write host:port, for instance 127\.0\.0\.1:9880"):
        bind(listen)


async def test_signals_stay_with_the_daemon():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async with serving(hello, bind("127.0.0.1:0")):
        during = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    assert during == before


async def test_the_end_waits_for_a_request_under_way_but_not_forever():
    begun, ended = asyncio.Event(), []

    async def slow(scope, receive, send):
        begun.set()
        seconds = float(scope["query_string"])
        await asyncio.sleep(seconds)
        ended.append(seconds)
        await PlainTextResponse("done")(scope, receive, send)

    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        async with serving(slow, bind("127.0.0.1:0"), grace_s=10) as base:
            waiting = asyncio.create_task(client.get(f"{base}/?0.3"))
            await begun.wait()
        assert (await waiting).text == "done"

        begun.clear()
        async with serving(slow, bind("127.0.0.1:0"), grace_s=0.2) as base:
            waiting = asyncio.create_task(client.get(f"{base}/?3600"))
            await begun.wait()
        with pytest.raises(httpx.TransportError):
            await waiting
    assert ended == [0.3]


async def test_the_address_is_free_again_after_the_end():
    sock = bind("127.0.0.1:0")
    address = address_of(sock)
    async with serving(hello, sock):
        pass

    with bind(address) as again:
        assert address_of(again) == address


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nhalf",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HT",
    ],
)
async def test_half_a_request_is_cut(half):
    async def patient(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await PlainTextResponse("hello")(scope, receive, send)

    async with serving(patient, bind("127.0.0.1:0"), patience=HASTY) as base:
        reader, writer = await dial(base)
        writer.write(half)

        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):
                await reader.read()
        writer.close()


async def test_a_drip_of_header_bytes_buys_no_time():
    async with serving(hello, bind("127.0.0.1:0"), patience=HASTY) as base:
        reader, writer = await dial(base)
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")

        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)  # the pace of the drip
        writer.close()


async def test_a_huge_head_is_refused():
    async with serving(hello, bind("127.0.0.1:0")) as base:
        reader, writer = await dial(base)
        writer.write(b"GET / HTTP/1.1\r\n" + b"X-Large: " + b"x" * 200_000 + b"\r\n\r\n")

        async with asyncio.timeout(10):
            assert b"400" in await reader.readline()
        writer.close()


async def test_who_does_not_read_the_answer_is_cut():
    ended = asyncio.Event()

    async def flood(scope, receive, send):
        async def parts():
            while True:
                yield b"x" * 65_536
                await asyncio.sleep(0)

        try:
            await StreamingResponse(parts())(scope, receive, send)
        finally:
            ended.set()

    async with serving(flood, bind("127.0.0.1:0"), patience=HASTY) as base:
        _, writer = await dial(base)
        writer.transport.pause_reading()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        await asyncio.wait_for(ended.wait(), 15)
        writer.close()


async def test_many_silent_clients_never_keep_a_scrape_out():
    patience = Patience(request_s=60, connections=20)
    async with serving(hello, bind("127.0.0.1:0"), patience=patience) as base, httpx.AsyncClient() as client:
        silent = []
        for _ in range(60):
            silent.append(await dial(base))
            silent[-1][1].write(b"GET / HTTP/1.1\r\nX-Slow: ")
            assert (await client.get(base, headers={"connection": "close"})).text == "hello"

        gone = sum(reader.at_eof() or reader.exception() is not None for reader, _ in silent)
        assert gone >= 60 - 20 - 2
        for _, writer in silent:
            writer.close()


async def test_a_busy_client_is_not_sent_away_for_a_silent_one():
    going, let_go = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        going.set()
        await let_go.wait()
        await Response("kept")(scope, receive, send)

    async with serving(slow, bind("127.0.0.1:0"), patience=Patience(connections=3)) as base:
        async with httpx.AsyncClient() as client:
            busy = asyncio.create_task(client.get(base))
            await going.wait()
            silent = [await dial(base) for _ in range(8)]
            let_go.set()
            assert (await busy).text == "kept"
        for _, writer in silent:
            writer.close()


async def test_garbage_is_answered_and_forgotten():
    async with serving(an_app(await a_monitor()), bind("127.0.0.1:0")) as base, httpx.AsyncClient() as client:
        for garbage in (
            b"\x16\x03\x01\x02\x00",
            b"GET //[::1 HTTP/1.1\r\n\r\n",
            b"GET http://[ HTTP/1.1\r\n\r\n",
            b"\r\n" * 9,
        ):
            reader, writer = await dial(base)
            writer.write(garbage)
            writer.write_eof()
            async with asyncio.timeout(15):
                await reader.read()
            writer.close()

        assert (await client.get(f"{base}/healthz")).text == "alive\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, one day."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True
    )
    return folder


async def test_tls_from_a_web_config_file(certificate):
    tree = {"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"}}
    tls = read(tree, str(certificate / "web.yaml")).tls
    trust = ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    async with serving(hello, bind("127.0.0.1:0"), tls.context()) as base:
        async with httpx.AsyncClient(verify=trust) as client:
            assert base.startswith("https://")
            assert (await client.get(base)).text == "hello"
        async with httpx.AsyncClient() as stranger:
            with pytest.raises(httpx.ConnectError):
                await stranger.get(base)


def test_a_missing_certificate_is_an_error_of_the_start(tmp_path):
    tls = read({"tls_server_config": {"cert_file": "no.pem", "key_file": "no.pem"}}, str(tmp_path / "web.yaml")).tls

    with pytest.raises(FileNotFoundError):
        tls.context()


async def test_the_page_is_served_whole_and_packed():
    began = time.monotonic()
    async with serving(an_app(await a_monitor()), bind("127.0.0.1:0")) as base, httpx.AsyncClient() as client:
        page = await client.get(base)
        metrics = await client.get(f"{base}/metrics", headers={"accept": "application/openmetrics-text"})

    assert page.headers["content-encoding"] == metrics.headers["content-encoding"] == "gzip"
    assert "server" not in page.headers
    assert metrics.text.endswith("# EOF\n")
    assert page.text.endswith("</html>")
    assert time.monotonic() - began < 30


def test_a_name_of_both_families_listens():
    with bind("localhost:0") as sock:
        assert sock.family in (socket.AF_INET, socket.AF_INET6)
