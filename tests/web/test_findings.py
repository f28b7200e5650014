"""What is found out about runs, over the API and on the pages: the same words, whatever stands in them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from synthmon.core.journey import Promises
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import ClauseRecord
from synthmon.core.sequence.clauses import EventSpec
from synthmon.web.insight import MOST_WAITING, Crowded, Insight
from tests.core.told import STARTED, told
from tests.metrics.some import a_journey
from tests.web.conftest import a_client, an_app
from tests.web.monitor import MemoryMonitor
from tests.web.test_pages import HOSTILE, Tags

LOST, SWAPPED, LAST = "aa11" * 8, "bb22" * 8, "cc33" * 8
NAMES = "placed paid booked shipped"


async def a_monitor(names=NAMES, bad=("placed paid", "placed paid shipped booked", "placed paid shipped booked")):
    """Thirty good runs, then failing ones."""
    journey = replace(a_journey("orders"), digest="v1", promises=Promises(events=(EventSpec("paid", "logs"),)))
    monitor = MemoryMonitor([journey])
    runs = [told(names, run_id=f"{number:032x}") for number in range(30)]
    for run_id, its_names in zip((LOST, SWAPPED, LAST), bad, strict=False):
        failed = told(its_names, Outcome.FAILED, run_id)
        clause = ClauseRecord("before: [booked, shipped]", "x.yaml:1", "fail", "no", (failed.evidence[-1].happening,))
        runs.append(replace(failed, reason=Reason.ORDER, message="it was red", clauses=(clause,)))
    for number, run in enumerate(runs):
        await monitor.keep(replace(run, slot=STARTED + timedelta(minutes=number)))
    return monitor


async def test_a_run_is_looked_into_over_the_api():
    async with a_client(await a_monitor()) as client:
        found = (await client.get(f"/api/v1/runs/{LOST[:8]}/investigation")).json()

    assert found["verdict"].startswith("booked (shop) did not happen, nor 1 more that comes after it")
    assert [line["form"] for line in found["story"]] == ["told", "told", "missed", "missed"]
    assert found["run"]["id"] == LOST
    assert found["comparison"]["of"] == "version v1"


async def test_a_run_is_compared_with_good_ones_or_with_another():
    async with a_client(await a_monitor()) as client:
        beside = (await client.get(f"/api/v1/runs/{SWAPPED}/compare", params={"good": 12})).json()
        other = (await client.get(f"/api/v1/runs/{SWAPPED}/compare", params={"other": LOST[:6]})).json()

    assert (beside["good"], beside["first"]["predicate"]) == (12, "shipped<booked")
    assert (other["of"], {one["turn"] for one in other["differences"]}) == (f"run {LOST}", {"extra"})


async def test_suspects_are_ranked_over_the_api():
    async with a_client(await a_monitor()) as client:
        found = (await client.get("/api/v1/journeys/orders/suspects", params={"limit": 1})).json()

    assert (found["good"], found["bad"], found["enough"]) == (30, 3, True)
    assert [(one["predicate"], one["bad_with"], one["good_with"]) for one in found["suspects"]] == [
        ("shipped<booked", 2, 0)
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/feed12/investigation", 404),
        ("/runs/feed12/compare", 404),
        (f"/runs/{LOST}/compare?other=feed12", 404),
        (f"/runs/{LOST}/compare?good=0", 400),
        (f"/runs/{LOST}/investigation?good=201", 400),
        ("/journeys/nothing/suspects", 404),
        ("/journeys/orders/suspects?limit=x", 400),
    ],
)
async def test_what_cannot_be_told_is_a_problem(path, status):
    async with a_client(await a_monitor()) as client:
        answer = await client.get(f"/api/v1{path}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_page_of_a_failed_run_asks_for_what_differs_and_links_it_without_script():
    async with a_client(await a_monitor()) as client:
        run = (await client.get(f"/runs/{SWAPPED}")).text
        good = (await client.get(f"/runs/{0:032x}")).text
        story = (await client.get(f"/runs/{SWAPPED}/investigation")).text

    assert f'hx-get="/runs/{SWAPPED}/investigation" hx-select="#findings"' in run
    assert f'<a href="/runs/{SWAPPED}/investigation">' in run
    assert "/investigation" not in good
    assert 'id="findings"' in story
    assert "shipped (shop) came 10 ms before booked (shop)" in story
    assert "shipped came before booked <b>first divergence</b>" in story
    assert "2 of 3" in story


async def test_the_page_of_a_journey_shows_suspects_when_two_runs_failed():
    async with a_client(await a_monitor()) as client:
        two, suspects = await client.get("/journeys/orders"), await client.get("/suspects/orders")
    async with a_client(await a_monitor(bad=("placed paid",))) as client:
        one, not_enough = await client.get("/journeys/orders"), await client.get("/suspects/orders")

    assert 'hx-get="/suspects/orders" hx-select="#suspects"' in two.text
    assert 'id="suspects"' in suspects.text
    assert "shipped&lt;booked" in suspects.text
    assert "/suspects/orders" not in one.text
    assert "not enough yet: 1 failing run" in not_enough.text


async def test_a_run_that_is_not_there_and_a_journey_that_is_not_loaded_have_a_page():
    async with a_client(await a_monitor()) as client:
        assert (await client.get("/runs/feed12/investigation")).status_code == 404
        assert (await client.get("/suspects/nothing")).status_code == 404


async def hostile_pages(text):
    """Every page that shows findings, with this text wherever a system could put one."""
    monitor = await a_monitor()
    for record in list(await monitor.history.told("orders", limit=100)):
        evidence = tuple(
            replace(e, step=f"{text} {e.step}", clock=text, status=text, matched_by=text, dependency=text, source=text)
            for e in record.evidence
        )
        clause = ClauseRecord(text, text, "fail", text, tuple(e.happening for e in evidence))
        changed = replace(record, evidence=evidence, clauses=(clause,), message=text, notes=(text,))
        monitor.history._records = {
            key: changed if kept is record else kept for key, kept in monitor.history._records.items()
        }
    paths = [f"/runs/{LOST}/investigation", f"/runs/{SWAPPED}/investigation", "/suspects/orders", f"/runs/{LOST}"]
    async with a_client(monitor) as client:
        return [Tags((await client.get(path)).text) for path in paths]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_text_in_evidence_is_shown_and_does_nothing(text):
    harmless, seen = await hostile_pages("harmless"), await hostile_pages(text)

    for plain, page in zip(harmless, seen, strict=True):
        assert page.tags == plain.tags
        assert [(tag, name) for tag, name, _ in page.attributes] == [(tag, name) for tag, name, _ in plain.attributes]


async def test_who_comes_when_many_wait_already_is_told_to_ask_again():
    monitor = await a_monitor()
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def told(self, *arguments, **more):
            asked.set()
            await go_on.wait()
            return await monitor.history.told(*arguments, **more)

    insight = Insight(Slow())
    waiting = [asyncio.create_task(insight.rank("orders")) for _ in range(MOST_WAITING)]
    await asked.wait()

    with pytest.raises(Crowded):
        await insight.rank("orders")
    go_on.set()
    assert {ranking.bad for ranking in await asyncio.gather(*waiting)} == {3}
    assert (await insight.rank("orders")).bad == 3


async def test_a_crowd_is_answered_with_503_and_a_page():
    monitor = await a_monitor()
    app = an_app(monitor)
    app.state.insight._waiting = MOST_WAITING

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9880") as client:
        api = await client.get("/api/v1/journeys/orders/suspects")
        page = await client.get("/suspects/orders")

    assert (api.status_code, page.status_code) == (503, 503)
    assert "ask again in a moment" in page.text
