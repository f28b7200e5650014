"""`otlp`: which spans and logs are a run's, and what they say, from the real receiver on."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from synthmon.core.evidence import MOST_HOPS, MOST_LINKED_TRACES, Evidence, Wanted
from synthmon.core.inbound import Telemetry
from synthmon.core.telemetry import Link, Log, Span
from synthmon.demo.shop import running_shop
from synthmon.evidence.jsonl import SOURCE as JSONL
from synthmon.evidence.otlp import SOURCE
from synthmon.evidence.spans import from_span, texts_of
from synthmon.evidence.waiting import LONGEST_S, MOST_HELD, Held, Waiting
from synthmon.web.collector import Collector
from synthmon.web.inbound import create_inbound
from synthmon.web.serve import bind, serving
from synthmon.web.switchboard import Switchboard
from tests.evidence.lending import Heard, Lent, a_source, wanted, watching

NUMBERS = itertools.count(1)


def a_trace() -> str:
    return f"{next(NUMBERS):032x}"


def span(trace: str, name: str = "work", **more: Any) -> Span:
    now = time.time_ns()
    own = {"span_id": f"{next(NUMBERS):016x}", "start_ns": now - 10**6, "end_ns": now}
    return Span(trace_id=trace, name=name, **{**own, **more})


def link(to: Span) -> Link:
    return Link(to.trace_id, to.span_id)


class Reported(Collector):
    """The collector, told of telemetry by the test itself."""

    def report(self, *records: Span | Log) -> list[bool]:
        spans = tuple(record for record in records if isinstance(record, Span))
        logs = tuple(record for record in records if isinstance(record, Log))
        told = Telemetry(spans, logs, time.monotonic(), datetime.now(UTC))
        return [hear(told) for hear in tuple(self._ears)]


@asynccontextmanager
async def hearing(collector: Collector, run: Wanted, **more: Any) -> AsyncIterator[Heard]:
    async with watching(SOURCE, a_source(SOURCE, {"otlp": {}}, **more), run, Lent(collector=collector)) as heard:
        yield heard


async def test_a_span_is_the_runs_by_its_trace_by_a_mark_and_by_a_key() -> None:
    run, collector = wanted(keys=("tea@example.com",)), Reported()

    async with hearing(collector, run) as heard:
        collector.report(
            span(run.run_id, "in its trace"),
            span(a_trace(), "marked", attributes={"app": {"order": f"x-{run.namespace}"}}),
            span(a_trace(), "carried", tracestate=f"other=1,synthmon={run.run_id}"),
            span(a_trace(), "keyed", attributes={"enduser.id": "tea@example.com"}),
            span(a_trace(), "another's", attributes={"enduser.id": "not tea@example.com"}),
        )
        await heard.until_told("in its trace", "marked", "carried", "keyed")

    assert [record.matched_by for record in heard.records] == ["trace", "app.order", "tracestate", "enduser.id (key)"]


async def test_a_trace_that_links_to_the_run_is_the_runs_whole() -> None:
    run, collector = wanted(), Reported()
    producer, theirs = span(run.run_id, "send"), a_trace()
    consumer = span(theirs, "process", links=(link(producer),))

    async with hearing(collector, run) as heard:
        collector.report(producer, consumer)
        collector.report(span(theirs, "later in the linked trace"), span(a_trace(), "of somebody else"))
        await heard.until_told("send", "process", "later in the linked trace")

    assert [record.matched_by for record in heard.records] == ["trace", "link", "trace"]
    assert heard.records[1].causes == (producer.span_id,)


async def test_what_came_before_the_link_that_explains_it_is_told_then() -> None:
    run, collector = wanted(), Reported()
    producer, second, third = span(run.run_id, "send"), a_trace(), a_trace()
    relay = span(second, "relay", links=(link(producer),))
    inside = span(second, "inside", parent_id=relay.span_id)
    last = span(third, "last", links=(link(inside),))

    async with hearing(collector, run) as heard:
        collector.report(last)
        collector.report(inside, Log("a log inside", time.time_ns(), trace_id=second))
        await heard.until_sure()
        assert heard.steps == []
        collector.report(relay)
        await heard.until_told("relay", "inside", "a log inside", "last")


async def test_a_run_that_begins_later_gets_what_others_run_into_already() -> None:
    first, second, collector = wanted("a"), wanted("b"), Reported()
    batch = a_trace()
    one, two = span(first.run_id, "send one"), span(second.run_id, "send two")
    both = span(batch, "process both", links=(link(one), link(two)))

    async with hearing(collector, first) as heard:
        collector.report(one, two, both)
        await heard.until_told("send one", "process both")
        async with hearing(collector, second) as too:
            await too.until_told("send two", "process both")


async def test_links_are_followed_three_times_and_no_further() -> None:
    run, collector = wanted(), Reported()
    chain = [span(run.run_id, "0")]
    for n in range(1, MOST_HOPS + 3):
        chain.append(span(a_trace(), str(n), links=(link(chain[-1]),)))

    async with hearing(collector, run) as heard:
        collector.report(*chain[::-1])
        await heard.until_told(*(str(n) for n in range(MOST_HOPS + 1)))


async def test_twenty_linked_traces_are_a_runs_and_no_more() -> None:
    run, collector = wanted(), Reported()
    producer = span(run.run_id, "send")

    async with hearing(collector, run) as heard:
        collector.report(producer, *(span(a_trace(), "process", links=(link(producer),)) for _ in range(50)))
        await heard.until_told("send", *["process"] * MOST_LINKED_TRACES)


async def test_a_mark_in_a_foreign_trace_brings_what_is_below_it_and_what_links_to_it_only() -> None:
    run, collector, foreign = wanted(), Reported(), a_trace()
    poll = span(foreign, "poll")
    ours = span(foreign, "ours", parent_id=poll.span_id, attributes={"correlation": run.run_id})
    below, theirs = span(foreign, "below", parent_id=ours.span_id), span(foreign, "theirs", parent_id=poll.span_id)
    next_, other = span(a_trace(), "next", links=(link(ours),)), span(a_trace(), "other", links=(link(theirs),))
    said = Log("said", time.time_ns(), trace_id=foreign, span_id=ours.span_id)

    async with hearing(collector, run) as heard:
        collector.report(next_, other, below, theirs, said)
        collector.report(ours, poll)
        await heard.until_told("ours", "below", "next", "said")


async def test_the_trace_to_which_a_span_of_the_run_links_is_not_the_runs() -> None:
    run, collector, elsewhere = wanted(), Reported(), a_trace()
    strange = span(elsewhere, "of somebody else")

    async with hearing(collector, run) as heard:
        collector.report(strange, span(run.run_id, "batch", links=(link(strange),)))
        await heard.until_told("batch")


async def test_what_is_sent_twice_is_told_once_and_what_is_alike_twice() -> None:
    run, collector = wanted(), Reported()
    one = span(run.run_id, "posted")
    alike = Log("mailed", time.time_ns(), trace_id=run.run_id)

    async with hearing(collector, run) as heard:
        collector.report(one, alike, alike)
        collector.report(one, alike, alike)
        await heard.until_told("posted", "mailed", "mailed")

    assert len({record.identity for record in heard.records}) == 3


async def test_two_runs_hear_the_same_telemetry_and_each_its_own() -> None:
    first, second, collector = wanted("a"), wanted("b"), Reported()

    async with hearing(collector, first) as heard, hearing(collector, second) as too:
        assert collector.report(span(first.run_id, "one"), span(second.run_id, "two")) == [True, True]
        await heard.until_told("one")
        await too.until_told("two")

    assert collector.report() == []


async def test_while_nobody_reports_anything_nothing_is_claimed() -> None:
    run, collector = wanted(), Reported()

    async with hearing(collector, run) as heard:
        await heard.until(lambda: heard.blind != [])
        assert heard.blind == ["no system has reported anything by OTLP"]
        assert heard.watermark_ns == 0
        collector.report(span(a_trace(), "of somebody else"))
        await heard.until_sure()

    assert heard.records == []


async def test_what_does_not_fit_is_sent_away_and_nothing_is_claimed_meanwhile() -> None:
    run, collector = wanted(), Reported()
    many = [span(a_trace()) for _ in range(100)] * 400

    async with hearing(collector, run, lag_s=30.0) as heard:
        assert collector.report(*many) == [True]
        assert collector.report(*many, span(run.run_id, "refused")) == [False]
        assert "told to come again" in heard.blind[0]
        while not all(collector.report(span(run.run_id, "again"))):  # noqa: ASYNC110  as a sender does
            await asyncio.sleep(0)
        await heard.until(lambda: heard.steps != [])

    assert heard.watermark_ns == 0
    assert heard.steps[0] == "again"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"name": "GET /orders"}, {"step": "GET /orders", "status": "ok", "attempt": 1}),
        ({"attributes": {"code.function.name": "book", "synthmon.step": "booked"}}, {"step": "booked"}),
        ({"attributes": {"messaging.operation.name": "process", "code.function": "book"}}, {"step": "book"}),
        ({"attributes": {"messaging.operation.name": "settle-invoice"}}, {"step": "settle-invoice"}),
        ({"status": "error"}, {"status": "error"}),
        ({"status": "ok", "attributes": {"http.response.status_code": 503}}, {"status": "ok"}),
        ({"attributes": {"http.response.status_code": 503}}, {"status": "error"}),
        ({"attributes": {"http.response.status_code": 404}, "kind": "server"}, {"status": "ok"}),
        ({"attributes": {"http.response.status_code": 404}, "kind": "client"}, {"status": "error"}),
        ({"attributes": {"rpc.grpc.status_code": 14}}, {"status": "error"}),
        ({"attributes": {"rpc.grpc.status_code": 0}}, {"status": "ok"}),
        ({"attributes": {"error.type": "TimeoutError"}}, {"status": "error"}),
        ({"attributes": {"status": "skipped"}, "status": "error"}, {"status": "skipped"}),
        ({"attributes": {"messaging.gcp_pubsub.message.delivery_attempt": 3}}, {"attempt": 3}),
        ({"attributes": {"messaging.servicebus.message.delivery_count": "2"}}, {"attempt": 2}),
        ({"attributes": {"http.request.resend_count": 1}}, {"attempt": 2}),
        ({"attributes": {"attempt": "many"}}, {"attempt": 1}),
        ({"attributes": {"messaging.message.id": "m-1"}}, {"id": "m-1"}),
        ({"attributes": {"peer.service": "psp", "db.system": "x"}}, {"dependency": "psp"}),
        ({"attributes": {"db.system.name": "postgresql"}}, {"dependency": "postgresql"}),
        ({"attributes": {"server.address": "psp.example.com"}, "kind": "client"}, {"dependency": "psp.example.com"}),
        ({"attributes": {"server.address": "me.example.com"}, "kind": "server"}, {"dependency": ""}),
        ({"resource": {"service.name": "ledger", "host.name": "h"}}, {"clock": "ledger"}),
        ({"start_ns": 5 * 10**9, "end_ns": 0}, {"at_ns": 5 * 10**9, "duration_ms": 0.0}),
        ({"start_ns": 5 * 10**9, "end_ns": 5_250_000_000}, {"at_ns": 5_250_000_000, "duration_ms": 250.0}),
        ({"end_ns": 7, "start_ns": 9}, {"at_ns": 7, "duration_ms": None}),
    ],
)
def test_a_span_says_which_step_it_is_and_how_it_went(changed: dict[str, Any], expected: dict[str, Any]) -> None:
    one = replace(span(a_trace()), **changed)

    record = understood(one, {})

    assert record is not None
    assert {name: getattr(record, name) for name in expected} == expected


def test_a_map_says_otherwise_and_attributes_are_bounded() -> None:
    one = span(
        a_trace(),
        attributes={"app": {"step": "booked"}, **{f"a{n}": "x" * 1000 for n in range(100)}},
        resource={"host.name": "h-1", "service.name": "ledger"},
    )

    record = understood(one, {"step": "app.step", "clock": "resource.host.name", "status": "none.there"})

    assert record is not None
    assert (record.step, record.clock, record.status) == ("booked", "h-1", "ok")
    assert len(record.attrs) == 32
    assert max(map(len, record.attrs.values())) == 256


def test_a_span_without_a_time_is_no_evidence() -> None:
    assert understood(span(a_trace(), start_ns=0, end_ns=0), {}) is None


def understood(one: Span, renamed: dict[str, str]) -> Evidence | None:
    return from_span("spans", one, texts_of(one), wanted(), 1, renamed, "trace")


async def test_a_log_is_read_from_its_attributes_and_its_body() -> None:
    run, collector, at = wanted(), Reported(), 1_800_000_000_000_000_001
    resource = {"service.name": "ledger"}

    async with hearing(collector, run) as heard:
        collector.report(
            Log("posted", at, severity_text="INFO", trace_id=run.run_id, span_id="ab" * 8, resource=resource),
            Log({"step": "booked", "status": "ok", "correlationId": run.run_id}, at, resource=resource),
            Log(f'{{"step": "mailed", "to": "{run.namespace}@x.example", "eventId": "e-1"}}', 0, observed_ns=at),
            Log("named", at, name="ledger.closed", attributes={"run": run.run_id, "attempt": 2}),
            Log("of another run", at, attributes={"run": "b" * 32}),
        )
        await heard.until_told("posted", "booked", "mailed", "ledger.closed")

    posted, booked, mailed, named = heard.records
    assert (posted.status, posted.clock, posted.trace_id, posted.at_ns) == ("info", "ledger", run.run_id, at)
    assert (booked.status, booked.matched_by) == ("ok", "correlationId")
    assert (mailed.id, mailed.at_ns) == ("e-1", at)
    assert named.attempt == 2


def test_what_waits_for_its_link_is_bounded_by_number_and_age() -> None:
    waiting, trace = Waiting(), a_trace()
    for n in range(MOST_HELD + 100):
        one = span(trace if n % 2 else a_trace(), links=(Link(a_trace(), "ab" * 8),))
        waiting.add(Held(one, {}, at_s=0.0))
    assert len(waiting) == MOST_HELD
    assert len(waiting.of_trace(trace)) == MOST_HELD // 2

    waiting.add(Held(span(a_trace()), {}, at_s=LONGEST_S + 1))

    assert len(waiting) == 1
    assert waiting.of_trace(trace) == ()


async def test_every_span_and_log_line_of_an_order_of_the_demo_is_found(tmp_path: Path) -> None:
    run, collector, reference = wanted(), Collector(), "inv-1"
    order = {"reference": reference, "sku": "mug-blue", "quantity": 1, "name": "Ann", "email": "ann@example.com"}
    marks = {
        "X-Correlation-ID": run.run_id,
        "traceparent": f"00-{run.run_id}-00f067aa0ba902b7-01",
        "tracestate": f"synthmon={run.run_id}",
    }
    logs = a_source(JSONL, {"jsonl": str(tmp_path / "**" / "*.jsonl")})

    async with (
        serving(create_inbound(Switchboard(), collector), bind("127.0.0.1:0")) as base,
        running_shop(tmp_path, busy_rate=0.0, otlp=base) as shop,
        hearing(collector, run) as spans,
        watching(JSONL, logs, run) as lines,
        httpx.AsyncClient(base_url=shop.url, trust_env=False) as visitor,
    ):
        for _ in range(2):  # the second is somebody else's
            assert (await visitor.post("/orders", json=order, headers=marks)).status_code == 202
            order, marks = order | {"reference": "other"}, {}
        await lines.until(lambda: "mail-sent" in lines.steps)
        await spans.until(lambda: {*lines.steps, "call smtp"} <= set(spans.steps))

    assert len(lines.steps) == len(set(lines.steps)) == 7
    assert all(run.run_id in str(record.attrs) for record in spans.records)
    consumer = next(record for record in spans.records if record.attrs["kind"] == "consumer")
    line = next(record for record in lines.records if record.step == consumer.step)
    assert (consumer.status, consumer.id, consumer.clock) == (line.status, line.id, line.clock)
    assert consumer.at_ns // 1000 == line.at_ns // 1000
    assert any(record.causes for record in spans.records)
    assert {record.dependency for record in spans.records if record.attrs["kind"] == "client"} != {""}
