"""`elasticsearch` against a server that answers as the documentation of Elasticsearch and OpenSearch says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from synthmon.core.evidence import Wanted
from synthmon.evidence.elasticsearch import SOURCE, ElasticsearchKeys, search_for
from tests.evidence.back_ends import Answer, Asked, Said, Scenarios, Thing, a_back_end, looking, thing
from tests.evidence.lending import wanted

KEYS = {"index": "logs-*"}
INDEX = ".ds-logs-shop-2026.11.23-000001"


def at(at_ns: int) -> str:
    """As Beats and Logstash write it: in milliseconds."""
    return datetime.fromtimestamp(at_ns // 10**6 / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(one: Thing) -> dict[str, Any]:
    """In ECS."""
    return {
        "@timestamp": at(one.at_ns),
        "ecs": {"version": "8.11.0"},
        "message": f"{one.step} done",
        "event": {"action": one.step, "id": one.id, "outcome": "ok", "duration": 12_500_000},
        "service": {"name": "ledger"},
        "labels": {"correlation_id": one.run_id},
        "trace": {"id": "f" * 32},
    }


def documents(kept: list[Thing]) -> list[dict[str, Any]]:
    return [document(one) for one in kept]


def hits(found: list[tuple[int, dict[str, Any]]]) -> Said:
    """As https://www.elastic.co/guide/en/elasticsearch/reference/8.17/search-search.html; each with its number."""
    return Said(
        {
            "took": 3,
            "timed_out": False,
            "_shards": {"total": 2, "successful": 2, "skipped": 0, "failed": 0},
            "hits": {
                "max_score": None,
                "hits": [
                    {"_index": INDEX, "_id": f"doc-{n}", "_score": None, "_source": one, "sort": [_ms(one)]}
                    for n, one in found
                ],
            },
        }
    )


def _ms(one: Mapping[str, Any]) -> int:
    return round(datetime.fromisoformat(one["@timestamp"]).timestamp() * 1000)


def elasticsearch(kept: list[dict[str, Any]], ignores_filter: bool = False, backward: bool = False) -> Answer:
    def answer(asked: Asked) -> Said:
        assert (asked.method, asked.path) == ("POST", "/logs-*/_search")
        assert asked.headers["content-type"] == "application/json"
        search = json.loads(asked.body)
        span, phrases = search["query"]["bool"]["filter"]
        [(field, within)] = span["range"].items()
        [sort] = search["sort"]
        assert list(sort) == [field] == ["@timestamp"]
        marks = [
            mark.encode().decode("unicode_escape")
            for mark in re.findall(r'"((?:[^"\\]|\\.)*)"', phrases["query_string"]["query"])
        ]
        matching = [
            (n, one)
            for n, one in enumerate(kept)
            if ignores_filter
            or (within["gte"] <= _ms(one) <= within["lte"] and any(mark in json.dumps(one) for mark in marks))
        ]
        matching.sort(key=lambda one: _ms(one[1]), reverse=backward)
        return hits(matching[: search["size"]])

    return answer


class TestElasticsearch(Scenarios):
    word: ClassVar[str] = "elasticsearch"
    keys: ClassVar[Mapping[str, Any]] = KEYS

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        def answer(asked: Asked) -> Said:
            said = elasticsearch(documents(kept), **moods)(asked)
            assert isinstance(said, Said)
            return said

        return answer


@pytest.mark.parametrize("backward", [False, True], ids=["oldest first", "newest first, whatever was asked"])
async def test_many_documents_come_page_by_page_and_each_once(backward: bool) -> None:
    run = wanted()
    kept = [thing(run, f"step-{n}", ago_ms=n) for n in range(2500)]

    async with (
        a_back_end(elasticsearch(documents(kept), backward=backward)) as back_end,
        looking("elasticsearch", back_end.url, run, KEYS) as told,
    ):
        await told.until_told(*(one.step for one in kept))

    assert len(back_end.asked) >= 3
    assert not told.blind


async def test_many_documents_of_one_millisecond_come_as_well() -> None:
    run, at_ns = wanted(), time.time_ns()
    kept = [Thing(f"step-{n}", run.run_id, at_ns, f"id-{n}") for n in range(1500)]

    async with (
        a_back_end(elasticsearch(documents(kept))) as back_end,
        looking("elasticsearch", back_end.url, run, KEYS) as told,
    ):
        await told.until_told(*(one.step for one in kept))


