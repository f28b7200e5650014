"""What one request costs: our transport beside httpx's stock one, httpx's Request and Response objects included.

    python -m tests.bench.wire_cost http://127.0.0.1:PORT --requests 2000 [--loop uvloop]

Prints one JSON line for kept and for new connections; the transports take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Sequence

import httpx

from synthmon.runtime.outbound.stamps import Address
from synthmon.runtime.wire.transport import WireTransport
from tests.bench.figures import Beside, Row, median
from tests.bench.processes import Bench, ask

ROUNDS = 3
SIDE_BY_SIDE = 16

Make = Callable[[], httpx.AsyncBaseTransport]


def measure(bench: Bench) -> Sequence[Row]:
    """A request over a kept connection, and over a new one."""
    requests = int(bench.secs(2000, 320))
    told = ask(bench, "tests.bench.wire_cost", bench.shop, "--requests", requests, limit_s=120)
    return [
        Row(f"a request, {one['connection']}", one["wire"], "ms CPU", beside=[Beside("httpx", one["stock"])])
        for one in told
    ]


async def cpu_ms(make: Make, url: str, requests: int, *, kept: bool) -> float:
    """CPU of this process for one request."""

    async def one(transport: httpx.AsyncBaseTransport) -> None:
        request = httpx.Request("GET", f"{url}/json", headers={"User-Agent": "bench", "Accept": "*/*"})
        response = await transport.handle_async_request(request)
        assert b"ok" in await response.aread()
        await response.aclose()

    async def worker() -> None:
        transport = make()
        for _ in range(requests // SIDE_BY_SIDE):
            await one(transport)
            if not kept:
                await transport.aclose()
                transport = make()
        await transport.aclose()

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(SIDE_BY_SIDE)))
    return (time.process_time() - began) * 1000 / (requests // SIDE_BY_SIDE * SIDE_BY_SIDE)


async def run(url: str, requests: int) -> None:
    context = ssl.create_default_context()
    makes: dict[str, Make] = {
        "wire": lambda: WireTransport(_loopback, context),
        "stock": lambda: httpx.AsyncHTTPTransport(verify=context),
    }
    for kept in (True, False):
        figures: dict[str, list[float]] = {name: [] for name in makes}
        for _ in range(ROUNDS):
            for name, make in makes.items():
                figures[name].append(await cpu_ms(make, url, requests, kept=kept))
        medians = {name: median(times) for name, times in figures.items()}
        print(json.dumps({"connection": "kept connection" if kept else "new connection", **medians}), flush=True)


async def _loopback(host: str, port: int) -> Sequence[Address]:
    return [Address(socket.AF_INET, "127.0.0.1", port)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("url")
    arguments.add_argument("--requests", type=int, default=2000)
    arguments.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    wanted = arguments.parse_args()
    factory = None
    if wanted.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(wanted.url, wanted.requests))


if __name__ == "__main__":
    main()
