"""What every request carries, so that a target knows it as synthetic and as this run's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from synthmon import __version__
from synthmon.core.door import HttpRequest
from tests.runtime.door_servers import ENVELOPE, RUN, Target, answered, door_to, redirect, shop, talking

TRANSPORTS = ("stock", "wire")
BAGGAGE = f"synthetic_request=true,synthmon.run={RUN},synthmon.journey=checkout"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_request_is_marked_also_behind_a_redirect(transport: str) -> None:
    target = Target({"/old": redirect("/new", 307)})
    async with talking(target.talk) as port, door_to(shop(port, follow=True, transport=transport)) as door:
        for n in range(50):
            envelope = replace(ENVELOPE, key=f"{RUN}-order#{n}")
            answered(await door.http(HttpRequest("POST", "/old", (), b"{}"), envelope))

    assert len(target.heard) == 100
    for n, heard in enumerate(target.heard):
        assert heard.headers["user-agent"] == f"synthmon/{__version__} (synthetic; checkout)"
        assert heard.headers["baggage"] == BAGGAGE
        assert heard.headers["tracestate"] == f"synthmon={RUN}"
        assert heard.headers["x-correlation-id"] == RUN
        assert heard.headers["idempotency-key"] == f"{RUN}-order#{n // 2}"
        assert re.fullmatch(rf"00-{RUN}-[0-9a-f]{{16}}-01", heard.headers["traceparent"])
    assert len({heard.headers["traceparent"] for heard in target.heard}) == 100


async def test_headers_of_the_journey_win_but_the_marks_stay() -> None:
    target = Target()
    mine = {
        "User-Agent": "Mozilla/5.0",
        "Baggage": "tenant=7",
        "TraceState": "vendor=1",
        "X-Correlation-ID": "mine",
        "Accept": "text/html",
        "Accept-Encoding": "identity",
    }
    async with talking(target.talk) as port, door_to(shop(port), headers={"X-Env": "prod", "X-Mine": "no"}) as door:
        request = HttpRequest("GET", "/", (*mine.items(), ("x-mine", "yes")))
        answered(await door.http(request, ENVELOPE))

    headers = target.heard[0].headers
    assert headers["user-agent"] == f"Mozilla/5.0 synthmon/{__version__} (synthetic; checkout)"
    assert headers["baggage"] == f"tenant=7,{BAGGAGE}"
    assert headers["tracestate"] == f"synthmon={RUN},vendor=1"
    assert headers["x-correlation-id"] == "mine"
    assert (headers["x-env"], headers["x-mine"]) == ("prod", "yes")
    assert (headers["accept"], headers["accept-encoding"]) == ("text/html", "identity")


async def test_a_stranger_learns_nothing_of_the_run_but_can_still_tell_a_repeated_write() -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port, propagate=False), headers={"X-Run": RUN}) as door:
        for _ in range(2):
            answered(await door.http(HttpRequest("POST", "/"), replace(ENVELOPE, key=f"{RUN}-order")))

    first, second = (heard.headers for heard in target.heard)
    assert not [name for name in ("traceparent", "tracestate", "baggage", "x-correlation-id", "x-run") if name in first]
    assert first["user-agent"].endswith("(synthetic; checkout)")
    assert first["idempotency-key"] == second["idempotency-key"]
    assert RUN[:8] not in str(first)


async def test_nothing_is_offered_that_could_not_be_decoded() -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        answered(await door.http(HttpRequest("GET", "/"), ENVELOPE))

    assert target.heard[0].headers["accept-encoding"] == "gzip, deflate"


async def test_the_url_of_a_step_is_put_behind_the_base() -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(f"http://127.0.0.1:{port}/api/v2/")) as door:
        for url in ("/orders", "orders", "?page=2", "//shop.test/x", f"http://127.0.0.1:{port}/elsewhere"):
            answered(await door.http(HttpRequest("GET", url), ENVELOPE))

    assert [heard.path for heard in target.heard] == [
        "/api/v2/orders",
        "/api/v2/orders",
        "/api/v2?page=2",
        "/api/v2//shop.test/x",
        "/elsewhere",
    ]
