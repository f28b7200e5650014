"""`jaeger` against a server that answers as the query service of Jaeger does to its own UI."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from synthmon.evidence.jaeger import spans_in
from tests.evidence.back_ends import Answer, Asked, Said, Scenarios, Thing, a_back_end, looking
from tests.evidence.lending import wanted


@dataclass(frozen=True)
class Kept:
    """A span; `refers` are references: how, to which trace and span."""

    trace: str
    step: str
    refers: Sequence[tuple[str, str, str]] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)
    service: str = "ledger"
    at_ns: int = field(default_factory=time.time_ns)

    @property
    def id(self) -> str:
        return f"{abs(hash((self.trace, self.step, self.at_ns))) % 16**15 + 1:016x}"


def span(one: Kept, process: str) -> dict[str, Any]:
    tags = {"span.kind": "consumer", "otel.status_code": "OK", "synthmon.step": one.step, **one.tags}
    kinds = {str: "string", bool: "bool", int: "int64", float: "float64"}
    return {
        "traceID": one.trace,
        "spanID": one.id,
        "flags": 1,
        "operationName": f"process {one.step}",
        "references": [{"refType": how, "traceID": trace, "spanID": span} for how, trace, span in one.refers],
        "startTime": one.at_ns // 1000 - 12_500,
        "duration": 12_500,
        "tags": [{"key": key, "type": kinds[type(value)], "value": value} for key, value in tags.items()],
        "logs": [],
        "processID": process,
        "warnings": None,
    }


def a_trace(spans: Sequence[Kept]) -> dict[str, Any]:
    processes = {service: f"p{n}" for n, service in enumerate(dict.fromkeys(one.service for one in spans), 1)}
    return {
        "traceID": spans[0].trace,
        "spans": [span(one, processes[one.service]) for one in spans],
        "processes": {id: {"serviceName": service, "tags": []} for service, id in processes.items()},
        "warnings": None,
    }


def data(found: Any, errors: Any = None) -> dict[str, Any]:
    return {"data": found, "total": 0, "limit": 0, "offset": 0, "errors": errors}


def jaeger(kept: Sequence[Kept], ignores_filter: bool = False) -> Answer:
    """A search answers whole traces, the newest first."""

    def answer(asked: Asked) -> Said:
        traces: dict[str, list[Kept]] = {}
        for one in kept:
            traces.setdefault(one.trace, []).append(one)
        if asked.path == "/api/services":
            return Said(data(sorted({one.service for one in kept}) or None))
        if asked.path != "/api/traces":
            found = traces.get(asked.path.removeprefix("/api/traces/"))
            if found is None:
                return Said(data(None, [{"code": 404, "msg": "trace not found"}]), 404)
            return Said(data([a_trace(found)]))
        if not asked.params.get("service"):
            return Said(data(None, [{"code": 400, "msg": "parameter 'service' is required"}]), 400)
        matching = [found for found in traces.values() if ignores_filter or _matches(asked.params, found)]
        matching.sort(key=lambda spans: -spans[0].at_ns)
        return Said(data([a_trace(found) for found in matching[: int(asked.params["limit"])]]))

    return answer


def _matches(params: Mapping[str, str], spans: Sequence[Kept]) -> bool:
    begin, end, tags = int(params["start"]), int(params["end"]), json.loads(params.get("tags", "{}"))
    return any(
        one.service == params["service"]
        and begin <= one.at_ns // 1000 - 12_500 <= end
        and tags.items() <= one.tags.items()
        for one in spans
    )


class TestJaeger(Scenarios):
    word: ClassVar[str] = "jaeger"

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        def answer(asked: Asked) -> Said:
            spans = [Kept(one.run_id, one.step, (), {"messaging.message.id": one.id}, at_ns=one.at_ns) for one in kept]
            said = jaeger(spans, **moods)(asked)
            assert isinstance(said, Said)
            return said

        return answer


def trace(n: int) -> str:
    return f"{n:032x}"


def follows(of: str) -> list[tuple[str, str, str]]:
    return [("FOLLOWS_FROM", of, "ab" * 8)]


async def test_a_trace_with_the_id_of_the_run_in_a_tag_is_found() -> None:
    run = wanted()
    ours = Kept(trace(5), "posted", tags={"correlationId": run.run_id})
    below = Kept(trace(5), "below", [("CHILD_OF", trace(5), ours.id)], service="mail")
    kept = [Kept(run.run_id, "publish"), ours, below, Kept(trace(5), "of another message"), Kept(trace(6), "theirs")]

    async with a_back_end(jaeger(kept)) as back_end, looking("jaeger", back_end.url, run) as told:
        await told.until_told("publish", "posted", "below")
        await told.until_sure()

    assert sorted(told.steps) == ["below", "posted", "publish"]
    assert {record.clock for record in told.records} == {"ledger", "mail"}


async def test_only_the_services_that_are_named_are_searched() -> None:
    run = wanted()
    kept = [Kept(trace(n), f"in {name}", tags={"tag": run.run_id}, service=name) for n, name in enumerate("ab", 1)]
    keys = {"services": ["a"], "tags": ["tag"]}

    async with a_back_end(jaeger(kept)) as back_end, looking("jaeger", back_end.url, run, keys) as told:
        await told.until_told("in a")

    assert "/api/services" not in {asked.path for asked in back_end.asked}


async def test_a_trace_that_refers_to_that_of_the_run_is_found_among_those_of_a_linked_service() -> None:
    run = wanted()
    kept = [Kept(run.run_id, "publish"), Kept(trace(1), "posted", follows(run.run_id)), Kept(trace(1), "beside")]
    kept += [Kept(trace(2), "mailed", follows(trace(1))), *(Kept(trace(n), "theirs") for n in range(10, 250))]

    async with (
        a_back_end(jaeger(kept)) as back_end,
        looking("jaeger", back_end.url, run, {"services": ["ledger"], "linked": ["ledger"]}) as told,
    ):
        await told.until_told("publish", "posted", "beside", "mailed")
        kept.append(Kept(trace(3), "mailed again", follows(trace(1))))
        await told.until_told("publish", "posted", "beside", "mailed", "mailed again")

    assert not told.blind


async def test_too_many_services_are_to_be_named() -> None:
    run = wanted()
    kept = [Kept(trace(n), "theirs", service=f"service-{n}") for n in range(1, 25)]

    async with a_back_end(jaeger(kept)) as back_end, looking("jaeger", back_end.url, run) as told:
        await told.until(lambda: bool(told.blind))

    assert "knows 24 services: name those to search, `services: [a, b]`" in told.blind[0]


async def test_an_error_inside_an_answer_that_is_good_is_said() -> None:
    answer = Said(data(None, [{"code": 500, "msg": "storage is not there"}]))

    async with a_back_end(lambda asked: answer) as back_end, looking("jaeger", back_end.url, wanted()) as told:
        await told.until(lambda: bool(told.blind))

    assert told.blind[0].endswith("says: storage is not there")
    assert not told.watermark_ns


def test_a_span_is_read_with_its_parent_its_links_and_its_status() -> None:
    parents = [
        ("FOLLOWS_FROM", trace(2), "22" * 8),
        ("FOLLOWS_FROM", trace(1), "33" * 8),
        ("CHILD_OF", trace(1), "44" * 8),
    ]
    one = Kept(trace(1), "posted", parents, {"otel.status_code": "ERROR", "w3c.tracestate": "a=b", "n": 3})

    [found] = spans_in([a_trace([one])])

    assert (found.parent_id, found.kind, found.status, found.tracestate) == ("44" * 8, "consumer", "error", "a=b")
    assert [(link.trace_id, link.span_id) for link in found.links] == [(trace(2), "22" * 8), (trace(1), "33" * 8)]
    assert (found.end_ns - found.start_ns, found.resource) == (12_500_000, {"service.name": "ledger"})
    assert found.attributes["n"] == 3


def test_ids_without_their_leading_zeros_are_the_same_ids() -> None:
    one = {**span(Kept("1", "posted"), "p1"), "traceID": "1", "spanID": "2", "parentSpanID": "3"}

    [found] = spans_in([{"spans": [one], "processes": {}}])

    assert (found.trace_id, found.span_id, found.parent_id) == (trace(1), f"{2:016x}", f"{3:016x}")


@pytest.mark.parametrize("told", [None, "x", {}, {"traceID": "zz", "spanID": "1"}, {"traceID": "0", "spanID": "0"}, []])
def test_what_is_no_span_is_passed_over(told: Any) -> None:
    assert not list(spans_in([{"spans": [told], "processes": [told]}, {"spans": told}]))
