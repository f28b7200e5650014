"""A network of its own with a bad router, asked through a door: `unshare --net python -m … TRANSPORT`; prints JSON."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, door_to, shop, troubled

ROWS = {
    "route prohibited here": "10.94.0.1",
    "route unreachable here": "10.93.0.1",
    "route blackholed here": "10.92.0.1",
    "no route here": "10.90.0.1",
    "host unreachable, says the router": "10.97.0.1",
    "prohibited, says the router": "10.96.0.1",
    "net unreachable, says the router": "10.95.0.1",
    "swallowed by the router": "10.91.0.1",
}


def main(transport: str) -> None:
    router = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        _wire_up(router.pid)
        print(json.dumps(asyncio.run(_ask(transport))))
    finally:
        router.kill()
        router.wait()


async def _ask(transport: str) -> dict[str, list[Any]]:
    told = {}
    for row, address in ROWS.items():
        async with door_to(shop(f"http://{address}:81", transport=transport)) as door:
            trouble = troubled(await door.http(HttpRequest("GET", "/"), replace(ENVELOPE, timeout_s=2)))
            told[row] = [trouble.reason, trouble.sent, trouble.detail]
    return told


def _wire_up(router: int) -> None:
    here = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{router}/ns/net") == here:
        time.sleep(0.01)
    _ip("link set lo up")
    _ip(f"link add near type veth peer name far netns {router}")
    _ip("address add 10.99.0.1/24 dev near")
    _ip("link set near up")
    for command in ("link set lo up", "address add 10.99.0.2/24 dev far", "link set far up"):
        _ip(command, router)
    subprocess.run(
        ["nsenter", "-t", str(router), "-n", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True
    )
    for kind, network in (("prohibit", 94), ("unreachable", 93), ("blackhole", 92)):
        _ip(f"route add {kind} 10.{network}.0.0/16")
    for network in (97, 96, 95, 91):
        _ip(f"route add 10.{network}.0.0/16 via 10.99.0.2")
    for kind, network in (("unreachable", 97), ("prohibit", 96), ("blackhole", 91)):
        _ip(f"route add {kind} 10.{network}.0.0/16", router)


def _ip(command: str, namespace: int | None = None) -> None:
    inside = ["nsenter", "-t", str(namespace), "-n"] if namespace else []
    subprocess.run([*inside, "ip", *command.split()], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
