"""`xray` against a server that answers as the documentation of X-Ray says: summaries by expression, whole traces."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from synthmon.evidence.segments import pieces_of, span_of, trace_of
from synthmon.evidence.xray import LONGEST_EXPRESSION, SOURCE
from tests.evidence.aws_back_ends import KNOWN, AwsScenarios, checked
from tests.evidence.back_ends import Answer, Asked, Said, Thing, a_back_end, looking
from tests.evidence.lending import wanted


@dataclass
class Kept:
    """A segment; `links` are traces to which it links, with `parent` or `child`; `more` is what else stands in it."""

    trace: str
    step: str
    at_ns: int = field(default_factory=time.time_ns)
    links: Sequence[tuple[str, str]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    service: str = "ledger"

    @property
    def id(self) -> str:
        return f"{abs(hash((self.trace, self.step, self.at_ns))) % 16**15 + 1:016x}"

    @property
    def document(self) -> str:
        told: dict[str, Any] = {
            "id": self.id,
            "name": self.service,
            "start_time": round(self.at_ns / 1e9 - 0.0125, 6),
            "end_time": round(self.at_ns / 1e9, 6),
            "trace_id": spelled(self.trace),
            "origin": "AWS::Lambda::Function",
            "annotations": {"synthmon_step": self.step},
        }
        if self.links:
            told["links"] = [
                {"trace_id": spelled(trace), "id": "ab" * 8, "attributes": {"aws.xray.reserved.reference_type": kind}}
                for trace, kind in self.links
            ]
        return json.dumps({**told, **self.more})


def spelled(trace: str) -> str:
    return f"1-{trace[:8]}-{trace[8:]}"


def xray(kept: Sequence[Kept], ignores_filter: bool = False, page: int = 100) -> Answer:
    """As https://docs.aws.amazon.com/xray/latest/api/API_GetTraceSummaries.html and API_BatchGetTraces.html"""

    def answer(asked: Asked) -> Said:
        assert asked.method == "POST"
        question = json.loads(asked.body)
        if asked.path == "/Traces":
            assert 1 <= len(question["TraceIds"]) <= 5
            found = {one.trace for one in kept if ignores_filter or spelled(one.trace) in question["TraceIds"]}
            return Said({"Traces": [whole(trace, kept) for trace in sorted(found)], "UnprocessedTraceIds": []})
        assert asked.path == "/TraceSummaries"
        assert question["StartTime"] <= time.time() < question["EndTime"] + 60
        assert question["EndTime"] - question["StartTime"] <= 6 * 3600
        assert len(question["FilterExpression"]) <= LONGEST_EXPRESSION
        matching = sorted({one.trace for one in kept if ignores_filter or matches(question["FilterExpression"], one)})
        begin = int(question.get("NextToken", "0"))
        said: dict[str, Any] = {"ApproximateTime": question["EndTime"], "TracesProcessedCount": len(kept)}
        said["TraceSummaries"] = [
            {"Id": spelled(trace), "Revision": sum(one.trace == trace for one in kept), "IsPartial": False}
            for trace in matching[begin : begin + page]
        ]
        return Said(said | ({"NextToken": str(begin + page)} if begin + page < len(matching) else {}))

    return checked("xray", answer)


def whole(trace: str, kept: Sequence[Kept]) -> dict[str, Any]:
    segments = [{"Id": one.id, "Document": one.document} for one in kept if one.trace == trace]
    return {"Id": spelled(trace), "Duration": 0.5, "LimitExceeded": False, "Segments": segments}


def matches(expression: str, one: Kept) -> bool:
    annotations = json.loads(one.document)["annotations"]
    for condition in expression.split(" OR "):
        if found := re.fullmatch(r'annotation\[([\w.]+)\] = "([^"]*)"', condition):
            if annotations.get(found[1]) == found[2]:
                return True
        else:
            service = re.fullmatch(r'service\("([^"]*)"\)', condition)
            assert service is not None, condition
            if service[1] == one.service:
                return True
    return False


class TestXRay(AwsScenarios):
    word: ClassVar[str] = "xray"
    keys: ClassVar[Mapping[str, Any]] = KNOWN

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        def answer(asked: Asked) -> Said:
            segments = [
                Kept(one.run_id, one.step, one.at_ns, more={"aws": {"message_id": one.id}}, service="ledger")
                for one in kept
            ]
            said = xray(segments, **moods)(asked)
            assert isinstance(said, Said)
            return said

        return answer