async def test_the_names_of_ecs_are_understood() -> None:
    run = wanted()

    async with (
        a_back_end(elasticsearch(documents([thing(run, "posted")]))) as back_end,
        looking("elasticsearch", back_end.url, run, KEYS) as told,
    ):
        await told.until_told("posted")

    [posted] = told.records
    assert (posted.duration_ms, posted.trace_id, posted.matched_by) == (12.5, "f" * 32, "labels.correlation_id")
    assert (posted.status, posted.clock) == ("ok", "ledger")


async def test_what_a_shipper_did_not_open_is_opened() -> None:
    run, at_ns = wanted(), time.time_ns()
    inner = {"correlationId": run.run_id, "step": "posted", "time": at_ns - 10**9, "attempt": 2, "eventId": "e-1"}
    shipped = {"@timestamp": at(at_ns), "message": json.dumps(inner), "host": {"name": "node-7"}}

    async with (
        a_back_end(elasticsearch([shipped])) as back_end,
        looking("elasticsearch", back_end.url, run, KEYS) as told,
    ):
        await told.until_told("posted")

    [posted] = told.records
    assert (posted.at_ns, posted.attempt, posted.id, posted.clock) == (at_ns - 10**9, 2, "e-1", "node-7")


async def test_a_document_without_an_id_of_its_own_has_that_of_the_index() -> None:
    run, at_ns = wanted(), time.time_ns()
    plain = {"@timestamp": at(at_ns), "message": f"posted {run.run_id}", "span": {"id": "ab" * 8}}

    async with (
        a_back_end(elasticsearch([plain, plain])) as back_end,
        looking("elasticsearch", back_end.url, run, KEYS) as told,
    ):
        await told.until_sure()

    assert sorted(record.id for record in told.records) == ["doc-0", "doc-1"]
    assert {record.span_id for record in told.records} == {"ab" * 8}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"timed_out": True, "_shards": {"total": 2, "failed": 0}, "hits": {"hits": []}}, 200, "did not search all of"),
        (
            {"timed_out": False, "_shards": {"total": 2, "failed": 1}, "hits": {"hits": []}},
            200,
            "could not search 1 of 2 shards of logs-*",
        ),
        ({"timed_out": False, "_shards": {"total": 0, "failed": 0}, "hits": {"hits": []}}, 200, "has no index logs-*"),
        (
            {"error": {"type": "index_not_found_exception", "reason": "no such index [logs]"}},
            404,
            "has no index logs-*",
        ),
        (
            {
                "error": {"type": "parsing_exception", "reason": "field expansion matches too many fields"},
                "status": 400,
            },
            400,
            "answered HTTP 400: field expansion matches too many fields",
        ),
    ],
)
async def test_an_answer_that_may_lack_something_is_not_taken_for_everything(
    body: Any, status: int, words: str
) -> None:
    async with (
        a_back_end(lambda asked: Said(body, status)) as back_end,
        looking("elasticsearch", back_end.url, wanted(), KEYS) as told,
    ):
        await told.until(lambda: bool(told.blind))

    assert words in told.blind[0]
    assert not told.watermark_ns


async def test_an_api_key_goes_along_as_one() -> None:
    keys = {**KEYS, "token": "env:LOGS_TOKEN"}

    async with (
        a_back_end(elasticsearch([])) as back_end,
        looking("elasticsearch", back_end.url, wanted(), keys) as told,
    ):
        await told.until_sure()

    assert back_end.asked[0].headers["authorization"] == "ApiKey a-password-for-logs"


def test_the_search_names_the_marks_of_the_run_and_nothing_breaks_out_of_it() -> None:
    run = Wanted("r" * 32, "syn-1", 0, keys=('a" OR * OR "b\\', "x" * 300))
    keys = ElasticsearchKeys(elasticsearch="http://logs", index="logs-*", field="labels.run, message")

    search = search_for(keys, run, "@timestamp", 1_500_000, 2_500_000, 10)

    span, phrases = search["query"]["bool"]["filter"]
    assert span["range"]["@timestamp"] == {"gte": 1, "lte": 3, "format": "epoch_millis"}
    assert phrases["query_string"]["query"] == '"' + "r" * 32 + '" OR "syn-1" OR "a\\" OR * OR \\"b\\\\"'
    assert phrases["query_string"]["fields"] == ["labels.run", "message"]


@pytest.mark.parametrize("index", ["", "a/b", "_all", "-logs"])
def test_what_is_no_index_is_refused(index: str) -> None:
    with pytest.raises(ValidationError):
        SOURCE.keys.model_validate({"elasticsearch": "http://logs", "index": index})
