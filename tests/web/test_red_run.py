"""Why it is red stands first on the page of a run, and what held stands back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from synthmon.core.evidence import Evidence
from synthmon.core.outcomes import Outcome
from synthmon.core.run import ClauseRecord
from synthmon.web.words import due, file, spaced
from tests.metrics.some import NOON
from tests.web.conftest import a_client
from tests.web.some import a_failed_run, a_monitor

AT_NS = round(NOON.timestamp() * 1e9)
HELD = ClauseRecord("once: paid", "/etc/synthmon/probes/order.yaml:70", "pass", "paid happened once", ("paid:p1",))
BROKEN = ClauseRecord("happens: booked", "/etc/synthmon/probes/order.yaml:71", "fail", "booked did not happen")


async def test_why_stands_before_the_steps_and_broken_clauses_before_those_that_held():
    monitor = await a_monitor()
    paid = Evidence("logs", "paid", AT_NS + 10_000_000, id="p1", clock="payment")
    run = a_failed_run(run_id="be" * 16, cause="manual", clauses=(HELD, BROKEN), evidence=(paid,), started=NOON)
    await monitor.keep(run)

    async with a_client(monitor) as client:
        page = (await client.get(f"/runs/{run.run_id}")).text

    places = [page.index(said) for said in ('<h2 id="differs">Why', 'id="steps"', BROKEN.text, HELD.text)]
    assert places == sorted(places)
    assert "<summary>1 of 2 clauses held</summary>" in page
    assert '<details class="held">' in page, "what held is folded"
    assert 'title="/etc/synthmon/probes/order.yaml:71">order.yaml:71</small>' in page


async def test_of_a_run_that_passed_every_clause_is_shown():
    monitor = await a_monitor()
    run = replace(a_failed_run(run_id="be" * 16, cause="manual", clauses=(HELD,)), outcome=Outcome.PASSED)
    await monitor.keep(run)

    async with a_client(monitor) as client:
        page = (await client.get(f"/runs/{run.run_id}")).text

    assert '<details class="held" open>' in page


async def test_the_page_of_a_failing_journey_leads_to_the_run_that_failed():
    monitor = await a_monitor()
    run = a_failed_run(run_id="be" * 16, slot=NOON + timedelta(minutes=5))
    await monitor.keep(run)

    async with a_client(monitor) as client:
        page = (await client.get(f"/journeys/{run.journey}")).text

    assert f'<a href="/runs/{run.run_id}">Why? Look into run {run.run_id[:8]}</a>' in page


def test_the_parts_of_a_message_stay_apart_where_blanks_are_one():
    assert spaced("booked: x.yaml:60  body.count == 1   body.count is 0") == (
        "booked: x.yaml:60 · body.count == 1 · body.count is 0"
    )
    assert file("/etc/synthmon/probes/order.yaml:71") == "order.yaml:71"
    assert file("order.yaml:71") == "order.yaml:71"


def test_what_is_due_is_never_said_to_be_past():
    assert due(NOON + timedelta(seconds=9), NOON) == "in 9 s"
    assert due(NOON - timedelta(seconds=9), NOON) == "now"
