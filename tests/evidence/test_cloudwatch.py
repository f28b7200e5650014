"""`cloudwatch` against a server that answers as FilterLogEvents is documented; with moto: test_on_moto.py."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from synthmon.core.evidence import Wanted
from synthmon.evidence.cloudwatch import LONGEST_PATTERN, SOURCE, patterns_of
from tests.evidence.aws_back_ends import KNOWN, AwsScenarios, checked
from tests.evidence.back_ends import Answer, Asked, Said, Thing, a_back_end, looking, thing
from tests.evidence.lending import wanted

GROUP = "/aws/lambda/ledger"
KEYS = {**KNOWN, "groups": [GROUP]}


@dataclass(frozen=True)
class Event:
    """One log event."""

    message: str
    at_ns: int
    id: str
    group: str = GROUP


def event(one: Thing) -> Event:
    fields = {"correlationId": one.run_id, "step": one.step, "eventId": one.id, "status": "ok", "service": "ledger"}
    return Event(json.dumps(fields | {"time": one.at_ns}), one.at_ns, f"39{one.at_ns}{one.step}")


def text(line: str, id: str = "1") -> Event:
    return Event(line, time.time_ns(), id)


def cloudwatch(
    kept: Sequence[Event], ignores_filter: bool = False, page: int = 10_000, empty_pages: bool = False
) -> Answer:
    """As https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""

    def answer(asked: Asked) -> Said:
        assert (asked.method, asked.path) == ("POST", "/")
        assert asked.headers["x-amz-target"] == "Logs_20140328.FilterLogEvents"
        assert asked.headers["content-type"] == "application/x-amz-json-1.1"
        question = json.loads(asked.body)
        assert len(question["filterPattern"]) <= LONGEST_PATTERN
        terms = re.findall(r'\?"([^"\\]*)"', question["filterPattern"])
        assert question["filterPattern"] == " ".join(f'?"{term}"' for term in terms)
        matching = [
            one
            for one in kept
            if one.group == question["logGroupName"]
            and question["startTime"] <= one.at_ns // 10**6 <= question["endTime"]
            and (ignores_filter or any(term in one.message for term in terms))
        ]
        matching.sort(key=lambda one: one.at_ns)
        begin, size = int(question.get("nextToken", "0")), min(page, question["limit"])
        if empty_pages and begin % 2 == 0:
            return Said({"events": [], "searchedLogStreams": [], "nextToken": str(begin + 1)})
        skip = begin // 2 if empty_pages else begin
        found = [
            {
                "logStreamName": "2026/11/23/[$LATEST]0a1b",
                "timestamp": one.at_ns // 10**6,
                "message": one.message,
                "ingestionTime": one.at_ns // 10**6 + 900,
                "eventId": one.id,
            }
            for one in matching[skip : skip + size]
        ]
        said: dict[str, Any] = {"events": found, "searchedLogStreams": []}
        if skip + size < len(matching):
            said["nextToken"] = str(2 * (skip + size) if empty_pages else skip + size)
        return Said(said)

    return checked("logs", answer)


class TestCloudWatch(AwsScenarios):
    word: ClassVar[str] = "cloudwatch"
    keys: ClassVar[Mapping[str, Any]] = KEYS

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        def answer(asked: Asked) -> Said:
            said = cloudwatch([event(one) for one in kept], **moods)(asked)
            assert isinstance(said, Said)
            return said

        return answer


@pytest.mark.parametrize("empty_pages", [False, True])
async def test_many_events_come_page_by_page_and_each_once(empty_pages: bool) -> None:
    run = wanted()
    kept = [thing(run, f"step-{n}", ago_ms=n) for n in range(250)]

    async with (
        a_back_end(cloudwatch([event(one) for one in kept], page=100, empty_pages=empty_pages)) as back_end,
        looking("cloudwatch", back_end.url, run, KEYS) as told,
    ):
        await told.until_told(*(one.step for one in kept))

    assert not told.blind


async def test_a_back_end_whose_pages_never_end_is_given_up() -> None:
    answer = Said({"events": [], "nextToken": "again"})

    async with (
        a_back_end(lambda asked: answer) as back_end,
        looking("cloudwatch", back_end.url, wanted(), KEYS) as told,
    ):
        await told.until(lambda: bool(told.blind))

    assert f"more than 100 pages of {GROUP}" in told.blind[0]
    assert not told.watermark_ns


async def test_every_group_is_asked_and_names_the_service_of_what_does_not() -> None:
    run = wanted()
    line = json.dumps({"step": "posted", "correlationId": run.run_id})
    kept = [Event(line, time.time_ns(), "1"), Event(line, time.time_ns(), "1", "/aws/lambda/mail")]

    async with (
        a_back_end(cloudwatch(kept)) as back_end,
        looking("cloudwatch", back_end.url, run, {**KEYS, "groups": [GROUP, "/aws/lambda/mail"]}) as told,
    ):
        await told.until_told("posted", "posted")

    assert sorted(record.clock for record in told.records) == ["ledger", "mail"]
    assert {record.attrs["logGroup"] for record in told.records} == {GROUP, "/aws/lambda/mail"}


async def test_a_group_that_does_not_exist_is_said_by_its_name() -> None:
    answer = Said({"__type": "ResourceNotFoundException", "message": "The specified log group does not exist."}, 400)

    async with (
        a_back_end(lambda asked: answer) as back_end,
        looking("cloudwatch", back_end.url, wanted(), KEYS) as told,
    ):
        await told.until(lambda: bool(told.blind))

    assert told.blind[0].endswith(f"has no log group {GROUP} in eu-west-1")


