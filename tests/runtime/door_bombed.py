"""A process that asks servers, each once, and says what that took, but of the first: `python -m … TRANSPORT PORT…`."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, door_to, shop, troubled

PATIENT = replace(ENVELOPE, timeout_s=60)  # what a bomb costs is told in processor time: the machine may be busy


async def main(transport: str, ports: list[str]) -> None:
    told: list[dict[str, Any]] = []
    longest = [0.0]
    watch = asyncio.create_task(_watch(longest))
    async with door_to(shop("http://127.0.0.1", transport=transport)) as door:
        # what the first answer imports and builds is not the bomb's
        first, *others = ports
        await door.http(HttpRequest("GET", f"http://127.0.0.1:{first}/"), PATIENT)
        for port in others:
            longest[0] = 0.0
            before_bytes = start_counting()
            cpu_s = time.process_time()
            trouble = troubled(await door.http(HttpRequest("GET", f"http://127.0.0.1:{port}/"), PATIENT))
            cpu_s = time.process_time() - cpu_s
            told.append(
                {
                    "reason": trouble.reason,
                    "grown_bytes": most_bytes() - before_bytes,
                    "cpu_s": cpu_s,
                    "blocked_s": longest[0],
                }
            )
    watch.cancel()
    print(json.dumps(told))


def start_counting() -> int:
    """Forget the most that this process ever held; answers what it holds now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _bytes("VmRSS")


def most_bytes() -> int:
    """The most that this process held since. `ru_maxrss` would count what its parent held when it forked."""
    return _bytes("VmHWM")


def _bytes(word: str) -> int:
    found = re.search(rf"{word}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


async def _watch(longest: list[float]) -> None:
    """Note the most of its own time that the process spent between two turns of the loop."""
    while True:
        began_s = time.process_time()
        await asyncio.sleep(0)
        longest[0] = max(longest[0], time.process_time() - began_s)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