def trace(n: int) -> str:
    return f"{n:032x}"


@pytest.mark.parametrize("kind", ["child", "parent"])
async def test_a_trace_that_is_linked_to_that_of_the_run_is_the_runs_and_so_on_for_three_links(kind: str) -> None:
    """`child` stands in the trace that sent the message, `parent` in that of whom it woke."""
    run = wanted()
    chain = [run.run_id, *(trace(n) for n in range(1, 6))]
    kept = [Kept(trace, f"hop-{n}") for n, trace in enumerate(chain)]
    for before, after in pairwise(kept):
        if kind == "child":
            before.links = [(after.trace, "child")]
        else:
            after.links = [(before.trace, "parent")]
    kept += [Kept(trace(1), "beside the link"), Kept(trace(99), "theirs", links=[(trace(98), "parent")])]
    keys = KNOWN if kind == "child" else {**KNOWN, "linked": ["ledger"]}

    async with a_back_end(xray(kept)) as back_end, looking("xray", back_end.url, run, keys) as told:
        await told.until_told("hop-0", "hop-1", "beside the link", "hop-2", "hop-3")
        await told.until_sure()

    assert len(told.steps) == 5
    records = {record.step: record for record in told.records}
    assert records["hop-0"].matched_by == "trace"
    assert records["hop-1"].trace_id == trace(1)
    if kind == "child":
        assert records["hop-1"].causes == (records["hop-0"].span_id,)


async def test_a_link_that_comes_late_is_found_by_a_later_look() -> None:
    run = wanted()
    kept = [Kept(run.run_id, "publish"), Kept(trace(7), "before the link")]
    keys = {**KNOWN, "linked": ["ledger"]}

    async with a_back_end(xray(kept)) as back_end, looking("xray", back_end.url, run, keys) as told:
        await told.until_told("publish")
        kept.append(Kept(trace(7), "linked", links=[(run.run_id, "parent")]))
        await told.until_told("publish", "before the link", "linked")


async def test_a_trace_with_a_mark_in_an_annotation_is_looked_through() -> None:
    run = wanted(keys=("ORD-1", 'a "quoted" one'))
    kept = [
        Kept(trace(1), "by run", more={"annotations": {"step": "by run", "synthmon_run": run.run_id}}),
        Kept(trace(1), "another's in the same trace"),
        Kept(trace(2), "by key", more={"annotations": {"step": "by key", "order": "ORD-1"}}),
        Kept(trace(3), "not asked for", more={"annotations": {"step": "not asked for", "other": run.run_id}}),
    ]
    keys = {**KNOWN, "annotations": ["synthmon_run", "order"]}

    async with a_back_end(xray(kept, page=1)) as back_end, looking("xray", back_end.url, run, keys) as told:
        await told.until_told("by run", "by key")
        await told.until_sure()

    assert sorted(told.steps) == ["by key", "by run"]
    assert {record.matched_by for record in told.records} == {"synthmon_run", "order (key)"}


async def test_a_call_of_sqs_and_the_function_that_it_wakes_are_told_with_their_causes() -> None:
    run = wanted()
    now_s = time.time()
    sent = {
        "id": "1111111111111111",
        "name": "SQS",
        "namespace": "aws",
        "start_time": now_s - 0.02,
        "end_time": now_s,
        "aws": {"operation": "SendMessage", "message_id": "m-1", "queue_url": "https://sqs/1/orders"},
    }
    inferred = {
        "id": "2222222222222222",
        "name": "SQS",
        "inferred": True,
        "parent_id": sent["id"],
        "origin": "AWS::SQS::Queue",
        "annotations": {},
        "links": [
            {
                "trace_id": spelled(trace(5)),
                "id": "3333333333333333",
                "attributes": {"aws.xray.reserved.reference_type": "child"},
            }
        ],
    }
    kept = [
        Kept(run.run_id, "shop", more={"subsegments": [sent]}, service="shop"),
        Kept(run.run_id, "made up", more=inferred),
        Kept(trace(5), "", more={"annotations": {}, "origin": "AWS::Lambda"}, service="billing"),
        Kept(trace(5), "billed", more={"fault": True, "cause": {"exceptions": [{"message": "no money"}]}}),
        Kept(trace(5), "going on", more={"in_progress": True, "end_time": None}),
    ]

    async with a_back_end(xray(kept)) as back_end, looking("xray", back_end.url, run, KNOWN) as told:
        await told.until_told("shop", "SQS.SendMessage", "billing (AWS::Lambda)", "billed")
        await told.until_sure()

    records = {record.step: record for record in told.records}
    call, billed = records["SQS.SendMessage"], records["billed"]
    assert (call.id, call.causes, call.dependency, call.clock) == ("m-1", (records["shop"].span_id,), "SQS", "shop")
    assert records["billing (AWS::Lambda)"].causes == ("1111111111111111",)
    assert (billed.status, billed.attrs["fault"], billed.attrs["exception.message"]) == ("error", "true", "no money")
    assert call.status == "ok"
    assert len(told.records) == 4


