"""A network of its own in which the kernel counts packets, asked through a door: `unshare --net python -m … TRANSPORT`.

Only 127.0.0.2 is in the allow-list. Every other address has a way out, so that a packet to it would be sent, and
counted by nftables. Prints how many left for the allowed address and for any other, before and after one that shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from synthmon.core.door import HttpRequest, Trouble
from synthmon.core.secrets import Vault
from synthmon.runtime.doors import Doors
from synthmon.runtime.outbound.stamps import Address
from tests.runtime.door_forms import FORMS, TRAPS
from tests.runtime.door_servers import ENVELOPE, RUN, Target, door_to, redirect, shop, talking

COUNTING = """
table inet count {
  counter allowed {}
  counter other {}
  chain output {
    type filter hook output priority 0;
    ip saddr 127.0.0.2 accept
    ip daddr 127.0.0.2 counter name allowed accept
    icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept
    counter name other
  }
}
"""


async def main(transport: str) -> None:
    os.environ["PATH"] += ":/usr/sbin"
    _wire_up()
    told: dict[str, Any] = {"forms": await _ask_forms(transport), "rebinding": await _rebind(transport)}
    told["packets"] = {"allowed": _packets("allowed"), "other": _packets("other")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
        wrong.sendto(b"x", ("10.0.0.1", 9))
    told["after"] = _packets("other")
    print(json.dumps(told))


async def _ask_forms(transport: str) -> dict[str, list[str]]:
    """The reason for which each form was refused, asked straight and behind a redirect of the allowed server."""
    told: dict[str, list[str]] = {}
    target = Target({f"/{n}": redirect(_header(url)) for n, url in enumerate(FORMS.values())})
    async with talking(target.talk, host="127.0.0.2") as port:
        system = shop(
            f"http://shop.test:{port}",
            allow=("shop.test", "*.shop.test"),
            allow_networks=("127.0.0.2/32",),
            transport=transport,
            follow=True,
        )
        async with door_to(system, look_up=_resolve) as door:
            for n, (name, url) in enumerate(FORMS.items()):
                asked = [
                    await door.http(HttpRequest("GET", way), replace(ENVELOPE, timeout_s=5)) for way in (url, f"/{n}")
                ]
                told[name] = [each.reason if isinstance(each, Trouble) else "answered" for each in asked]
    return told


async def _rebind(transport: str) -> int:
    """How many of 200 runs were answered by a name that leads elsewhere at every other question."""
    asked = 0

    async def rebinding(name: str, port: int) -> Sequence[Address]:
        nonlocal asked
        asked += 1
        return [Address(socket.AF_INET, ("127.0.0.2", "10.0.0.7")[asked % 2], port)]

    target, answered = Target(), 0
    async with talking(target.talk, host="127.0.0.2") as port:
        system = shop(
            f"http://shop.test:{port}", allow=("shop.test",), allow_networks=("127.0.0.2/32",), transport=transport
        )
        async with Doors({"shop": system}, look_up=rebinding) as doors:
            for _ in range(200):
                door = doors.open(RUN, "checkout", Vault({}))
                answered += not isinstance(await door.http(HttpRequest("GET", "/"), ENVELOPE), Trouble)
                await door.aclose()
    return answered


async def _resolve(name: str, port: int) -> Sequence[Address]:
    """A name of the allow-list by the table; any other would be asked of a resolver, whose packets are counted too."""
    if name == "shop.test":
        return [Address(socket.AF_INET, "127.0.0.2", port)]
    if name.endswith(".shop.test"):
        return await TRAPS(name, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.sendto(name.encode(), ("10.0.0.53", 53))
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _header(url: str) -> str:
    return url if url.isascii() else f"http://{urlsplit(url).hostname}/".encode().decode("latin-1")


def _wire_up() -> None:
    for command in (
        "link set lo up",
        "link add out type veth peer name far",
        "address add 203.0.113.9/24 dev out",
        "link set out up",
        "link set far up",
        "route add default dev out",
        "-6 route add default dev out",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    subprocess.run(["nft", "-f", "-"], input=COUNTING.encode(), check=True)


def _packets(counter: str) -> int:
    told = subprocess.run(["nft", "-j", "list", "counter", "inet", "count", counter], check=True, capture_output=True)
    return int(next(each["counter"]["packets"] for each in json.loads(told.stdout)["nftables"] if "counter" in each))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
