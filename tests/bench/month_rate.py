"""How fast a month is simulated: core, slots, runner, CEL and memory stores in virtual time, on two cores."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from tests.bench.figures import Row
from tests.bench.processes import Bench, ask
from tests.runtime.month import in_two_halves

JOURNEYS = 100
TARGET = 4_320_000 / 600  # a month of them in ten minutes


def measure(bench: Bench) -> Sequence[Row]:
    """Some hours of it."""
    days = bench.secs(0.3, 0.05)
    told = ask(bench, "tests.bench.month_rate", days, limit_s=180, pinned=False)[0]
    return [Row(f"simulated slots with faults, {JOURNEYS} journeys", told["rate"], "slots/s", TARGET, least=True)]


def main() -> None:
    began_s = time.monotonic()
    account = in_two_halves(JOURNEYS, float(sys.argv[1]), 1)
    assert account.difference == account.doubles == 0, account
    print(json.dumps({"rate": account.scheduled / (time.monotonic() - began_s)}))


if __name__ == "__main__":
    main()