async def test_a_trace_that_is_not_whole_is_said() -> None:
    run = wanted()
    cut = {"Id": spelled(run.run_id), "LimitExceeded": True, "Segments": []}

    def answer(asked: Asked) -> Said:
        return Said({"Traces": [cut]}) if asked.path == "/Traces" else Said({"TraceSummaries": []})

    async with a_back_end(answer) as back_end, looking("xray", back_end.url, run, KNOWN) as told:
        await told.until(lambda: bool(told.blind))

    assert "has a trace that is larger than it keeps" in told.blind[0]
    assert not told.watermark_ns


def test_a_document_becomes_spans() -> None:
    """The segment of https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html, in short."""
    document = {
        "id": "6B55DCC497934F1A",
        "start_time": 1484789387.126,
        "end_time": 1484789387.535,
        "trace_id": "1-5880168b-fd5158284b67678a3bb5a78c",
        "name": "www.example.com",
        "origin": "AWS::EC2::Instance",
        "annotations": {"customer_category": 124},
        "metadata": {"default": {"synthmon.run": "r"}, "debug": {"test": {"deep": "x"}}},
        "http": {"request": {"url": "https://www.example.com/health", "method": "GET"}, "response": {"status": 200}},
        "subsegments": [
            {
                "id": "53995c3f42cd8ad8",
                "name": "api.example.com",
                "start_time": 1484789387.2,
                "end_time": 1484789387.3,
                "namespace": "remote",
                "throttle": True,
                "http": {"response": {"status": 429}},
                "subsegments": ["nonsense", {"id": "short", "start_time": 1, "end_time": 2}],
            }
        ],
    }

    pieces = list(pieces_of(json.dumps(document), "5880168bfd5158284b67678a3bb5a78c"))
    root, call = (span for piece in pieces if (span := span_of(piece, str)) is not None)

    assert (root.span_id, root.kind, root.status, root.start_ns) == (
        *("6b55dcc497934f1a", "server", "ok"),
        1484789387126000000,
    )
    assert root.attributes["synthmon.run"] == "r"
    assert root.attributes["debug.test"] == {"deep": "x"}
    assert root.attributes["http.response.status_code"] == 200
    assert (call.parent_id, call.kind, call.status, call.resource) == (
        *(root.span_id, "client", "error"),
        {"service.name": "www.example.com"},
    )
    assert call.attributes["throttle"] is True


@pytest.mark.parametrize("document", ["", "[]", "{", '{"id": 1, "subsegments": {}}', '{"subsegments": [null, [1]]}'])
def test_what_is_no_segment_is_passed_over(document: str) -> None:
    assert [span for piece in pieces_of(document, trace(1)) if (span := span_of(piece, str)) is not None] == []


@pytest.mark.parametrize("told", ["1-5880168b-fd5158284b67678a3bb5a78c", "5880168bfd5158284b67678a3bb5a78c"])
def test_a_trace_id_is_read_however_it_is_spelled(told: str) -> None:
    assert trace_of(told) == "5880168bfd5158284b67678a3bb5a78c"
    assert spelled(trace_of(told)) == "1-5880168b-fd5158284b67678a3bb5a78c"


@pytest.mark.parametrize("keys", [{"annotations": ["a b"]}, {"linked": ['a"b']}, {"region": "x"}])
def test_what_cannot_be_asked_for_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SOURCE.keys.model_validate({"xray": "http://xray", **KNOWN, **keys})
