"""An id that a step saves joins what bears nothing else, whether that happened before the answer that told it or after;
and no source vouches for what it did not know yet."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from synthmon.core.evidence import Wanted, Watermark
from synthmon.evidence import forgotten, jsonl, waiting
from synthmon.evidence.backends import Reader
from synthmon.evidence.forgotten import Forgotten
from synthmon.evidence.jsonl import SOURCE as JSONL
from synthmon.evidence.otlp import SOURCE as OTLP
from synthmon.evidence.query import SOURCE as QUERY
from tests.evidence import back_ends
from tests.evidence.back_ends import a_back_end, looking
from tests.evidence.lending import Heard, Lent, a_source, wanted, watching
from tests.evidence.test_cloudwatch import KEYS as CLOUDWATCH_KEYS
from tests.evidence.test_cloudwatch import Event, cloudwatch
from tests.evidence.test_elasticsearch import KEYS as ELASTICSEARCH_KEYS
from tests.evidence.test_elasticsearch import at, elasticsearch
from tests.evidence.test_loki import LABELS, SELECTOR, loki
from tests.evidence.test_otlp import Reported, a_trace, span
from tests.evidence.test_tempo import Kept, tempo

KEY, THEIRS = "ORD-4711", "ORD-4712"
LONG_AGO_S, AGO_S = 600, 300  # when the run began, and when it happened: long before what a look reads twice


def a_run(**more: Any) -> Wanted:
    return wanted(since_ns=time.time_ns() - LONG_AGO_S * 10**9, **more)


def fields(step: str, key: str, ago_s: float = 0.0) -> dict[str, Any]:
    at_ns = time.time_ns() - round(ago_s * 1e9)
    return {"time": at_ns, "step": step, "eventId": f"{step}-{at_ns}", "orderId": key}


async def until_found(heard: Heard) -> None:
    """What happened before the id was known, and what happens after; nothing of the other's."""
    await heard.until_sure()
    assert heard.steps == []
    heard.widen(KEY)
    await heard.until_told("before")
    assert [record.matched_by.rpartition(".")[2] for record in heard.records] == ["orderId (key)"]


async def test_loki_is_asked_for_the_whole_run_once_and_for_the_key_alone() -> None:
    run = a_run()
    kept: list[tuple[int, str, Mapping[str, str]]] = []
    for told in (fields("before", KEY, AGO_S), fields("theirs", THEIRS, AGO_S)):
        kept.append((told["time"], json.dumps(told), LABELS))

    async with (
        a_back_end(loki(kept)) as back_end,
        looking("loki", back_end.url, run, {"select": SELECTOR}) as heard,
    ):
        await until_found(heard)
        after = fields("after", KEY)
        kept.append((after["time"], json.dumps(after), LABELS))
        await heard.until_told("before", "after")

    wider = [asked.params for asked in back_end.asked if "4711" in asked.params["query"]]
    alone = [params for params in wider if run.run_id not in params["query"]]
    both = [params for params in wider if run.run_id in params["query"]]
    assert len(alone) == 1
    assert int(alone[0]["start"]) < run.since_ns
    assert all(int(params["start"]) > run.since_ns + AGO_S * 10**9 for params in both), "it read all of it again"


async def test_elasticsearch_finds_it() -> None:
    told = fields("before", KEY, AGO_S)
    document = {"@timestamp": at(told.pop("time")), **told}

    async with (
        a_back_end(elasticsearch([document])) as back_end,
        looking("elasticsearch", back_end.url, a_run(), ELASTICSEARCH_KEYS) as heard,
    ):
        await until_found(heard)


async def test_cloudwatch_finds_it() -> None:
    told = fields("before", KEY, AGO_S)
    kept = [Event(json.dumps(told), told["time"], "1")]

    async with (
        a_back_end(cloudwatch(kept)) as back_end,
        looking("cloudwatch", back_end.url, a_run(), CLOUDWATCH_KEYS) as heard,
    ):
        await until_found(heard)


async def test_tempo_finds_it_in_a_trace_that_it_has_read_already() -> None:
    run, theirs = wanted(), a_trace()
    kept = [
        Kept(theirs, "marked", attributes={"correlationId": run.run_id}),
        Kept(theirs, "before", attributes={"orderId": KEY}),
    ]

    async with a_back_end(tempo(kept)) as back_end, looking("tempo", back_end.url, run) as heard:
        await heard.until_told("marked")
        heard.widen(KEY)
        await heard.until_told("marked", "before")


async def test_tempo_finds_a_trace_by_it() -> None:
    run, theirs = a_run(), a_trace()
    at_ns = time.time_ns() - AGO_S * 10**9
    kept = [Kept(theirs, "before", attributes={"orderId": KEY}, at_ns=at_ns)]

    async with (
        a_back_end(tempo(kept)) as back_end,
        looking("tempo", back_end.url, run, {"tags": ["orderId"]}) as heard,
    ):
        await until_found(heard)


async def test_rows_are_asked_for_by_every_key_and_looked_through_anew(tmp_path: Path) -> None:
    by_keys = "select step, id, at, order_id from audit where order_id in (select value from json_each(:keys))"
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database, database:
        database.execute("create table audit (step, id, at, order_id)")
        for step, key in (("before", KEY), ("theirs", THEIRS)):
            database.execute("insert into audit values (?, ?, ?, ?)", (step, step, time.time_ns(), key))

    def ask(sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, params)]

    for sql in (by_keys, "select * from audit"):
        source = a_source(QUERY, {"query": "ledger", "sql": sql})
        async with watching(QUERY, source, a_run(), Lent(ask)) as heard:
            await heard.until_sure()
            assert heard.steps == []
            heard.widen(KEY)
            await heard.until_told("before")


