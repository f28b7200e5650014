"""What one request costs and how true its latency is: our transport beside httpx's stock one.

    python tests/bench/wire_cost.py [--requests 2000] [--loop asyncio|uvloop]

Prints one JSON line a figure. The server is a raw asyncio one in another process; CPU is that of this process alone and
includes the httpx Request and Response objects. Quote medians of interleaved rounds and ratios, not single times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import ssl
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe

import httpx

from synthmon.runtime.stamps import Address, Stamps
from synthmon.runtime.wire import WireTransport

BODY = b'{"order":"7f3c","state":"done","total":1299,"currency":"EUR"}'
ROUNDS = 3
SIDE_BY_SIDE = 16
DELAY_MS = 50


class Shop(asyncio.Protocol):
    """Answers every request; `/delay` after `DELAY_MS`, with the truth in a header."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /delay"):
            arrived = time.perf_counter()
            asyncio.get_running_loop().call_later(DELAY_MS / 1000, self.answer, arrived)
        else:
            self.answer(None)

    def answer(self, arrived: float | None) -> None:
        truth = b"" if arrived is None else b"X-Server-Us: %d\r\n" % ((time.perf_counter() - arrived) * 1e6)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: shop\r\n%sContent-Length: %d\r\n\r\n"
        self.transport.write(head % (truth, len(BODY)) + BODY)


def serve(tell: Pipe) -> None:
    async def until_killed() -> None:
        server = await asyncio.get_running_loop().create_server(Shop, "127.0.0.1", 0, backlog=1024)
        tell.send(server.sockets[0].getsockname()[1])
        await asyncio.sleep(120)

    asyncio.run(until_killed())


async def loopback(host: str, port: int) -> Sequence[Address]:
    return [Address(socket.AF_INET, "127.0.0.1", port)]


Make = Callable[[], httpx.AsyncBaseTransport]


async def cpu_ms(make: Make, port: int, requests: int, *, kept: bool) -> float:
    async def one(transport: httpx.AsyncBaseTransport) -> None:
        request = httpx.Request(
            "GET", f"http://127.0.0.1:{port}/json", headers={"User-Agent": "bench", "Accept": "*/*"}
        )
        response = await transport.handle_async_request(request)
        assert len(await response.aread()) == len(BODY)
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


async def latency_error(make: Make, port: int, *, rate: float, seconds: float, block_ms: float) -> dict[str, object]:
    """Milliseconds that the reported latency is away from what the server saw, the loop blocked half of the time."""
    stamped: list[float] = []
    clocked: list[float] = []
    kernel = 0

    async def one() -> None:
        nonlocal kernel
        transport, stamps = make(), Stamps()
        request = httpx.Request("GET", f"http://127.0.0.1:{port}/delay", extensions={"stamps": stamps})
        response = await transport.handle_async_request(request)
        after_ns = time.monotonic_ns()
        truth_ms = int(response.headers["x-server-us"]) / 1000
        stamped.append((stamps.done_ns - stamps.sent_ns) / 1e6 - truth_ms)
        clocked.append((after_ns - stamps.sent_ns) / 1e6 - truth_ms)
        kernel += stamps.kernel
        await transport.aclose()

    async def hog() -> None:
        while True:
            until = time.perf_counter() + block_ms / 1000
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(block_ms / 1000)

    hogging = asyncio.create_task(hog()) if block_ms else None
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(one())
    if hogging is not None:
        hogging.cancel()
        await asyncio.gather(hogging, return_exceptions=True)
    return {
        "loop_blocked_ms": block_ms,
        "n": len(stamped),
        "kernel_stamps": kernel,
        "stamped_p50_p99_ms": spread(stamped),
        "clock_after_await_p50_p99_ms": spread(clocked),
    }


def spread(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [round(ordered[int(share * (len(ordered) - 1))], 3) for share in (0.5, 0.99)]


async def measure(port: int, requests: int) -> None:
    context = ssl.create_default_context()
    makes: dict[str, Make] = {
        "wire": lambda: WireTransport(loopback, context),
        "stock": lambda: httpx.AsyncHTTPTransport(verify=context),
    }
    for kept in (True, False):
        figures: dict[str, list[float]] = {name: [] for name in makes}
        for _ in range(ROUNDS):
            for name, make in makes.items():
                figures[name].append(await cpu_ms(make, port, requests, kept=kept))
        medians = {name: round(statistics.median(times), 3) for name, times in figures.items()}
        print(json.dumps({"cpu_ms_a_request": "kept" if kept else "new connection", **medians}), flush=True)
    for block_ms in (0.0, 50.0):
        print(
            json.dumps(await latency_error(makes["wire"], port, rate=100, seconds=3.0, block_ms=block_ms)), flush=True
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--requests", type=int, default=2000)
    arguments.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    wanted = arguments.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    factory = None
    if wanted.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(measure(port, wanted.requests))
    server.terminate()


if __name__ == "__main__":
    main()
