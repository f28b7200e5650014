"""Pictures of pages: which are kept, for whom, and for how long."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from synthmon.core.run import Attempt, Record
from synthmon.runtime import pictures
from synthmon.runtime.pictures import Pictures, pictures_beside
from tests.web.some import a_failed_run

RUN = "9f86d081884c7d659a2feaa0c55ad015"


def a_record(*names: str) -> Record:
    record = a_failed_run()
    step = record.steps[0]
    attempts = tuple(Attempt(f"page#{n}", "/shop", 0, 1, shot=name) for n, name in enumerate(names))
    return replace(record, steps=(replace(step, attempts=attempts),))


async def test_only_what_the_record_names_is_kept_and_read_again(tmp_path: Path) -> None:
    kept = Pictures(tmp_path / "shots")

    await kept.keep(a_record(f"{RUN}-1.png"), {f"{RUN}-1.png": b"one", f"{RUN}-2.png": b"two"})

    assert await kept.read(f"{RUN}-1.png") == b"one"
    assert await kept.read(f"{RUN}-2.png") is None
    assert [path.name for path in (tmp_path / "shots").iterdir()] == [f"{RUN}-1.png"]


@pytest.mark.parametrize("name", ["../synthmon.db", f"{RUN}-1.png/../../x", "", f"{RUN}-1.PNG", ".new-x", "x.png"])
async def test_nothing_else_is_read_by_that_way(tmp_path: Path, name: str) -> None:
    (tmp_path / "synthmon.db").write_bytes(b"history")
    kept = Pictures(tmp_path / "shots")
    await kept.keep(a_record(f"{RUN}-1.png"), {f"{RUN}-1.png": b"one"})

    assert await kept.read(name) is None


async def test_the_oldest_make_room_and_the_old_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_FILES", 3)
    kept = Pictures(tmp_path)
    for n in range(5):
        await kept.keep(a_record(f"{RUN}-{n}.png"), {f"{RUN}-{n}.png": b"x"})
        os.utime(tmp_path / f"{RUN}-{n}.png", (1e9 + n, 1e9 + n))

    assert sorted(path.name[-5] for path in tmp_path.iterdir()) == ["2", "3", "4"]
    await kept.forget(3600)
    assert list(tmp_path.iterdir()) == []


async def test_a_store_in_memory_keeps_none() -> None:
    kept = pictures_beside(None)

    await kept.keep(a_record(f"{RUN}-1.png"), {f"{RUN}-1.png": b"one"})

    assert await kept.read(f"{RUN}-1.png") is None


async def test_a_folder_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "shots").write_text("a file")

    await Pictures(tmp_path / "shots").keep(a_record(f"{RUN}-1.png"), {f"{RUN}-1.png": b"one"})

    assert (tmp_path / "shots").read_text() == "a file"
