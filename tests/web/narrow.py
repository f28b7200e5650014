"""Both listeners in one process that may open 256 files.

`python -m tests.web.narrow` prints one line of JSON, the two base URLs, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from synthmon.web.collector import Collector
from synthmon.web.inbound import create_inbound
from synthmon.web.serve import bind, serving
from synthmon.web.switchboard import Switchboard
from tests.web.conftest import an_app
from tests.web.some import a_monitor

FILES = 256


async def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    door = create_inbound(Switchboard(), Collector())
    async with (
        serving(an_app(await a_monitor()), bind("127.0.0.1:0")) as front,
        serving(door, bind("127.0.0.1:0")) as inbound,
    ):
        print(json.dumps({"front": front, "inbound": inbound}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
