"""A process that spends as much as it is let: `python -m tests.store.spend_all URL SYSTEM MOST TRIES`.

Each grant is a line on standard output, written only after it was counted: what may happen now.
"""

from __future__ import annotations

import asyncio
import sys

from synthmon.core.spending import Budget, Spend, Use
from synthmon.store.open import open_spending
from tests.core.scripted import START


async def spend_all(url: str, system: str, most: int, tries: int) -> None:
    spending = open_spending(url)
    budget = Budget(system, Use.RUNS, most)

    async def one(number: int) -> None:
        if await spending.spend([Spend(budget)], START) is None:
            print(number, flush=True)

    for first in range(0, tries, 10):
        await asyncio.gather(*(one(first + n) for n in range(10)))
    await spending.aclose()


if __name__ == "__main__":
    asyncio.run(spend_all(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
