"""The page that Prometheus scrapes."""

from __future__ import annotations

import asyncio
import gzip
import random
import shutil
import tracemalloc
import zlib
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from synthmon.core import families as of
from synthmon.core.outcomes import Outcome, Reason
from synthmon.metrics.board import Board
from synthmon.metrics.exposition import Page, Wanted, negotiate
from synthmon.metrics.own import Own
from synthmon.metrics.pieces import HEAD, join, pack, tail
from tests.metrics.some import a_journey, a_record
from tests.servers.ports import free_port

EVERY_FORM = [Wanted(openmetrics, packed) for openmetrics in (False, True) for packed in (False, True)]
NASTY = 'a"b\\c\nd\re\u2028 # {run_id="x"} 1 2\n# EOF\nsynthmon_up 0\ud800<script>'


def a_board(count=70, **more):
    draw = random.Random(7)
    journeys = [a_journey(f"journey-{i}", **more) for i in range(count)]
    board = Board(home="eu")
    board.load(journeys)
    for journey in journeys[: count // 2]:
        board.record(a_record(journey, draw, location="eu"), journey)
    return board, journeys


async def read(board, wanted=None):
    wanted = wanted or Wanted(openmetrics=True)
    body = b"".join([part async for part in Page(board, Own("1")).render(wanted)])
    return (gzip.decompress(body) if wanted.gzip else body).decode()


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse_openmetrics(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("wanted", EVERY_FORM, ids=str)
async def test_both_formats_parse_and_say_the_same(wanted):
    board, journeys = a_board()

    text = await read(board, wanted)

    parse = parse_openmetrics if wanted.openmetrics else parse_text
    told = {family.name: family for family in parse(text)}
    runs = sum(sample.value for sample in told["synthmon_runs"].samples)
    assert runs == len(journeys) // 2
    assert text.endswith("# EOF\n") == wanted.openmetrics
    assert ("# {run_id=" in text) == wanted.openmetrics
    for family in of.FAMILIES:
        assert text.count(f"# TYPE {family.name}{' ' if wanted.openmetrics else ''}") >= 1
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(types) == len(set(types))


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
async def test_promtool_finds_nothing_to_say():
    text = await read(a_board()[0], Wanted())

    pipe = asyncio.subprocess.PIPE
    checker = await asyncio.create_subprocess_exec("promtool", "check", "metrics", stdin=pipe, stdout=pipe, stderr=pipe)
    said = await asyncio.wait_for(checker.communicate(text.encode()), 30)
    assert (checker.returncode, *said) == (0, b"", b"")


@pytest.mark.parametrize("wanted", EVERY_FORM, ids=str)
async def test_no_name_can_forge_a_line(wanted):
    board, (journey,) = a_board(1, title=NASTY, owner=NASTY, labels={"team": NASTY}, system=NASTY)
    bad = a_record(journey, random.Random(1), outcome=Outcome.FAILED, reason=Reason.LOST, system=NASTY, step=NASTY)
    board.record(replace(bad, location="eu"), journey)

    text = await read(board, wanted)

    parse = parse_openmetrics if wanted.openmetrics else parse_text
    told = {family.name: family for family in parse(text)}
    (info,) = told["synthmon_journey" if wanted.openmetrics else "synthmon_journey_info"].samples
    assert info.labels["owner"] == info.labels["team"]
    assert info.labels["owner"].startswith('a"b\\c\nd e')
    assert [line for line in text.split("\n") if line.startswith("# EOF")] == ["# EOF"] * wanted.openmetrics


async def test_before_the_first_run_there_is_no_last_run_and_every_outcome_stands_at_zero():
    board = Board(home="eu")
    board.load([a_journey("order/small", locations=("eu", "us"))])

    told = samples(await read(board))

    assert not [key for key in told if "last_run" in key[0] or "last_success" in key[0] or "consecutive" in key[0]]
    runs = {key: value for key, value in told.items() if key[0] == "synthmon_runs_total"}
    assert len(runs) == 2 * len(Outcome)
    assert set(runs.values()) == {0}
    assert all(("journey", "order/small") in key and ("case", "small") in key for key in runs)


async def test_only_what_changed_is_written_again():
    board, _ = a_board(12)
    page = Page(board, Own("1"))
    _ = [part async for part in page.render(Wanted(True, True))]
    kept = [[shelf.kept(at, True) for at in range(len(of.FAMILIES))] for shelf in board.shelves]
    lucky = board.shelves[1].cards[0].journey

    board.record(a_record(lucky, random.Random(3), location="eu"), lucky)

    now = [[shelf.kept(at, True) for at in range(len(of.FAMILIES))] for shelf in board.shelves]
    assert now[0] == kept[0]
    assert now[2] == kept[2]
    assert now[1] != kept[1]
    assert now[1][0] is kept[1][0]  # what a journey is did not change


async def test_what_is_kept_packed_is_not_kept_as_text_as_well():
    kept_bytes = {}
    for packed in (True, False):
        board, journeys = a_board()
        page = Page(board, Own("1"))
        _ = [part async for part in page.render(Wanted(True, packed))]  # what is made once is made
        tracemalloc.start()
        for journey in journeys:
            board.record(a_record(journey, random.Random(3), location="eu"), journey)
        before, _ = tracemalloc.get_traced_memory()

        _ = [part async for part in page.render(Wanted(True, packed))]

        kept_bytes[packed] = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert kept_bytes[True] < kept_bytes[False] / 2


async def test_a_scrape_after_a_scrape_tells_the_new_count():
    board, (journey,) = a_board(1)
    page = Page(board, Own("1"))
    for runs in (1, 2, 3):
        board.record(a_record(journey, random.Random(1), location="eu"), journey)
        body = b"".join([part async for part in page.render(Wanted(True, True))])

        told = samples(gzip.decompress(body).decode())

        key = ("synthmon_runs_total", ("journey", "journey-0"), ("location", "eu"), ("outcome", "passed"))
        assert told[key] == runs == board.value(of.RUNS, "journey-0", labels=("passed",))


async def test_a_reload_keeps_counts_drops_the_gone_and_starts_the_new():
    board, (stays, goes) = a_board(2)
    board.record(a_record(stays, random.Random(1), location="eu"), stays)
    before = board.value(of.RUNS, stays.name, labels=("passed",))
    changed = replace(stays, digest="e" * 64, owner="others", steps=stays.steps[:2])

    board.load([changed, a_journey("new")])

    text = await read(board)
    told = samples(text)
    assert board.value(of.RUNS, stays.name, labels=("passed",)) == before > 0
    assert goes.name not in text
    assert 'owner="others"' in text
    assert not [key for key in told if ("step", "mailed") in key and ("journey", stays.name) in key]
    assert board.value(of.RUNS, "new", labels=("passed",)) == 0


async def test_a_record_of_a_journey_that_is_gone_counts_nowhere():
    board, (journey,) = a_board(1)
    board.load([])

    board.record(a_record(journey, random.Random(1), location="eu"), journey)

    assert "journey-0" not in await read(board)


async def test_a_paused_journey_says_so():
    board, (journey,) = a_board(1)

    board.pause(journey.name, True)

    assert samples(await read(board))["synthmon_journey_paused", ("journey", "journey-0")] == 1


async def test_reasons_past_the_bound_are_counted_as_other():
    board, (journey,) = a_board(1)
    theirs = [Reason.LOST, Reason.LATE, Reason.TLS, Reason.RESET, Reason.REFUSED, Reason.ORDER, Reason.TIMEOUT]

    for reason in theirs:
        bad = a_record(journey, random.Random(1), outcome=Outcome.FAILED, reason=reason, location="eu")
        board.record(bad, journey)

    told = samples(await read(board))
    reasons = {key: value for key, value in told.items() if key[0] == "synthmon_run_reasons_total"}
    assert len(reasons) == of.REASONS.most
    assert sum(reasons.values()) == len(theirs)


async def test_a_failure_under_way_shows_its_run_as_an_exemplar():
    board, (journey,) = a_board(1)
    board.record(a_record(journey, random.Random(1), location="eu", run_id="ab" * 16, outcome_ms=700.0), journey)

    text = await read(board)

    (bucket,) = (
        sample
        for family in parse_openmetrics(text)
        for sample in family.samples
        if sample.name == "synthmon_outcome_latency_seconds_bucket" and sample.exemplar
    )
    assert bucket.labels["le"] == "1.0"
    assert bucket.exemplar.labels == {"run_id": "ab" * 16}
    assert bucket.exemplar.value == 0.7


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")
async def test_a_real_prometheus_reads_the_joined_page(tmp_path):
    board, journeys = a_board(300)
    page, asked = Page(board, Own("1")), []

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        wanted = negotiate(fields.get("accept", ""), fields.get("accept-encoding", ""))
        asked.append(wanted)
        body = b"".join([part async for part in page.render(wanted)])
        headers = "".join(f"{name}: {value}\r\n" for name, value in wanted.headers.items())
        writer.write(
            f"HTTP/1.1 200 OK\r\n{headers}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, a_prometheus(tmp_path, server.sockets[0].getsockname()[1]) as ask:
        counted = await ask("sum(synthmon_runs_total)", len(journeys) // 2)
        series = await ask('count({__name__=~"synthmon_runs_total"})', len(journeys) * len(Outcome))
        up = await ask("up", 1)

    assert (counted, series, up) == (len(journeys) // 2, len(journeys) * len(Outcome), 1)
    assert asked[0] == Wanted(openmetrics=True, gzip=True)


@asynccontextmanager
async def a_prometheus(folder, target_port):
    """A Prometheus that scrapes one port every second; answers a function that asks until it hears what is expected."""
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: s, static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]}}]\n"
    )
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def ask(query, expected):
        got = None
        async with asyncio.timeout(120), httpx.AsyncClient() as client:
            while got != expected:
                with suppress(httpx.TransportError, IndexError, ValueError):  # not up yet, or nothing scraped
                    answer = await client.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query})
                    got = float(answer.json()["data"]["result"][0]["value"][1])
                await asyncio.sleep(0.1)
        return got

    try:
        yield ask
    finally:
        process.terminate()
        await process.wait()


