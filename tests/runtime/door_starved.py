"""A process without a free descriptor that asks by address and by a name: `python -m … PORT TRANSPORT`."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys

from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, answered, door_to, shop, troubled


async def main(port: int, transport: str) -> None:
    system = shop(f"http://127.0.0.1:{port}", allow=("127.0.0.1", "shop.test"), transport=transport)
    async with door_to(system) as door:
        answered(await door.http(HttpRequest("GET", "/"), ENVELOPE))
        await door.aclose()
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20,) * 2)
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        by_address = troubled(await door.http(HttpRequest("GET", "/"), ENVELOPE))
        by_name = troubled(await door.http(HttpRequest("GET", "http://shop.test/"), ENVELOPE))  # not in /etc/hosts
        for handle in held:
            os.close(handle)
    print(json.dumps({"by address": by_address.reason, "by name": by_name.reason}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
