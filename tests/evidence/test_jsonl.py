"""`jsonl` against real files that grow, rotate, shrink and vanish."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from synthmon.core.evidence import Wanted
from synthmon.demo.correlation import Correlation, new_place
from synthmon.demo.notes import Note, Notes
from synthmon.demo.rows import Rows
from synthmon.evidence.jsonl import SOURCE
from synthmon.evidence.tailing import LONGEST_LINE, MOST_OPEN, Files
from tests.evidence import tails
from tests.evidence.lending import Heard, a_source, wanted, watching


def line(run: Wanted, step: str, **more: Any) -> bytes:
    at = time.time_ns()
    fields = {"time": at, "correlationId": run.run_id, "step": step, "eventId": f"{step}-{at}", **more}
    return json.dumps(fields).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        for one in lines:
            file.write(one)


@asynccontextmanager
async def following(folder: Path, run: Wanted, pattern: str = "*.jsonl", **more: Any) -> AsyncIterator[Heard]:
    async with watching(SOURCE, a_source(SOURCE, {"jsonl": str(folder / pattern)}, **more), run) as heard:
        yield heard


async def test_lines_that_are_appended_are_told_once_and_only_to_their_run(tmp_path: Path) -> None:
    run, other = wanted("a"), wanted("b")
    log = tmp_path / "shop.jsonl"
    append(log, line(other, "before"))

    async with following(tmp_path, run) as heard:
        append(log, line(run, "publish"), line(other, "publish"), b"no JSON " + run.run_id.encode() + b"\n")
        append(log, line(run, "posted", service="ledger", status="ok", latencyMs=12.5))
        await heard.until_told("publish", "posted")

    posted = heard.records[1]
    assert (posted.source, posted.status, posted.clock, posted.duration_ms) == ("logs", "ok", "ledger", 12.5)
    assert posted.matched_by == "correlationId"
    assert heard.where == str(tmp_path / "*.jsonl")


async def test_every_mark_of_a_run_joins_a_line_whatever_its_spelling(tmp_path: Path) -> None:
    run = wanted(keys=('zoë "z"@example.com',))
    log = tmp_path / "shop.jsonl"
    log.touch()

    async with following(tmp_path, run) as heard:
        append(log, line(run, "by-namespace", correlationId="", reference=f"inv-{run.namespace}-7"))
        append(log, line(run, "by-key", correlationId="", email=run.keys[0]))
        plain = json.dumps({"time": time.time_ns(), "step": "unescaped", "email": run.keys[0]}, ensure_ascii=False)
        append(log, plain.encode() + b"\n")
        append(log, line(run, "of-another", correlationId="", email=f"not {run.keys[0]}"))
        await heard.until_told("by-namespace", "by-key", "unescaped")

    assert [record.matched_by for record in heard.records] == ["reference", "email (key)", "email (key)"]


async def test_a_key_that_an_earlier_run_had_does_not_bring_its_lines(tmp_path: Path) -> None:
    run = wanted(keys=("clerk-1",))
    log = tmp_path / "shop.jsonl"
    append(log, line(run, "of-an-earlier-run", correlationId="", user="clerk-1", time=time.time_ns() - 60 * 10**9))

    async with following(tmp_path, run) as heard:
        append(log, line(run, "login", correlationId="", user="clerk-1"))
        await heard.until_told("login")


async def test_a_line_that_was_written_just_before_the_watch_began_is_not_missed(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"
    append(log, b'{"old": 1}\n' * 300_000, line(run, "first"))  # more than is looked back into

    async with following(tmp_path, run) as heard:
        await heard.until_told("first")


async def test_a_run_whose_watch_begins_late_gets_what_others_have_read_already(tmp_path: Path) -> None:
    early, late = wanted("a"), wanted("b")
    log = tmp_path / "shop.jsonl"
    log.touch()

    async with following(tmp_path, early) as heard:
        append(log, line(late, "first"), line(early, "first"))
        await heard.until_told("first")
        async with following(tmp_path, late) as too:
            await too.until_told("first")


async def test_half_a_line_is_told_when_the_other_half_came(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"
    whole = line(run, "posted", note="a naïve cut through ü".encode().decode())

    async with following(tmp_path, run) as heard:
        append(log, whole[: len(whole) // 2])
        await heard.until_sure()
        assert heard.steps == []
        append(log, whole[len(whole) // 2 :])
        await heard.until_told("posted")


async def test_a_last_line_without_its_end_is_told_when_nothing_follows(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"

    async with following(tmp_path, run) as heard:
        append(log, line(run, "posted").strip())
        await heard.until_told("posted")
        append(log, b"\n" + line(run, "mailed").strip())
        await heard.until_told("posted", "mailed")


async def test_a_renamed_file_is_followed_to_its_end_and_the_new_one_from_its_begin(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"
    append(log, line(run, "one"))

    async with following(tmp_path, run) as heard:
        await heard.until_told("one")
        with log.open("ab") as writer:
            writer.write(line(run, "two"))
            writer.flush()
            log.rename(tmp_path / "shop.jsonl.1")  # out of the pattern
            append(log, line(run, "four"))
            writer.write(line(run, "three"))  # who writes did not notice yet
        await heard.until_told("one", "two", "three", "four")


async def test_a_file_that_was_quiet_for_long_is_followed_when_it_is_renamed_right_after_a_line(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"
    append(log, line(run, "long ago"))
    os.utime(log, (0, 0))

    async with following(tmp_path, run) as heard:
        append(log, line(run, "one"))
        log.rename(tmp_path / "shop.jsonl.1")  # out of the pattern
        append(log, line(run, "two"))
        await heard.until_told("one", "two")


async def test_a_file_that_was_quiet_for_long_is_read_from_its_begin_when_it_was_cut(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"
    append(log, line(run, "long ago"))
    os.utime(log, (0, 0))

    async with following(tmp_path, run) as heard:
        os.truncate(log, 0)
        append(log, line(run, "one") + line(run, "two"))
        await heard.until_told("one", "two")


async def test_a_deleted_file_is_read_to_its_end(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"

    async with following(tmp_path, run) as heard:
        with log.open("ab") as writer:
            writer.write(line(run, "one"))
            writer.flush()
            await heard.until_told("one")
            writer.write(line(run, "two"))
            writer.flush()
            log.unlink()
            append(log, line(run, "three"))  # a new one under its name
            await heard.until_told("one", "two", "three")
            writer.write(line(run, "four"))  # who writes did not notice for long
            writer.flush()
            await heard.until_told("one", "two", "three", "four")


async def test_a_file_that_is_copied_and_cut_is_read_on_and_its_copy_is_not_told_again(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"

    async with following(tmp_path, run, "*.jsonl*") as heard:
        append(log, line(run, "one", eventId=""), line(run, "two"))
        await heard.until_told("one", "two")
        shutil.copyfile(log, tmp_path / "shop.jsonl.1")
        os.truncate(log, 0)
        append(log, line(run, "three", note="x" * 5000))  # it is longer than it was before
        await heard.until_told("one", "two", "three")


async def test_who_writes_on_behind_a_cut_leaves_a_hole_that_is_skipped(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"

    async with following(tmp_path, run) as heard:
        with log.open("r+b" if log.exists() else "w+b") as writer:
            writer.write(line(run, "one"))
            writer.flush()
            await heard.until_told("one")
            writer.seek(3 * 1024**3)
            os.truncate(log, 0)
            writer.write(line(run, "two"))
            writer.flush()
            await heard.until_told("one", "two")


async def test_a_file_that_turns_up_later_is_read_from_its_begin(tmp_path: Path) -> None:
    run = wanted()
    append(tmp_path / "orders.jsonl", b"{}\n")

    async with following(tmp_path, run, "**/*.jsonl") as heard:
        await heard.until_sure()
        (tmp_path / "deep").mkdir()
        append(tmp_path / "deep" / "ledger.jsonl", line(run, "posted"))
        await heard.until_told("posted")


async def test_a_line_that_is_too_long_is_passed_over_and_the_next_one_is_not(tmp_path: Path) -> None:
    run = wanted()
    log = tmp_path / "shop.jsonl"

    async with following(tmp_path, run) as heard:
        append(log, line(run, "huge", note="x" * LONGEST_LINE * 3), line(run, "posted"))
        await heard.until_told("posted")


async def test_of_a_file_of_many_gigabytes_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "shop.jsonl"
    with log.open("wb") as file:
        file.truncate(5 * 1024**3)
    os.utime(log, ns=(0, 0))
    run = wanted()

    async with following(tmp_path, run) as heard:
        append(log, b"\n", line(run, "posted"))
        await heard.until_told("posted")


async def test_while_no_file_matches_nothing_is_claimed(tmp_path: Path) -> None:
    run = wanted()

    async with following(tmp_path, run) as heard:
        await heard.until(lambda: heard.blind != [])
        assert heard.blind == [f"no file matches {tmp_path / '*.jsonl'}"]
        assert heard.watermark_ns == 0
        append(tmp_path / "shop.jsonl", line(run, "posted"))
        await heard.until_told("posted")

    assert len(heard.blind) == 1


async def test_while_a_file_cannot_be_read_nothing_is_claimed_and_the_others_are_read(tmp_path: Path) -> None:
    run = wanted()
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")  # cannot be opened, not even by root
    log = tmp_path / "shop.jsonl"
    log.touch()

    async with following(tmp_path, run) as heard:
        append(log, line(run, "posted"))
        await heard.until(lambda: heard.steps == ["posted"])
        assert "loop.jsonl cannot be read: too many levels of symbolic links" in heard.blind[0]
        assert heard.watermark_ns == 0
        (tmp_path / "loop.jsonl").unlink()
        await heard.until_sure()


async def test_a_pipe_or_folder_among_the_files_holds_nobody_up(tmp_path: Path) -> None:
    run = wanted()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "shop.jsonl").touch()

    async with following(tmp_path, run) as heard:
        append(tmp_path / "shop.jsonl", line(run, "posted"))
        await heard.until_told("posted")


async def test_the_watermark_is_behind_by_the_lag(tmp_path: Path) -> None:
    (tmp_path / "shop.jsonl").touch()
    began_ns = time.time_ns()

    async with following(tmp_path, wanted(), lag_s=20.0) as heard:
        await heard.until(lambda: heard.watermark_ns > 0)

    assert began_ns - 20 * 10**9 <= heard.watermark_ns <= time.time_ns() - 20 * 10**9


async def test_lines_of_the_same_words_are_different_happenings(tmp_path: Path) -> None:
    run = wanted()
    same = line(run, "mailed", eventId="")
    (tmp_path / "shop.jsonl").touch()

    async with following(tmp_path, run) as heard:
        append(tmp_path / "shop.jsonl", same, same)
        await heard.until_told("mailed", "mailed")

    assert len({record.identity for record in heard.records}) == 2


async def test_a_hundred_runs_share_one_reader_and_get_their_own_lines(tmp_path: Path) -> None:
    runs = [Wanted(f"{n:032x}", f"syn-{n:024x}", time.time_ns()) for n in range(1, 101)]
    log = tmp_path / "shop.jsonl"
    log.touch()

    async with AsyncExitStack() as stack:
        heard = [await stack.enter_async_context(following(tmp_path, run)) for run in runs]
        readers = [thread for thread in threading.enumerate() if thread.name.startswith("synthmon-jsonl")]
        append(log, *(line(run, f"step-{n}") for n, run in enumerate(runs)))
        await asyncio.gather(*(one.until_told(f"step-{n}") for n, one in enumerate(heard)))

    assert len(readers) == 1
    assert not [thread for thread in readers if thread.is_alive() and await_end(thread)]


def await_end(thread: threading.Thread) -> bool:
    thread.join(30)
    return thread.is_alive()


async def test_no_file_stays_open_when_the_last_run_left(tmp_path: Path) -> None:
    run = wanted()
    for n in range(5):
        append(tmp_path / f"{n}.jsonl", line(run, "posted"))

    async with following(tmp_path, run) as heard:
        await heard.until_told(*["posted"] * 5)

    async with asyncio.timeout(30):
        while any(str(tmp_path) in name for name in open_files()):  # noqa: ASYNC110  the kernel tells nobody
            await asyncio.sleep(0.01)


def open_files() -> list[str]:
    names = []
    for number in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return names


def test_of_many_files_only_some_are_held_open(tmp_path: Path) -> None:
    for n in range(MOST_OPEN + 40):
        append(tmp_path / f"{n}.jsonl", b"{}\n")
    files = Files(str(tmp_path / "*.jsonl"), time.time_ns())

    seen = sum(len(chunk.content) for now_s in range(4) for chunk in files.look(float(now_s)))
    held = sum(str(tmp_path) in name for name in open_files())
    files.close()

    assert held <= MOST_OPEN
    assert seen == 3 * (MOST_OPEN + 40)


@pytest.mark.parametrize("size", [0, 700, 70_000])
def test_whatever_is_appended_between_looks_is_read_once(tmp_path: Path, size: int) -> None:
    log = tmp_path / "shop.jsonl"
    log.touch()
    files, written, read = Files(str(log), time.time_ns()), b"", b""

    for n in range(50):
        part = f"{n}:{'x' * size}".encode() + (b"\n" if n % 3 == 2 else b"")
        append(log, part)
        written += part
        read += b"".join(chunk.content for chunk in files.look(0.0))
    files.close()

    assert read == written[: written.rfind(b"\n") + 1]


def test_whatever_becomes_of_the_files_each_line_is_read_once(tmp_path: Path) -> None:
    found = [said for seed in range(150) if (said := tails.fault(seed, tmp_path))]

    assert not found, found[0]


async def test_what_the_demo_writes_is_understood(tmp_path: Path) -> None:
    run = wanted()
    with Notes(tmp_path, Rows(), None) as notes:
        async with following(tmp_path, run) as heard:
            at = time.time_ns()
            correlation = Correlation(run.run_id)
            place = new_place()
            notes.write(Note("ledger", "order", "ledger-posted", "retry", correlation, place, "e-1", at - 10**6, at, 2))
            await heard.until_told("ledger-posted")

    (record,) = heard.records
    assert (record.status, record.attempt, record.id, record.clock) == ("retry", 2, "e-1", "ledger")
    assert (record.name, record.trace_id, record.span_id) == ("order", place.trace_id, place.span_id)
    assert abs(record.at_ns - at) < 1000
