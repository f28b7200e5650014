"""Whom TLS believes, certificate by certificate, over both transports."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from synthmon.core.door import HttpRequest
from synthmon.core.outcomes import Reason
from synthmon.core.system import Tls
from synthmon.runtime.outbound.trust import context_of
from tests.runtime.door_servers import ENVELOPE, answer, answered, door_to, names, shop, troubled
from tests.runtime.tls_matrix import BAD, DAYS, GOOD, Row, World, authority

TRANSPORTS = ("stock", "wire")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(authority("the root"), tmp_path_factory.mktemp("tls"))


@contextmanager
def showing(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """A server in a thread: its port, and what it heard. Unlike asyncio's it sends the alert of a failed handshake."""
    heard: list[bytes] = []
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                connection.settimeout(10)
                with connection, context.wrap_socket(connection, server_side=True) as secured:
                    while data := secured.recv(65536):
                        heard.append(data)
                        secured.sendall(answer(b'{"ok": true}'))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield listening.getsockname()[1], heard
        finally:
            over.set()
            thread.join()


async def ask(row: Row, world: World, transport: str):
    """What comes of a request to a server of this row, and what the server heard."""
    with showing(row.server(world)) as (port, heard):
        system = shop(
            f"https://{row.host}:{port}",
            allow_networks=("127.0.0.0/8",),
            transport=transport,
            tls=Tls(ca=world.ca_file),
        )
        async with door_to(system, look_up=names({row.host: "127.0.0.1"})) as door:
            result = await door.http(HttpRequest("GET", "/"), ENVELOPE)
    return result, heard


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("what", BAD)
async def test_a_bad_certificate_or_version_is_refused_before_a_byte_is_told(what, transport, world):
    result, heard = await ask(BAD[what], world, transport)

    trouble = troubled(result)
    assert (trouble.reason, trouble.sent) == (Reason.TLS, False), trouble.detail
    assert BAD[what].said in trouble.detail
    assert heard == []


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("what", GOOD)
async def test_a_good_one_is_believed_and_says_how_long_it_lasts(what, transport, world):
    result, heard = await ask(GOOD[what], world, transport)

    timing = answered(result).timing
    assert timing.tls_expires_in_s == pytest.approx(DAYS * 86400, abs=600)
    assert len(heard) == 1


def test_strength_is_asked_for_whatever_the_system_defaults_to():
    assert context_of(Tls()).security_level >= 2
