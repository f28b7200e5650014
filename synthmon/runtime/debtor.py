"""Open debts without a daemon: seen, paid, or forgotten by a person who says why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from synthmon.core.undo.intents import Fenced, Journal, Settled
from synthmon.language.kinds import find_kinds
from synthmon.language.settings import Settings
from synthmon.runtime.arrears import Arrears, Owing, tries_path
from synthmon.runtime.house import open_house
from synthmon.runtime.instants import SteadyClock
from synthmon.runtime.lookout import Lookout, find_in
from synthmon.runtime.reaper import Reaper
from synthmon.runtime.sole import hold_alone
from synthmon.store.open import MEMORY, journal_path, open_journal

_log = structlog.get_logger(__name__)


class NotNow(Exception):
    """What was asked for cannot be done; the words say why and what helps."""


@dataclass(frozen=True, slots=True)
class Paid:
    """How many debts were paid, and those that are still open."""

    paid: int
    left: Sequence[Owing]


async def list_debts(settings: Settings, store: str) -> Sequence[Owing]:
    """What the journal of a store says is owed, oldest first; sends nothing. Runs that go on are left out.

    Raises `OSError` when the journal cannot be read, `NotNow` when there is none.
    """
    path = kept_at(store)
    async with _journal(store, path) as journal:
        clock = SteadyClock()
        find = find_in(journal, settings, find_kinds())
        left = await Lookout(lambda: settings, journal, clock, find, lambda run_id: False, others=True).look()
        arrears = Arrears(clock, tries_path(path))
        arrears.look(debt for run in left.values() for debt in run.debts)
        return arrears.debts()


async def pay_debts(settings: Settings, store: str) -> Paid:
    """Try every open debt, and again while something is paid. Raises `NotNow` while a daemon has the journal."""
    kept_at(store)
    async with open_house(store) as house:
        with hold_alone(house.beside) as alone:
            if not alone:
                raise NotNow("a daemon has this journal and pays by itself; `synthmon debts` shows how far it is")
            lent, _ = house.lend(settings)
            await house.keyring.fetch()
            find = find_in(house.journal, settings, house.forms)
            tries = tries_path(house.beside)
            reaper = Reaper(lambda: lent, house.journal, house.clock, find, lambda run_id: False, tries)
            paid = 0
            while now_paid := await reaper.round():
                paid += now_paid
            await reaper.look()
            return Paid(paid, reaper.debts())


async def forget_debt(settings: Settings, store: str, which: str, who: str, because: str) -> Owing:
    """Settle a debt without paying it; the journal and the log keep who did that and why.

    `which` is an id, or as much of its run's id as only one debt has. Raises `NotNow` when that is not one debt.
    """
    found = [owing for owing in await list_debts(settings, store) if _is_meant(owing, which)]
    if len(found) != 1:
        many = ", ".join(owing.debt.id for owing in found[:5])
        raise NotNow(
            f"{which} is {f'one of {many}: name one' if found else 'no open debt; `synthmon debts` lists them'}"
        )
    owing = found[0]
    async with _journal(store, kept_at(store)) as journal:
        run = next((run for run in await journal.open_runs() if run.run_id == owing.debt.run_id), None)
        entry = Settled(owing.debt.path, f"forgotten by {who}: {because}")
        if run is None or isinstance(await journal.append(run.run_id, entry, len(run.entries)), Fenced):
            raise NotNow("somebody else has just written to its run; look again")
    debt = owing.debt
    words = {"debt": debt.id, "journey": debt.journey, "system": debt.system, "tag": debt.tag}
    _log.warning("a debt was forgotten", who=who, because=because, by_hand=debt.by_hand, **words)
    return owing


def kept_at(store: str) -> Path | None:
    """The journal's file that belongs to a store. Raises `NotNow` when there is none."""
    if store == MEMORY:
        raise NotNow("a store in memory ends with its process; name another with --store or --settings")
    if not store.startswith("sqlite"):
        return Path("synthmon-journal.db")  # its name alone: the journal is in the database
    path = journal_path(store)
    if not path.exists():
        raise NotNow(f"there is no journal at {path}; name another store with --store or --settings")
    return path


def _is_meant(owing: Owing, which: str) -> bool:
    run, _, path = which.partition(":")
    return bool(run) and owing.debt.run_id.startswith(run) and path in ("", owing.debt.path)


@asynccontextmanager
async def _journal(store: str, path: Path | None) -> AsyncIterator[Journal]:
    journal = open_journal(store, path)
    try:
        yield journal
    finally:
        await journal.aclose()
