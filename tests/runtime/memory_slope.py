"""What a daemon's memory grows by, a hundred thousand runs long: the real runner, stores and door, and a real target.

    python -m tests.runtime.memory_slope --runs 100000

The first two fifths are left out: until then the caches fill, those of SQLite and the runs that pages show.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import linear_regression

import structlog

from synthmon.core.journey import Journey
from synthmon.language.load import Loader
from synthmon.runtime.daemon import Daemon, Wishes
from synthmon.runtime.house import open_house

JOURNEYS, LOOKS = 20, 50
_PROBE = """
journey: reads-{number}
every: 24h
system: shop
steps:
  - id: read
    http: GET /json
    expect:
      - status == 200
      - body.ok == true
"""
_SETTINGS = """
systems:
  shop: {{base: "{url}", rate: 1000/s, concurrency: 100}}
"""


def slope_mb(looks: Sequence[tuple[int, float]]) -> float:
    """MB per 100,000 runs, of (runs, MB of resident memory) pairs."""
    runs, resident = zip(*looks[2 * len(looks) // 5 :], strict=True)
    return linear_regression(runs, resident).slope * 100_000


async def watch(folder: Path, url: str, runs: int) -> Sequence[tuple[int, float]]:
    """Do so many runs, all journeys side by side, and look at the memory now and then."""
    (folder / "probes").mkdir()
    for number in range(JOURNEYS):
        (folder / "probes" / f"{number}.yaml").write_text(_PROBE.format(number=number))
    (folder / "synthmon.yaml").write_text(_SETTINGS.format(url=url))
    wishes = Wishes([str(folder / "probes")], [str(folder / "synthmon.yaml")])
    loader = Loader(wishes.paths, wishes.settings_files)
    loaded = loader.load()
    assert len(loaded.journeys) == JOURNEYS, loaded.problems
    looks: list[tuple[int, float]] = []
    async with open_house(f"sqlite:///{folder}/store.db") as house:
        daemon = Daemon(house, loader, loaded, wishes)
        await daemon.begin()

        async def fill(journey: Journey, times: int) -> None:
            for _ in range(times):
                now = house.clock.now()
                await daemon.runner.fill(journey, now, now)

        for look in range(LOOKS):
            each = runs // LOOKS // JOURNEYS
            await asyncio.gather(*(fill(journey, each) for journey in loaded.journeys))
            gc.collect()
            looks.append(((look + 1) * each * JOURNEYS, _resident_mb()))
        totals = await house.history.totals()
        await daemon.end()
    assert sum(totals.values()) == looks[-1][0], totals
    assert {str(outcome) for _, outcome, _ in totals} == {"passed"}, totals
    return looks


@contextmanager
def a_shop() -> Iterator[str]:
    """A target in a process of its own; gives its URL."""
    command = [sys.executable, "-m", "tests.bench.shop", "--for", "3600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shop:
        assert shop.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(shop.stdout.readline())}"
        finally:
            shop.kill()


def measure(folder: Path, runs: int) -> Sequence[tuple[int, float]]:
    """(runs, MB) pairs. To be called in a fresh process: what the caller holds is measured, too."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with a_shop() as url:
        return asyncio.run(watch(folder, url, runs))


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("this kernel tells no VmRSS")


def main() -> int:
    """Exit 1 when it grows by 1 MB or more per 100,000 runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    given = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        looks = measure(Path(folder), given.runs)
    took_s = time.monotonic() - began_s
    print(*(f"{runs} runs: {resident:.1f} MB" for runs, resident in looks[:: len(looks) // 10]), sep="\n")
    slope = slope_mb(looks)
    print(f"{slope:.2f} MB per 100,000 runs; {looks[-1][0]} runs in {took_s:.0f} s, {looks[-1][1]:.0f} MB at the end")
    return 1 if slope >= 1 else 0


if __name__ == "__main__":
    sys.exit(main())