async def test_files_are_read_again_from_where_the_run_began(tmp_path: Path) -> None:
    log, run, other = tmp_path / "shop.jsonl", wanted("a"), wanted("b")
    log.touch()
    filler = b'{"step": "noise"}\n' * 400_000  # more than is kept of what was read last

    async with (
        watching(JSONL, a_source(JSONL, {"jsonl": str(log)}), run) as heard,
        watching(JSONL, a_source(JSONL, {"jsonl": str(log)}), other) as too,
    ):
        append(log, fields("before", KEY), fields("theirs", THEIRS))
        with log.open("ab") as file:
            file.write(filler)
        await until_found(heard)
        too.widen(THEIRS)
        append(log, fields("after", KEY), fields("theirs too", THEIRS))
        await heard.until_told("before", "after")
        await too.until_told("theirs", "theirs too")


async def test_what_was_cut_before_the_id_was_known_is_not_taken_for_never_written(tmp_path: Path) -> None:
    log, run = tmp_path / "shop.jsonl", wanted()
    log.touch()

    async with watching(JSONL, a_source(JSONL, {"jsonl": str(log)}), run) as heard:
        append(log, fields("before", KEY))
        await heard.until_sure()
        os.truncate(log, 0)
        heard.widen(KEY)
        await heard.until(lambda: bool(heard.blind))
        known_ns = heard.watermark_ns
        append(log, fields("after", KEY))
        await heard.until(lambda: "after" in heard.steps)

    assert "before a step saved an id is there no more" in heard.blind[0]
    assert heard.watermark_ns == known_ns


async def test_more_than_is_read_again_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MOST_AGAIN_BYTES", 1000)
    log, run = tmp_path / "shop.jsonl", wanted()
    log.touch()

    async with watching(JSONL, a_source(JSONL, {"jsonl": str(log)}), run) as heard:
        for n in range(3):
            append(log, *(fields(f"noise {n}", THEIRS) for _ in range(20)))
            await heard.until_sure()
        heard.widen(KEY)
        await heard.until(lambda: bool(heard.blind))

    assert "or too much" in heard.blind[0]


async def test_telemetry_that_was_nobodys_is_remembered(tmp_path: Path) -> None:
    run, other, collector = wanted("a"), wanted("b"), Reported()
    source = a_source(OTLP, {"otlp": {}})

    async with (
        watching(OTLP, source, run, Lent(collector=collector)) as heard,
        watching(OTLP, source, other, Lent(collector=collector)) as too,
    ):
        collector.report(span(a_trace(), "before", attributes={"orderId": KEY}))
        collector.report(span(a_trace(), "theirs", attributes={"orderId": THEIRS}))
        await until_found(heard)
        too.widen(THEIRS)
        collector.report(span(a_trace(), "after", attributes={"orderId": KEY}))
        await heard.until_told("before", "after")
        await too.until_told("theirs")


async def test_only_where_a_span_with_the_id_was_forgotten_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_HELD", 5)
    run, other, collector = wanted("a"), wanted("b"), Reported()
    source = a_source(OTLP, {"otlp": {}})

    async with (
        watching(OTLP, source, run, Lent(collector=collector)) as heard,
        watching(OTLP, source, other, Lent(collector=collector)) as too,
    ):
        collector.report(span(a_trace(), "before", attributes={"orderId": KEY}))
        collector.report(*(span(a_trace(), "noise") for _ in range(10)))
        await heard.until_sure()
        heard.widen(KEY)
        too.widen(THEIRS)
        await heard.until(lambda: bool(heard.blind))
        known_ns = heard.watermark_ns
        await too.until_sure()

    assert "more came than is remembered before a step saved an id" in heard.blind[0]
    assert heard.watermark_ns == known_ns
    assert not too.blind


def test_what_was_forgotten_is_known_and_what_was_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "MOST_TEXTS", 1000)
    memory = Forgotten()

    for n in range(1500):
        memory.add((f"ORD-{n:04}", "short"), float(n))

    assert all(memory.perhaps(f"ORD-{n:04}", 0.0) for n in range(1500))
    assert sum(memory.perhaps(f"INV-{n:04}", 0.0) for n in range(1500)) < 15
    assert not memory.perhaps("ORD-0001", 1500.0), "it came before anybody began"
    for n in range(1500, 3500):
        memory.add((f"ORD-{n:04}",), float(n))
    assert memory.perhaps("INV-0001", 500.0), "what was forgotten that early is not known any more"


async def test_a_look_that_began_without_the_key_vouches_for_nothing() -> None:
    go_on, began, learnt, heard = asyncio.Event(), asyncio.Event(), list[str](), Heard()

    async def read() -> None:
        began.set()
        await go_on.wait()

    reader = Reader(back_ends.a_source("tempo", "http://127.0.0.1:9", {}), Lent(), heard, read, learnt.extend)
    look = asyncio.create_task(reader.look())
    await began.wait()
    reader.widen((KEY,))
    go_on.set()
    await look

    assert (heard.reports, learnt) == ([], [])
    await reader.look()
    assert learnt == [KEY]
    assert [type(report) for report in heard.reports] == [Watermark]


def append(log: Path, *lines: Mapping[str, Any]) -> None:
    with log.open("a") as file:
        for line in lines:
            file.write(f"{json.dumps(line)}\n")
