"""`tempo` against a server that answers as Tempo's documentation says: traces by id, searches by TraceQL."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from synthmon.core.evidence import MOST_LINKED_TRACES
from synthmon.evidence.tempo import spans_in
from tests.evidence.back_ends import Answer, Asked, Said, Scenarios, Thing, a_back_end, looking
from tests.evidence.lending import wanted


@dataclass(frozen=True)
class Kept:
    """A span; `links` are the traces to which it links, `attributes` are texts."""

    trace: str
    step: str
    links: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    at_ns: int = field(default_factory=time.time_ns)
    parent: str = ""

    @property
    def id(self) -> str:
        return f"{abs(hash((self.trace, self.step, self.at_ns))) % 16**15 + 1:016x}"


def b64(hex_id: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_id)).decode()


def span(one: Kept, encode: Any) -> dict[str, Any]:
    told = {
        "traceId": encode(one.trace),
        "spanId": encode(one.id),
        "name": f"process {one.step}",
        "kind": "SPAN_KIND_CONSUMER",
        "startTimeUnixNano": str(one.at_ns - 12_500_000),
        "endTimeUnixNano": str(one.at_ns),
        "attributes": [
            {"key": key, "value": {"stringValue": text}}
            for key, text in {"synthmon.step": one.step, **one.attributes}.items()
        ],
        "status": {"code": "STATUS_CODE_OK"},
    }
    if one.parent:
        told["parentSpanId"] = encode(one.parent)
    if one.links:
        told["links"] = [{"traceId": encode(trace), "spanId": encode("ab" * 8)} for trace in one.links]
    return told


def batches(spans: Sequence[Kept], encode: Any = b64, outer: str = "batches") -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "ledger"}}]}
    scope = {"scope": {"name": "shop"}, "spans": [span(one, encode) for one in spans]}
    return {outer: [{"resource": resource, "scopeSpans": [scope]}]}


def tempo(kept: Sequence[Kept], ignores_filter: bool = False) -> Answer:
    """As https://grafana.com/docs/tempo/latest/api_docs/; ids in hex in a search, in base64 in a trace."""

    def answer(asked: Asked) -> Said:
        assert asked.method == "GET"
        assert int(asked.params["start"]) < time.time() < int(asked.params["end"])
        if asked.path.startswith("/api/traces/"):
            wanted_trace = asked.path.removeprefix("/api/traces/")
            found = [one for one in kept if ignores_filter or one.trace == wanted_trace]
            return Said(batches(found)) if found else Said(b"trace not found\n", 404)
        assert asked.path == "/api/search"
        traces = {one.trace for one in kept if ignores_filter or _matches(asked.params["q"], one)}
        metrics = {"inspectedTraces": len(kept), "inspectedBytes": "100"}
        if not traces:
            return Said({"metrics": metrics})
        named = [{"traceID": trace.lstrip("0"), "rootServiceName": "ledger"} for trace in sorted(traces)]
        return Said({"traces": named[: int(asked.params["limit"])], "metrics": metrics})

    return answer


def _matches(query: str, one: Kept) -> bool:
    assert query.startswith("{ ")
    assert query.endswith(" }")
    for condition in query[2:-2].split(" || "):
        name, text = re.fullmatch(r'(\S+) = (".*")', condition).groups()  # type: ignore[union-attr]
        if name == "link:traceID" and json.loads(text) in one.links:
            return True
        if name.startswith(".") and one.attributes.get(name[1:]) == json.loads(text):
            return True
    return False


class TestTempo(Scenarios):
    word: ClassVar[str] = "tempo"

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        def answer(asked: Asked) -> Said:
            spans = [Kept(one.run_id, one.step, (), {"messaging.message.id": one.id}, one.at_ns) for one in kept]
            said = tempo(spans, **moods)(asked)
            assert isinstance(said, Said)
            return said

        return answer


def trace(n: int) -> str:
    return f"{n:032x}"


async def test_a_trace_that_links_to_that_of_the_run_is_the_runs_and_so_on_for_three_links() -> None:
    run = wanted()
    chain = [run.run_id, *(trace(n) for n in range(1, 6))]
    kept = [Kept(run.run_id, "publish")]
    kept += [Kept(after, f"hop-{n}", [before]) for n, (before, after) in enumerate(pairwise(chain), 1)]
    kept += [Kept(trace(1), "beside the link"), Kept(trace(99), "theirs", [trace(98)])]

    async with a_back_end(tempo(kept)) as back_end, looking("tempo", back_end.url, run) as told:
        await told.until_told("publish", "hop-1", "beside the link", "hop-2", "hop-3")
        await told.until_sure()

    assert sorted(told.steps) == ["beside the link", "hop-1", "hop-2", "hop-3", "publish"]
    why = {record.step: record.matched_by for record in told.records}
    assert why["publish"] == "trace"
    assert "link" in why["hop-1"]


