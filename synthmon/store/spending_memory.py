"""What was spent, as long as the process lives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from synthmon.core.spending import Budget, Spend


class MemorySpending:
    """A `Spending` beside a store in memory."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, str], Counter[int]] = {}

    async def spend(self, spends: Sequence[Spend], at: datetime) -> Budget | None:
        for spend in spends:
            if await self.spent(spend.budget, at) + spend.amount > spend.budget.most:
                return spend.budget
        for spend in spends:
            budget = spend.budget
            pieces = self._pieces.setdefault((budget.system, budget.use), Counter())
            for old in [piece for piece in pieces if piece < 2 * budget.first(at) - budget.piece(at)]:
                del pieces[old]
            pieces[budget.piece(at)] += spend.amount
        return None

    async def spent(self, budget: Budget, at: datetime) -> int:
        pieces = self._pieces.get((budget.system, budget.use), Counter[int]())
        return sum(amount for piece, amount in pieces.items() if piece >= budget.first(at))

    async def aclose(self) -> None:
        """Nothing is open."""