async def test_two_scrapes_and_a_reload_at_once_all_read_whole_pages():
    board, journeys = a_board(200)
    page = Page(board, Own("1"))

    async def scrape():
        return gzip.decompress(b"".join([part async for part in page.render(Wanted(True, True))])).decode()

    async def reload():
        for count in (150, 200, 100):
            board.load(journeys[:count])
            await asyncio.sleep(0)

    *pages, _ = await asyncio.gather(scrape(), scrape(), reload())

    for text in pages:
        assert samples(text)
        assert text.endswith("# EOF\n")


@given(st.lists(st.binary(max_size=3000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_joined_pieces_are_one_gzip_member_that_any_client_reads(texts):
    whole = join([pack(text) for text in texts])

    stream = HEAD + whole.data + tail(whole)

    reader = zlib.decompressobj(31)  # reads one member only
    assert reader.decompress(stream) + reader.flush() == b"".join(texts)
    assert reader.eof
    assert not reader.unused_data


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", True),
        ("application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3", False),
        ("application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=0.0.4;q=0.3", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nonsense", False),
        ("application/openmetrics-text; version=1.0.0; escaping=allow-utf-8;q=0.6,text/plain;q=0.5", True),
    ],
)
def test_the_format_is_what_the_client_asked_for(accept, openmetrics):
    assert negotiate(accept, "gzip").openmetrics is openmetrics


@pytest.mark.parametrize(
    ("coding", "packed"), [("gzip", True), ("", False), ("identity", False), ("gzip;q=0", False), ("br, *", True)]
)
def test_gzip_only_for_who_takes_it(coding, packed):
    assert negotiate("", coding).gzip is packed
