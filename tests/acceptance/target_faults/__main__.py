"""`python -m tests.acceptance.target_faults`: the table, and how many faults simpler checks would catch."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.target_faults.bench import Result, run_all, shipped
from tests.acceptance.target_faults.faults import RED, Fault
from tests.acceptance.target_faults.table import table
from tests.acceptance.target_faults.weaker import status_only, values_only


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        journeys, settings = shipped(Path(scratch))
    full = asyncio.run(run_all(RED, journeys, settings))
    print(table(RED, full))
    print(f"\nall checks: {sum(result.red >= f.meets for f, result in _pairs(full))} of {len(RED)}")
    for word, weaker in (("statuses", status_only), ("statuses and values", values_only)):
        results = asyncio.run(run_all(RED, [weaker(journey) for journey in journeys], settings))
        caught = [fault.name for fault, result in _pairs(results) if result.red & fault.meets]
        print(f"{word}: {len(caught)} of {len(RED)}; not {', '.join(f.name for f in RED if f.name not in caught)}")


def _pairs(results: Mapping[str, Result]) -> list[tuple[Fault, Result]]:
    return [(fault, results[fault.name]) for fault in RED]


if __name__ == "__main__":
    main()
