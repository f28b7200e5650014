"""Every slot of a busy time is accounted for, and the same seed tells the same story."""

from __future__ import annotations

from tests.runtime.month import simulate

NAMES = [f"journey-{n}" for n in range(20)]


def test_every_slot_of_a_quarter_of_a_day_is_accounted_for_and_the_same_seed_gives_the_same_trace() -> None:
    account, again, other = simulate(NAMES, 0.25, 1), simulate(NAMES, 0.25, 1), simulate(NAMES, 0.25, 2)

    assert (account.scheduled, account.difference, account.doubles) == (20 * 360, 0, 0)
    assert {"passed", "flaky", "failed", "unknown", "missed"} <= account.outcomes.keys()
    assert account == again
    assert account.trace != other.trace
