"""Loads a probe with its settings from texts and runs it once, as `synthmon run` does."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

from synthmon.core.run import Record
from synthmon.language.load import Loaded, load
from synthmon.runtime.once import run_once


async def run_probe(folder: Path, probe: str, settings: str, store: str = "memory:") -> Record:
    """The record of one run; anything wrong with either text fails the test."""
    loaded = _load(folder, probe, settings)
    assert not [problem for problem in loaded.problems if problem.level == "error"], loaded.problems
    async with aclosing(run_once(loaded.journeys, loaded.settings, store)) as records:
        async for record in records:
            return record
    raise AssertionError("there was no run")


def faults(folder: Path, probe: str, settings: str) -> list[str]:
    """What is wrong with the texts, by code."""
    loaded = _load(folder, probe, settings)
    return [f"{problem.code}: {problem.fault}" for problem in loaded.problems if problem.level == "error"]


def _load(folder: Path, probe: str, settings: str) -> Loaded:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "probe.yaml").write_text(probe)
    (folder / "synthmon.yaml").write_text(settings)
    return load([str(folder / "probe.yaml")], [str(folder / "synthmon.yaml")])
