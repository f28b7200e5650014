"""`loki` against a server that answers as Loki's documentation says: query_range, streams of lines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from synthmon.core.evidence import Wanted
from synthmon.evidence.loki import PATH, SOURCE, LokiKeys, question
from tests.evidence.back_ends import Answer, Asked, Said, Scenarios, Thing, a_back_end, looking, thing
from tests.evidence.lending import wanted

SELECTOR = '{app=~"shop.*"}'
LABELS = {"app": "shop-ledger", "namespace": "prod"}


def line(one: Thing) -> str:
    fields = {"correlationId": one.run_id, "step": one.step, "eventId": one.id, "status": "ok", "service": "ledger"}
    return json.dumps(fields | {"time": one.at_ns})


def entries(kept: list[Thing]) -> list[tuple[int, str, Mapping[str, str]]]:
    return [(one.at_ns, line(one), LABELS) for one in kept]


def streams(found: list[tuple[int, str, Mapping[str, str]]]) -> Said:
    """As https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time"""
    by_labels: dict[str, list[list[str]]] = {}
    for at_ns, text, labels in found:
        by_labels.setdefault(json.dumps(labels), []).append([str(at_ns), text])
    result = [{"stream": json.loads(labels), "values": values} for labels, values in by_labels.items()]
    stats = {"summary": {"bytesProcessedPerSecond": 0, "execTime": 0.01, "totalLinesProcessed": len(found)}}
    return Said({"status": "success", "data": {"resultType": "streams", "result": result, "stats": stats}})


def loki(
    kept: list[tuple[int, str, Mapping[str, str]]], ignores_filter: bool = False, backward: bool = False
) -> Answer:
    """Half-open in time; the oldest first if `direction` says so."""

    def answer(asked: Asked) -> Said:
        assert (asked.method, asked.path) == ("GET", PATH)
        found = re.fullmatch(re.escape(SELECTOR) + r' \|~ (".*")', asked.params["query"])
        assert found is not None, asked.params["query"]
        pattern, limit = re.compile(json.loads(found[1])), int(asked.params["limit"])
        begin, end = int(asked.params["start"]), int(asked.params["end"])
        matching = [
            one for one in kept if ignores_filter or (begin <= one[0] < end and pattern.search(one[1]) is not None)
        ]
        matching.sort(key=lambda one: one[0], reverse=backward or asked.params["direction"] != "forward")
        return streams(matching[:limit])

    return answer


class TestLoki(Scenarios):
    word: ClassVar[str] = "loki"
    keys: ClassVar[Mapping[str, Any]] = {"select": SELECTOR}

    def answers(self, kept: list[Thing], **moods: bool) -> Answer:
        def answer(asked: Asked) -> Said:
            said = loki(entries(kept), **moods)(asked)
            assert isinstance(said, Said)
            return said

        return answer


@pytest.mark.parametrize("backward", [False, True], ids=["oldest first", "newest first, whatever was asked"])
async def test_many_lines_come_page_by_page_and_each_once(backward: bool) -> None:
    run = wanted()
    kept = [thing(run, f"step-{n}", ago_ms=n) for n in range(2500)]
    other = [thing(wanted("b"), "theirs", ago_ms=n) for n in range(50)]

    async with (
        a_back_end(loki(entries(kept + other), backward=backward)) as back_end,
        looking("loki", back_end.url, run, {"select": SELECTOR}) as told,
    ):
        await told.until_told(*(one.step for one in kept))

    assert all(int(asked.params["limit"]) == 1000 for asked in back_end.asked)
    assert not told.blind


async def test_many_lines_of_one_instant_come_as_well() -> None:
    run, at_ns = wanted(), time.time_ns()
    kept = [Thing(f"step-{n}", run.run_id, at_ns, f"id-{n}") for n in range(1500)]

    async with (
        a_back_end(loki(entries(kept))) as back_end,
        looking("loki", back_end.url, run, {"select": SELECTOR}) as told,
    ):
        await told.until_told(*(one.step for one in kept))


async def test_what_shares_its_instant_with_the_end_of_a_page_is_not_lost() -> None:
    run, at_ns = wanted(), time.time_ns()
    kept = [Thing(f"step-{n}", run.run_id, at_ns - (n + 1) // 2, f"id-{n}") for n in range(1500)]

    async with (
        a_back_end(loki(entries(kept), backward=True)) as back_end,
        looking("loki", back_end.url, run, {"select": SELECTOR}) as told,
    ):
        await told.until_told(*(one.step for one in kept))


async def test_more_than_is_read_is_said_and_not_taken_for_everything() -> None:
    run, at_ns = wanted(), time.time_ns()
    kept = [Thing("same", run.run_id, at_ns, f"id-{n}") for n in range(6000)]

    async with (
        a_back_end(loki(entries(kept))) as back_end,
        looking("loki", back_end.url, run, {"select": SELECTOR}) as told,
    ):
        await told.until(lambda: bool(told.blind))

    assert told.blind == ["more came of this run than is read, or it comes in no order"]
    assert not told.watermark_ns


async def test_a_line_that_tells_little_has_its_instant_its_id_and_its_service_from_loki() -> None:
    run, at_ns = wanted(), time.time_ns()
    plain = (at_ns, f"posted order of {run.run_id}", LABELS)
    again = (at_ns + 1000, f"posted order of {run.run_id}", LABELS)
    by_label = (at_ns + 2000, '{"step": "labelled"}', {**LABELS, "trace_id": run.run_id})

    def answer(asked: Asked) -> Said:
        return streams([plain, again, by_label])

    async with a_back_end(answer) as back_end, looking("loki", back_end.url, run, {"select": SELECTOR}) as told:
        await told.until_sure()

    first, second, third = sorted(told.records, key=lambda record: record.at_ns)
    assert [first.at_ns, second.at_ns, third.at_ns] == [at_ns, at_ns + 1000, at_ns + 2000]
    assert first.step == f"posted order of {run.run_id}"
    assert first.id != second.id
    assert (third.step, third.trace_id, third.matched_by) == ("labelled", run.run_id, "labels.trace_id")
    assert {record.clock for record in told.records} == {"shop-ledger"}
    assert first.attrs == {"labels.namespace": "prod"}


async def test_one_that_is_kept_twice_by_a_second_look_is_the_same() -> None:
    """Two lines alike in one stream and nanosecond are one to Loki; in two streams they are two."""
    run, at_ns = wanted(), time.time_ns()
    text = f"retry {run.run_id}"

    def answer(asked: Asked) -> Said:
        return streams([(at_ns, text, LABELS), (at_ns, text, LABELS), (at_ns, text, {"app": "shop-mail"})])

    async with a_back_end(answer) as back_end, looking("loki", back_end.url, run, {"select": SELECTOR}) as told:
        await told.until_sure()
        await told.until_sure()

    assert sorted(record.clock for record in told.records) == ["shop-ledger", "shop-mail"]


async def test_the_tenant_and_the_token_go_along() -> None:
    keys = {"select": SELECTOR, "tenant": "shop", "token": "env:LOGS_TOKEN"}

    async with a_back_end(loki([])) as back_end, looking("loki", back_end.url, wanted(), keys) as told:
        await told.until_sure()

    assert back_end.asked[0].headers["x-scope-orgid"] == "shop"
    assert back_end.asked[0].headers["authorization"] == "Bearer a-password-for-logs"


async def test_a_query_that_counts_is_said() -> None:
    answer = Said({"status": "success", "data": {"resultType": "matrix", "result": []}})

    async with (
        a_back_end(lambda asked: answer) as back_end,
        looking("loki", back_end.url, wanted(), {"select": SELECTOR}) as told,
    ):
        await told.until(lambda: bool(told.blind))

    assert "answered a matrix and no lines: `select` is not to count" in told.blind[0]


async def test_what_loki_says_of_a_bad_query_is_said() -> None:
    fault = b"parse error at line 1, col 5: syntax error: unexpected IDENTIFIER\n"

    async with (
        a_back_end(lambda asked: Said(fault, 400)) as back_end,
        looking("loki", back_end.url, wanted(), {"select": "{app=shop}"}) as told,
    ):
        await told.until(lambda: bool(told.blind))

    assert told.blind[0].endswith(
        "answered HTTP 400: parse error at line 1, col 5: syntax error: unexpected IDENTIFIER"
    )


def test_the_question_names_the_marks_of_the_run_and_nothing_breaks_out_of_it() -> None:
    run = Wanted("r" * 32, "syn-1", 0, keys=('a"b\\c`d', "x" * 300, "straße.1"))
    keys = LokiKeys(loki="http://loki", select=SELECTOR)

    asked = question(keys, run)

    pattern = json.loads(asked.removeprefix(f"{SELECTOR} |~ "))
    found = re.compile(pattern)
    assert all(found.search(text) for text in (run.run_id, "syn-1", 'a"b\\c`d', json.dumps('a"b\\c`d'), "straße.1"))
    assert not found.search("straßex1")
    assert "x" * 300 not in asked


def test_marks_in_a_label_are_asked_for_there() -> None:
    run = Wanted("r" * 32, "syn-1", 0)
    keys = LokiKeys(loki="http://loki", select=SELECTOR, label="trace_id")

    assert question(keys, run) == SELECTOR + ' | trace_id=~".*(' + "r" * 32 + '|syn\\\\-1).*"'


@pytest.mark.parametrize(
    "keys", [{"select": "rate({a='b'}[5m])"}, {"select": ""}, {"select": SELECTOR, "label": "a b"}]
)
def test_what_is_no_selector_and_no_label_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SOURCE.keys.model_validate({"loki": "http://loki", **keys})
