"""What a program may ask of replays and identities."""

from __future__ import annotations

import pytest

from synthmon.core.finding.order import CannotForce
from synthmon.core.replaying import NotAllowed, NotNow, Refused, Wish
from synthmon.core.status import Unavailable
from tests.web.conftest import MAY_CHANGE, a_client
from tests.web.some import RUN, a_monitor

REPLAY = f"/api/v1/runs/{RUN[:6]}/replay"


async def test_without_yes_a_replay_is_only_planned():
    monitor = await a_monitor()
    monitor.replays.clear()
    async with a_client(monitor, headers=MAY_CHANGE) as client:
        planned = await client.post(REPLAY)
        told = await client.get(REPLAY)

    assert (planned.status_code, planned.json()["state"]) == (200, "planned")
    assert planned.json()["plan"]["lines"] == [f"replays run {RUN}, once"]
    assert monitor.wishes == [(Wish(RUN), False)]
    assert (told.status_code, told.json()["title"]) == (404, "No such replay")


async def test_with_yes_it_begins_and_location_says_how_it_stands():
    monitor = await a_monitor()
    async with a_client(monitor, headers=MAY_CHANGE) as client:
        begun = await client.post(REPLAY, json={"yes": True, "order": "b<a", "times": 3})
        told = await client.get(begun.headers["location"])

    assert begun.status_code == 202
    assert monitor.wishes == [(Wish(RUN, order="b<a", times=3), True)]
    assert told.json() == begun.json()
    assert (told.json()["state"], told.json()["finding"]) == ("running", None)


@pytest.mark.parametrize(
    ("refusal", "status", "title", "retry_after"),
    [
        (NotAllowed("Add `replay: allow`."), 403, "Not allowed", None),
        (NotNow("Another is going on.", 12.3), 409, "Not now", "13"),
        (NotNow("20 replays an hour."), 409, "Not now", None),
        (Refused("Two questions."), 422, "Refused", None),
        (CannotForce("nobody can wait."), 422, "Cannot force", None),
    ],
)
async def test_a_refusal_says_whether_asking_again_helps(refusal, status, title, retry_after):
    monitor = await a_monitor()
    monitor.refusal = refusal
    async with a_client(monitor, headers=MAY_CHANGE) as client:
        refused = await client.post(REPLAY, json={"yes": True})

    assert (refused.status_code, refused.json()["title"]) == (status, title)
    assert str(refusal) in refused.json()["detail"]
    assert refused.headers.get("retry-after") == retry_after
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"{", 400, "no JSON"),
        (b"[]", 400, "is an object with same_keys, order, times, yes"),
        (b'{"yess": true}', 400, "'yess' is not known"),
        (b'{"yes": 1}', 400, "yes is a boolean"),
        (b'{"times": true}', 400, "times is a whole number"),
        (b'{"times": 21}', 400, "from 0 to 20"),
        (b'{"times": -1}', 400, "from 0 to 20"),
        (b'{"times": 99999999999999999999999}', 400, "times is a whole number"),
        (b'{"yes": "true"}', 400, "yes is a boolean"),
        (b'{"order": ["b<a"]}', 400, "order is a text"),
        (b'{"yes": false, "yes": true}', 400, "'yes' stands there twice"),
        (b'{"yes": ' + b"[" * 1000 + b"]" * 1000 + b', "yes": false}', 400, "nested too deeply"),
        (b'{"order": "' + b"a" * 4096 + b'"}', 413, "4096 bytes"),
    ],
)
async def test_a_body_that_cannot_be_meant_asks_for_nothing(body, status, word):
    monitor = await a_monitor()
    async with a_client(monitor, headers=MAY_CHANGE) as client:
        refused = await client.post(REPLAY, content=body)

    assert (refused.status_code, word in refused.json()["detail"]) == (status, True), refused.json()
    assert not monitor.wishes


async def test_what_is_no_run_of_ours_is_not_found_and_a_page_of_somebody_elses_may_not_ask():
    monitor = await a_monitor()
    async with a_client(monitor) as client:
        unknown = await client.post("/api/v1/runs/beefbeef/replay", headers=MAY_CHANGE, json={"yes": True})
        foreign = await client.post(REPLAY, headers={"origin": "http://evil.example.com"}, json={"yes": True})

    assert (unknown.status_code, foreign.status_code) == (404, 403)
    assert not monitor.wishes


async def test_identities_are_told_and_when_the_leases_do_not_answer_that_is_said():
    monitor = await a_monitor()
    monitor.people = [{"name": "clerk", "kind": "accounts", "counts": {"free": 2}, "accounts": []}]
    async with a_client(monitor) as client:
        told = await client.get("/api/v1/identities")
        monitor.refusal = Unavailable("the lease store does not answer")
        silent = await client.get("/api/v1/identities")

    assert told.json() == {"identities": monitor.people}
    assert (silent.status_code, silent.json()["detail"]) == (503, "the lease store does not answer")


async def test_the_page_of_a_run_offers_to_replay_it():
    async with a_client(await a_monitor()) as client:
        page = (await client.get(f"/runs/{RUN}")).text

    assert f'data-replay="/api/v1/runs/{RUN}/replay"' in page
