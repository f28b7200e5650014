"""A process that waits for calls on hooks: its memory can be looked at from outside.

`python -m tests.web.hooked` prints one line of JSON (base, a signed and an open address), then one line for each call
that was accepted. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys

from synthmon.core.inbound import Hook
from synthmon.web.collector import Collector
from synthmon.web.inbound import create_inbound
from synthmon.web.serve import bind, serving
from synthmon.web.switchboard import Switchboard
from tests.web.calls import KEY


async def main() -> None:
    switchboard = Switchboard()

    def take(call):
        print(json.dumps({"accepted": call.message_id, "size": len(call.body)}), flush=True)
        return True

    async with serving(create_inbound(switchboard, Collector()), bind("127.0.0.1:0")) as base:
        switchboard.base = base
        closed, free = switchboard.open(Hook(key=KEY), take), switchboard.open(Hook(most_calls=10_000), take)
        print(json.dumps({"base": base, "signed": closed.url, "open": free.url}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
