"""A process that asks one server once and says how much memory that took: `python -m … PORT TRANSPORT`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, door_to, shop, troubled


async def main(port: int, transport: str) -> None:
    async with door_to(shop(port, transport=transport)) as door:
        await door.http(
            HttpRequest("GET", "http://127.0.0.1:1/"), ENVELOPE
        )  # what the first request imports and builds
        before_kb, began_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        trouble = troubled(await door.http(HttpRequest("GET", "/"), ENVELOPE))
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
        took_s = time.monotonic() - began_s
    print(json.dumps({"reason": trouble.reason, "grown_bytes": grown_kb * 1024, "took_s": took_s}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
