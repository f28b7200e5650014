"""What one run spends beyond what was counted at its start: each further look of a poll that makes something."""

from __future__ import annotations

from collections.abc import Mapping

from synthmon.core.acts import Do
from synthmon.core.door import Trouble
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Reason
from synthmon.core.run import Run
from synthmon.core.spending import Budget, Spend, Spending, creates, creates_budget
from synthmon.core.system import System


class Purse:
    """Of one run: its start has paid for one thing of each step that makes any."""

    def __init__(self, spending: Spending, run: Run, polls: Mapping[str, Budget]) -> None:
        self._spending, self._run, self._polls = spending, run, polls

    async def pay(self, act: Do) -> Trouble | None:
        """Count what an act makes before it leaves; trouble when it must not."""
        step_id, _, number = act.id.partition("#")
        if number in ("", "1") or not number.isdigit() or (budget := self._polls.get(step_id)) is None:
            return None
        try:
            refused = await self._spending.spend([Spend(budget)], self._run.slot)
        except OSError as error:
            return Trouble(Reason.UNCOUNTED, f"what it makes cannot be counted: {error}", sent=False)
        return Trouble(Reason.BUDGET, f"the budget of {refused} is used up", sent=False) if refused else None


def purse_of(journey: Journey, run: Run, spending: Spending, systems: Mapping[str, System]) -> Purse | None:
    """The purse of a run; None for nearly all, which need none."""
    polls = {
        step.id: budget
        for step in journey.flat
        if step.within is not None
        and creates(step)
        and (budget := creates_budget(systems.get(step.system or journey.system))) is not None
    }
    return Purse(spending, run, polls) if polls else None
