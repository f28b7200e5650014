"""blackbox_exporter doing what one step does: one probe, one new connection."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from tests.bench.processes import Bench, Unmeasured, charge, running
from tests.servers.ports import free_port

PROGRAM = "prometheus-blackbox-exporter"
_LANES = 16
_MODULES = """\
modules:
  http_body:
    prober: http
    timeout: 10s
    http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ['"ok":true']}
"""


def blackbox_ms(bench: Bench) -> float:
    """CPU ms of one probe, asked for over connections that are kept, as Prometheus does."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise Unmeasured("not installed")
    config = bench.made("blackbox") / "blackbox.yml"
    config.write_text(_MODULES)
    port = free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with running(bench, "blackbox", [program, f"--config.file={config}", listen]) as process:
        process.wait_for("Listening on", 15)
        with _asking(port, f"/probe?module=http_body&target={quote(bench.shop + '/json', safe='')}"):
            used = charge(bench, process, bench.secs(2, 0.5), bench.secs(4, 1))
    return used.cpu_s * 1000 / used.requests


@contextmanager
def _asking(port: int, path: str) -> Iterator[None]:
    """Ask as fast as answers come, from a thread of this process, which has the shop's CPU."""
    stop = threading.Event()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

    async def lane() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not stop.is_set():
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head.lower())
            if b"\nprobe_success 1" not in body:
                raise Unmeasured("a probe of blackbox_exporter failed")
        writer.close()

    async def lanes() -> None:
        await asyncio.gather(*(lane() for _ in range(_LANES)))

    faults: list[Exception] = []

    def ask() -> None:
        try:
            asyncio.run(lanes())
        except Exception as error:  # noqa: BLE001  told below, in the thread that waits for it
            faults.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        if faults:
            raise Unmeasured(f"asking it stopped: {faults[0]!r}")


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    _, named, length = head.partition(b"content-length:")
    if named:
        return await reader.readexactly(int(length.partition(b"\r\n")[0]))
    return await reader.readuntil(b"\r\n0\r\n\r\n")  # chunked
