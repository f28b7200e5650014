"""The daemon as it is, runs as fast as it can: many lanes, each filling one slot after the other.

    python -m tests.bench.drive FOLDER --store memory: --loop asyncio [--profile FILE]

Everything of a run is there except for the bell: claim, checks, record, history, metrics. Ends with SIGTERM and prints
what became of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import sys
from collections import Counter
from pathlib import Path

from synthmon.core.journey import Journey
from synthmon.core.run import Record
from synthmon.language.load import Loader
from synthmon.runtime.daemon import Daemon, Wishes
from synthmon.runtime.house import open_house
from synthmon.runtime.logs import log_json


async def drive(folder: Path, store: str) -> Counter[str]:
    """Run every journey of the folder again and again, all side by side, until SIGTERM; outcomes and how many."""
    paths, settings = [str(folder / "probes")], [str(folder / "synthmon.yaml")]
    loader = Loader(paths, settings)
    loaded = loader.load()
    if loaded.problems:
        raise SystemExit("\n".join(f"{p.place} {p.fault} {p.remedy}" for p in loaded.problems))
    outcomes: Counter[str] = Counter()
    async with open_house(store) as house:
        daemon = Daemon(house, loader, loaded, Wishes(paths, settings))
        count = daemon.board.record

        def counted(record: Record, journey: Journey) -> None:
            outcomes[str(record.outcome)] += 1
            count(record, journey)

        daemon.board.record = counted  # type: ignore[method-assign]
        await daemon.begin()
        going = True

        async def lane(journey: Journey) -> None:
            while going:
                slot = house.clock.now()
                await daemon.runner.fill(journey, slot, slot)

        lanes = [asyncio.create_task(lane(journey)) for journey in loaded.journeys]
        print("going", flush=True)
        await daemon.live()
        going = False
        await asyncio.gather(*lanes)
        await daemon.end()
    return outcomes


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--store", default="memory:")
    arguments.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    arguments.add_argument("--profile", default="", help="write what cProfile saw to this file")
    wanted = arguments.parse_args()
    log_json(sys.stderr)
    factory = None
    if wanted.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    profile = cProfile.Profile() if wanted.profile else None
    with asyncio.Runner(loop_factory=factory) as runner:
        if profile is not None:
            profile.enable()
        outcomes = runner.run(drive(wanted.folder, wanted.store))
        if profile is not None:
            profile.disable()
            profile.dump_stats(wanted.profile)
    print(json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    main()
