"""A process that asks servers, each once, and says what that took: `python -m … TRANSPORT PORT…`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any

from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, door_to, shop, troubled


async def main(transport: str, ports: list[str]) -> None:
    told: list[dict[str, Any]] = []
    longest = [0.0]
    watch = asyncio.create_task(_watch(longest))
    async with door_to(shop("http://127.0.0.1", transport=transport)) as door:
        await door.http(
            HttpRequest("GET", "http://127.0.0.1:1/"), ENVELOPE
        )  # what the first request imports and builds
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for port in ports:
            longest[0] = 0.0
            began_s, cpu_s = time.monotonic(), time.process_time()
            trouble = troubled(await door.http(HttpRequest("GET", f"http://127.0.0.1:{port}/"), ENVELOPE))
            took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
            grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
            told.append(
                {
                    "reason": trouble.reason,
                    "grown_bytes": grown_kb * 1024,
                    "took_s": took_s,
                    "cpu_s": cpu_s,
                    "blocked_s": longest[0],
                }
            )
    watch.cancel()
    print(json.dumps(told))


async def _watch(longest: list[float]) -> None:
    """Note the most of its own time that the process spent between two turns of the loop."""
    while True:
        began_s = time.process_time()
        await asyncio.sleep(0)
        longest[0] = max(longest[0], time.process_time() - began_s)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
