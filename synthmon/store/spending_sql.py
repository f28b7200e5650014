"""What was spent, in the database of the history: one statement counts and refuses, whoever else is counting.

SQLite lets one writer in at a time; in PostgreSQL a lock of ours does the same for this table. So a budget holds over
all processes that share the store, and what was counted is durable before the run or the effect leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthmon.core.spending import Budget, Spend
from synthmon.store.engines import Engines, connect
from synthmon.store.migrate import bring_up_to_date
from synthmon.store.schema import spending

POSTGRES_LOCK = 7_310_293_744_310_299  # any number, as long as every synthmon takes the same
LIMIT_S = 30.0

# The casts are for PostgreSQL, which cannot tell the type of a bare parameter in a list of columns.
_SPEND = sa.text("""
INSERT INTO spending (system, used, piece, spent)
SELECT CAST(:system AS TEXT), CAST(:used AS TEXT), CAST(:piece AS BIGINT), CAST(:amount AS BIGINT)
WHERE :amount + (
    SELECT COALESCE(SUM(spent), 0) FROM spending WHERE system = :system AND used = :used AND piece >= :first
) <= :most
ON CONFLICT (system, used, piece) DO UPDATE SET spent = spending.spent + excluded.spent
RETURNING spent
""")
_FORGET = sa.text("DELETE FROM spending WHERE system = :system AND used = :used AND piece < :oldest")


@dataclass(frozen=True, slots=True)
class _Wish:
    """Somebody waits to hear whether this may be spent."""

    spends: Sequence[Spend]
    at: datetime
    told: asyncio.Future[Budget | None]


class SqlSpending:
    """A `Spending` in SQLite or PostgreSQL. It connects when it is first needed: most settings have no budget."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engines: Engines | None = None
        self._turn = asyncio.Lock()
        self._wishes: list[_Wish] = []
        self._granting: asyncio.Task[None] | None = None
        self._pieces: dict[tuple[str, str], int] = {}  # the one that was last spent in

    async def spend(self, spends: Sequence[Spend], at: datetime) -> Budget | None:
        """What waits while others are being written is written together."""
        wish = _Wish(spends, at, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        async with self._turn:
            if wish in self._wishes:
                wishes, self._wishes = self._wishes, []
                self._granting = asyncio.create_task(self._grant(wishes))
                await asyncio.shield(self._granting)  # others wait for it too
        return await wish.told

    async def spent(self, budget: Budget, at: datetime) -> int:
        wanted = sa.select(sa.func.coalesce(sa.func.sum(spending.c.spent), 0)).where(
            spending.c.system == budget.system,
            spending.c.used == str(budget.use),
            spending.c.piece >= budget.first(at),
        )
        engines = await self._opened()
        try:
            async with asyncio.timeout(LIMIT_S), engines.reader.connect() as connection:
                return int(await connection.scalar(wanted) or 0)
        except (SQLAlchemyError, OSError) as error:
            raise engines.broken(error) from error

    async def aclose(self) -> None:
        if self._granting is not None:
            await asyncio.gather(self._granting, return_exceptions=True)
        if self._engines is not None:
            await self._engines.aclose()

    async def _grant(self, wishes: Sequence[_Wish]) -> None:
        try:
            refused = await self._committed(wishes)
        except OSError as error:
            for wish in wishes:
                _tell(wish, OSError(*error.args))
            return
        for wish, budget in zip(wishes, refused, strict=True):
            _tell(wish, budget)

    async def _committed(self, wishes: Sequence[_Wish]) -> list[Budget | None]:
        engines = await self._opened()
        try:
            async with asyncio.timeout(LIMIT_S), engines.writer.begin() as connection:
                if engines.writer.dialect.name == "postgresql":
                    await connection.execute(sa.text("SET LOCAL synchronous_commit TO on"))
                    await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRES_LOCK})
                return [await self._counted(connection, wish) for wish in wishes]
        except (SQLAlchemyError, OSError) as error:
            raise engines.broken(error) from error

    async def _counted(self, connection: AsyncConnection, wish: _Wish) -> Budget | None:
        whole = await connection.begin_nested()
        for spend in wish.spends:
            budget, piece = spend.budget, spend.budget.piece(wish.at)
            values = {"system": budget.system, "used": str(budget.use)}
            more = {"piece": piece, "first": budget.first(wish.at), "amount": spend.amount, "most": budget.most}
            if (await connection.execute(_SPEND, {**values, **more})).first() is None:
                await whole.rollback()
                return budget
            if self._pieces.get((budget.system, budget.use)) != piece:
                self._pieces[budget.system, budget.use] = piece
                # twice the window: another machine's clock may be behind
                await connection.execute(_FORGET, {**values, "oldest": 2 * budget.first(wish.at) - piece})
        await whole.commit()
        return None

    async def _opened(self) -> Engines:
        if self._engines is None:
            engines = await connect(self._url)
            try:
                await bring_up_to_date(engines)
            except (SQLAlchemyError, OSError) as error:
                await engines.aclose()
                raise engines.broken(error) from error
            self._engines = engines
        return self._engines


def _tell(wish: _Wish, word: Budget | OSError | None) -> None:
    if wish.told.done():
        return
    if isinstance(word, OSError):
        wish.told.set_exception(word)
    else:
        wish.told.set_result(word)
