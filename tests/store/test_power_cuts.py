"""What was acknowledged is on the disk: a power cut takes nothing of it.

All of it is torture: it mounts a disk of its own, and on a busy machine one mount may still stand when the next comes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.power_cuts import torture

pytestmark = [pytest.mark.platform_limit("power_cuts"), pytest.mark.torture]


def test_nothing_acknowledged_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    cuts = torture(tmp_path, cuts=3, seed=3)

    assert cuts.report.wrong == []
    assert min(cuts.report.acknowledged[what] for what in ("claim", "entry")) > 0


def test_files_that_are_synced_less_lose_what_they_acknowledged(tmp_path: Path) -> None:
    """That the test above can fail."""
    cuts = torture(tmp_path, cuts=2, seed=2, sync_less=True)

    assert cuts.losing > 0


def test_nothing_acknowledged_is_lost_in_sixty_power_cuts(tmp_path: Path) -> None:
    cuts = torture(tmp_path, cuts=60, seed=60)

    assert cuts.report.wrong == []
    assert min(cuts.report.acknowledged[what] for what in ("claim", "entry", "record")) > 0


def test_files_that_are_synced_less_lose_in_most_of_thirty_power_cuts(tmp_path: Path) -> None:
    cuts = torture(tmp_path, cuts=30, seed=30, sync_less=True)

    assert cuts.losing > 15
