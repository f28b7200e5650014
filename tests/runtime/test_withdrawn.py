"""After everything was told to stop, what has not left does not leave any more; clean-up does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from synthmon.core.door import HttpRequest
from synthmon.core.outcomes import Reason
from tests.runtime.door_servers import ENVELOPE, Target, answered, door_to, read_request, shop, talking, troubled

POST, DELETE = HttpRequest("POST", "/orders"), HttpRequest("DELETE", "/orders/7")
PATIENT = replace(ENVELOPE, timeout_s=30)


async def test_a_request_that_waits_for_its_turn_is_called_back_at_once_and_only_clean_up_leaves_after_it() -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port, rate_per_s=0.5)) as door:
        answered(await door.http(POST, PATIENT))
        waiting = asyncio.create_task(door.http(POST, PATIENT))
        await asyncio.sleep(0.05)

        door.withdraw()
        called_back = troubled(await asyncio.wait_for(waiting, 30))
        refused = troubled(await door.http(POST, PATIENT))
        answered(await door.http(DELETE, replace(PATIENT, clean_up=True)))

    assert [(each.reason, each.sent) for each in (called_back, refused)] == [(Reason.INTERRUPTED, False)] * 2
    assert [heard.method for heard in target.heard] == ["POST", "DELETE"]


async def test_an_answer_to_what_has_left_is_waited_for() -> None:
    came, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        came.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with talking(slowly) as port, door_to(shop(port, transport="wire")) as door:
        asked = asyncio.create_task(door.http(POST, PATIENT))
        await came.wait()
        door.withdraw()
        go_on.set()

        assert answered(await asked).status == 201


async def test_clean_up_that_waits_is_not_called_back() -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port, rate_per_s=4)) as door:
        clean_up = replace(PATIENT, clean_up=True)
        asked = [asyncio.create_task(door.http(DELETE, clean_up)) for _ in range(3)]
        await asyncio.sleep(0.05)

        door.withdraw()

        for each in asked:
            answered(await each)