REQUEST = "8f507cfc-7d4e-4b1a-9f0e-0a1b2c3d4e5f"


async def test_what_lambda_writes_is_understood() -> None:
    run = wanted()
    xray = f"1-{run.run_id[:8]}-{run.run_id[8:]}"
    posted = json.dumps({"step": "posted", "correlationId": run.run_id, "status": "ok"})
    kept = [
        text(f"2026-11-23T12:00:00.123Z\t{REQUEST}\tINFO\t{posted}\n", "node"),
        text(f"[ERROR]\t2026-11-23T12:00:01.5Z\t{REQUEST}\tno stock for {run.run_id}\nTraceback\n", "python"),
        text(json.dumps({"timestamp": "2026-11-23T12:00:02Z", "level": "INFO", "message": json.loads(posted)}), "json"),
        text(
            f"REPORT RequestId: {REQUEST}\tDuration: 2.38 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\t"
            f"Memory Used: 61 MB\tStatus: timeout\tXRAY TraceId: {xray}\tSegmentId: 07f116177a74b5f6\tSampled: true\t",
            "report",
        ),
        text(
            json.dumps(
                {
                    "time": "2026-11-23T12:00:04Z",
                    "type": "platform.report",
                    "record": {
                        "requestId": REQUEST,
                        "metrics": {"durationMs": 101.5, "billedDurationMs": 102},
                        "tracing": {"spanId": "22ff", "type": "X-Amzn-Trace-Id", "value": f"Root={xray};Sampled=1"},
                        "status": "success",
                    },
                }
            ),
            "report in JSON",
        ),
        text(f"plain words about {run.namespace}", "plain"),
        text(f"START RequestId: {REQUEST} Version: $LATEST", "nobody's"),
    ]

    async with a_back_end(cloudwatch(kept)) as back_end, looking("cloudwatch", back_end.url, run, KEYS) as told:
        await told.until(lambda: len(told.records) >= 6)

    records = {record.id: record for record in told.records}
    assert records["node"].step == records["json"].step == "posted"
    assert records["node"].at_ns == 1_795_435_200_123_000_000
    assert (records["python"].step, records["python"].status) == (f"no stock for {run.run_id}\nTraceback", "ERROR")
    report = records["report"]
    assert (report.step, report.status, report.duration_ms) == ("REPORT", "timeout", 2.38)
    assert (report.trace_id, report.span_id, report.matched_by) == (run.run_id, "07f116177a74b5f6", "traceId")
    assert report.attrs["Billed Duration"] == "3 ms"
    in_json = records["report in JSON"]
    assert (in_json.step, in_json.status, in_json.duration_ms) == ("platform.report", "success", 101.5)
    assert (in_json.trace_id, in_json.attrs["requestId"]) == (run.run_id, REQUEST)
    assert records["plain"].step == f"plain words about {run.namespace}"
    assert {record.clock for record in told.records} == {"ledger"}
    assert len(told.records) == 6


def test_the_question_names_every_mark_and_nothing_breaks_out_of_it() -> None:
    run = Wanted("a" * 32, "syn-1", 0, keys=('a"b\\c@d.example', "straße.1", "x" * 300, '"', "grün"))

    [pattern] = patterns_of(run)

    terms = re.findall(r'\?"([^"]*)"', pattern)
    assert terms == ["a" * 32, "syn-1", "c@d.example", "stra", f"1-{'a' * 8}-{'a' * 24}"]


def test_many_marks_are_asked_for_by_several_questions() -> None:
    run = Wanted("a" * 32, "syn-1", 0, keys=tuple(f"{n:0150}" for n in range(15)))

    patterns = patterns_of(run)

    assert len(patterns) > 1
    assert all(len(pattern) <= LONGEST_PATTERN for pattern in patterns)
    assert all(any(key in pattern for pattern in patterns) for key in run.keys)


@pytest.mark.parametrize(
    "keys", [{"groups": []}, {"groups": ["a b"]}, {"groups": ["x"] * 21}, {"region": "Europe"}, {"access_key": None}]
)
def test_what_cannot_be_asked_for_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SOURCE.keys.model_validate({"cloudwatch": "http://logs", **KEYS, **keys})


@pytest.mark.parametrize(
    ("url", "region", "words"),
    [
        ("https://logs.example.com", "", "`logs.example.com` names no region: add `region: eu-west-1`"),
        ("https://logs.eu-west-1.amazonaws.com", "us-east-1", "is in eu-west-1, and `region` says us-east-1"),
        ("https://logs.eu-west-1.amazonaws.com/x", "", "has no path"),
    ],
)
def test_an_address_without_a_region_or_with_two_is_refused(url: str, region: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        SOURCE.base(SOURCE.keys.model_validate({**KEYS, "cloudwatch": url, "region": region}))


@pytest.mark.parametrize(
    "host",
    [
        "logs.eu-west-1.amazonaws.com",
        "logs-fips.eu-west-1.amazonaws.com",
        "logs.eu-west-1.api.aws",
        "vpce-0a1b.logs.eu-west-1.vpce.amazonaws.com",
    ],
)
def test_the_region_is_read_from_the_address(host: str) -> None:
    assert SOURCE.base(SOURCE.keys.model_validate({**KEYS, "region": "", "cloudwatch": f"https://{host}"}))