async def test_a_link_that_comes_late_is_found_by_a_later_look() -> None:
    run = wanted()
    kept = [Kept(run.run_id, "publish"), Kept(trace(7), "before the link")]

    async with a_back_end(tempo(kept)) as back_end, looking("tempo", back_end.url, run) as told:
        await told.until_told("publish")
        kept.append(Kept(trace(7), "posted", [run.run_id]))
        await told.until_told("publish", "posted", "before the link")


async def test_no_more_linked_traces_are_taken_than_a_run_may_have() -> None:
    run = wanted()
    kept = [Kept(run.run_id, "publish"), *(Kept(trace(n), f"linked-{n}", [run.run_id]) for n in range(1, 31))]

    async with a_back_end(tempo(kept)) as back_end, looking("tempo", back_end.url, run) as told:
        await told.until_sure()

    assert len([step for step in told.steps if step.startswith("linked")]) == MOST_LINKED_TRACES
    assert not told.blind


async def test_a_mark_in_a_tag_makes_a_span_the_runs_with_what_is_below_it_and_not_the_rest() -> None:
    run = wanted()
    ours = Kept(trace(5), "posted", (), {"correlationId": run.run_id})
    kept = [ours, Kept(trace(5), "below", parent=ours.id), Kept(trace(5), "of another message")]

    async with a_back_end(tempo(kept)) as back_end, looking("tempo", back_end.url, run) as told:
        await told.until_told("posted", "below")
        kept.append(Kept(trace(5), "below, later", parent=ours.id))
        await told.until_told("posted", "below", "below, later")


async def test_links_are_not_sought_where_tempo_cannot() -> None:
    run = wanted()
    kept = [Kept(run.run_id, "publish"), Kept(trace(7), "posted", [run.run_id])]

    async with a_back_end(tempo(kept)) as back_end, looking("tempo", back_end.url, run, {"links": False}) as told:
        await told.until_told("publish")

    assert not [asked for asked in back_end.asked if "link" in asked.params.get("q", "")]


async def test_what_an_older_tempo_says_of_links_is_said() -> None:
    run = wanted()
    healthy = tempo([Kept(run.run_id, "publish")])

    def answer(asked: Asked) -> Said:
        if "link:" in asked.params.get("q", ""):
            return Said(
                b"invalid TraceQL query: parse error at line 1, col 3: syntax error: unexpected IDENTIFIER", 400
            )
        said = healthy(asked)
        assert isinstance(said, Said)
        return said

    async with a_back_end(answer) as back_end, looking("tempo", back_end.url, run) as told:
        await told.until(lambda: bool(told.blind))

    assert "answered HTTP 400: invalid TraceQL query" in told.blind[0]
    assert told.steps == ["publish"]
    assert not told.watermark_ns


async def test_a_search_that_finds_too_much_is_said() -> None:
    """More than twice as many as may be read, of which none is the run's."""
    run = wanted()
    kept = [Kept(run.run_id, "publish"), *(Kept(trace(n), "theirs") for n in range(1, 200))]

    def answer(asked: Asked) -> Said:
        if asked.path == "/api/search":
            begin = 1 if "link" in asked.params["q"] else 100
            return Said({"traces": [{"traceID": trace(n)} for n in range(begin, begin + 50)]})
        said = tempo(kept)(asked)
        assert isinstance(said, Said)
        return said

    async with a_back_end(answer) as back_end, looking("tempo", back_end.url, run) as told:
        await told.until(lambda: bool(told.blind))

    assert told.blind == ["a search found more than 60 traces for this run"]
    assert told.steps == ["publish"]


async def test_the_tenant_goes_along() -> None:
    async with (
        a_back_end(tempo([])) as back_end,
        looking("tempo", back_end.url, wanted(), {"tenant": "shop"}) as told,
    ):
        await told.until_sure()

    assert {asked.headers["x-scope-orgid"] for asked in back_end.asked} == {"shop"}


@pytest.mark.parametrize("shape", ["its own", "as OTLP", "version 2"])
def test_every_shape_of_a_trace_is_read(shape: str) -> None:
    one = Kept(trace(1), "posted", [trace(2)], parent="cd" * 8)
    answer = {
        "its own": batches([one]),
        "as OTLP": batches([one], str, "resourceSpans"),
        "version 2": {"trace": batches([one], b64, "resourceSpans"), "status": "COMPLETE"},
    }[shape]

    [found] = spans_in(answer)

    assert (found.trace_id, found.span_id, found.parent_id) == (trace(1), one.id, "cd" * 8)
    assert [link.trace_id for link in found.links] == [trace(2)]
    assert (found.kind, found.status, found.resource["service.name"]) == ("consumer", "ok", "ledger")


@pytest.mark.parametrize(
    "spans", [[None], ["x"], [{}], [{"traceId": "?="}], [{"traceId": 1, "links": [None]}], None, {}]
)
def test_what_is_no_span_is_passed_over(spans: Any) -> None:
    assert not list(spans_in({"batches": [{"scopeSpans": [{"spans": spans}]}]}))
