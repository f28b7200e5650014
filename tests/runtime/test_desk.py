"""What the page and the API are told of the last records of a journey."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

from synthmon.language.load import Loader
from synthmon.runtime.daemon import Daemon, Wishes
from synthmon.runtime.desk import RECENT_IN_ALL
from synthmon.runtime.house import open_house
from tests.bench import journeys
from tests.metrics.some import NOON, a_journey, a_record


async def test_the_newest_records_stay_when_more_journeys_are_loaded(tmp_path: Path) -> None:
    probes = journeys.write(tmp_path, "http://127.0.0.1:1", journeys.LOOK, 1, "24h")
    loader = Loader([str(probes)], [str(tmp_path / "synthmon.yaml")])
    few, many = ({f"journey-{i}": a_journey(f"journey-{i}") for i in range(count)} for count in (1, 1_000))
    slots = [NOON + timedelta(minutes=i) for i in range(50)]
    async with open_house("memory:") as house:
        desk = Daemon(house, loader, loader.load(), Wishes([])).desk
        desk.show(few, ())
        desk.remember(a_record(few["journey-0"], random.Random(1), slot=slot) for slot in slots)

        desk.show(many, ())

        status = desk.journey("journey-0")
    assert status is not None
    assert [record.slot for record in status.recent] == slots[::-1][: RECENT_IN_ALL // 1_000]
    assert not any(record.steps for record in status.recent)
