"""A network of its own whose packets hold 576 bytes: `unshare --net python -m … TRANSPORT`; prints JSON."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, Target, answer, answered, door_to, shop, talking

BODY = json.dumps({"text": "x" * 200_000}).encode()


async def ask(transport: str) -> list[int]:
    """(status, bytes of the answer, bytes of the request as the target got it)."""
    target = Target({"/long": answer(BODY)})
    async with talking(target.talk) as port, door_to(shop(port, transport=transport)) as door:
        got = answered(await door.http(HttpRequest("POST", "/long", (), BODY), ENVELOPE))
        return [got.status, len(got.content), len(target.heard[0].body)]


def main(transport: str) -> None:
    for command in ("link set lo up", "link set lo mtu 576"):
        subprocess.run(["ip", *command.split()], check=True)
    print(json.dumps(asyncio.run(ask(transport))))


if __name__ == "__main__":
    main(sys.argv[1])
