"""What is old is forgotten while the daemon goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from synthmon.language.settings import Settings
from synthmon.runtime.chores import FORGET_EVERY_S, forget_what_is_old
from synthmon.runtime.house import House
from synthmon.runtime.pictures import Pictures
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.memory import MemoryHistory
from tests.core.told import told
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual


def test_old_runs_go_and_of_the_good_ones_that_stay_the_newest_keep_their_evidence() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        history: Any = MemoryHistory()
        parts = {"clock": clock, "history": history, "journal": MemoryJournal(), "pictures": Pictures(None)}
        days = [timedelta(days=days) for days in (40, 3, 2, 1)]
        await history.save([replace(told("a"), slot=START - ago, run_id=f"{ago.days:032x}") for ago in days])

        chore = asyncio.create_task(
            forget_what_is_old(cast("House", SimpleNamespace(**parts)), lambda: Settings(keep_evidence=2))
        )
        await asyncio.sleep(FORGET_EVERY_S + 1)
        chore.cancel()

        kept = await history.told("orders")
        assert [record.evidence_forgotten for record in kept] == [False, False, True]
        assert [bool(record.evidence) for record in kept] == [True, True, False]

    run_virtual(story)
