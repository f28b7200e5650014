"""400 clients that never finish their request, on one listener and on both, against a process with 256 files.

`python -m tests.web.slowloris` prints how long `/metrics` took meanwhile, and when the half requests were closed.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass

import httpx

from tests.web.raw import a_process, dial, head, held_for

CLIENTS = 400


@dataclass(frozen=True, slots=True)
class Figures:
    """`answered` of `asked` scrapes, the slowest, and the longest that half a request stayed open."""

    asked: int
    answered: int
    slowest_s: float
    median_s: float
    open_s: float


async def crawl(url, stop) -> float:
    """One client: half a head, then a byte a second; seconds until it was closed."""
    try:
        reader, writer = await dial(url)
    except OSError:
        return 0.0
    began = time.monotonic()
    closed = asyncio.create_task(held_for(reader, began))
    writer.write(head("POST", url + "/h/abc")[:-2] + b"X-Slow: ")
    with suppress(ConnectionError):
        while not closed.done() and not stop.is_set():
            writer.write(b"x")
            await asyncio.wait({closed}, timeout=1.0)
    took_s = await closed if closed.done() else 0.0
    closed.cancel()
    writer.transport.abort()
    return took_s


async def besiege(targets: tuple[str, ...], scrapes: int = 12) -> Figures:
    """Ask for `/metrics` while each of `targets` (front, inbound) has its 400 clients; ends when all are cut."""
    async with a_process("tests.web.narrow") as process:
        told = json.loads(await process.stdout.readline())
        stop = asyncio.Event()
        crawling = [asyncio.create_task(crawl(told[name], stop)) for name in targets for _ in range(CLIENTS)]
        await asyncio.sleep(0)
        took: list[float] = []
        async with httpx.AsyncClient(timeout=30, headers={"connection": "close"}) as client:
            for _ in range(scrapes):
                began = time.monotonic()
                with suppress(httpx.TransportError):
                    answer = await client.get(told["front"] + "/metrics")
                    if answer.status_code == 200 and "synthmon_up" in answer.text:
                        took.append(time.monotonic() - began)
                await asyncio.sleep(0.3)  # the pace of the scrapes
        open_s = await asyncio.wait_for(asyncio.gather(*crawling), 60)
        stop.set()
        took.sort()
        return Figures(
            scrapes, len(took), took[-1] if took else 99.0, took[len(took) // 2] if took else 99.0, max(open_s)
        )


def main() -> None:
    for targets in (("inbound",), ("front",), ("front", "inbound")):
        told = asyncio.run(besiege(targets))
        print(
            f"{CLIENTS} on {' and '.join(targets):18} /metrics answered {told.answered}/{told.asked}, slowest "
            f"{told.slowest_s:.2f} s, median {told.median_s:.3f} s; half a request open at most {told.open_s:.1f} s"
        )


if __name__ == "__main__":
    main()
