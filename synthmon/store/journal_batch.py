"""What waits for the journal in PostgreSQL, written in one transaction by few statements however much it is."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from synthmon.core.undo.intents import Entry, Fenced, Intent, Opened, Settled
from synthmon.store import journal_schema as sql
from synthmon.store.claim_rows import Row
from synthmon.store.nouns import microseconds


def _mark() -> int:
    return secrets.randbits(63)


@dataclass(frozen=True, slots=True)
class Take:
    """A claim; the answer is a truth. A row that bears our mark is ours, whenever it was committed."""

    row: Row
    mark: int = field(default_factory=_mark)


@dataclass(frozen=True, slots=True)
class TakeGaps:
    """Claims of one or two rows each, the ends of a gap; the answer is for each the newest slot taken, None: ours."""

    gaps: Sequence[Sequence[Row]]
    mark: int = field(default_factory=_mark)


@dataclass(frozen=True, slots=True)
class Add:
    """An entry; the answer is its number, or `Fenced`."""

    run_id: str
    entry: Entry
    line: str
    after_seq: int
    mark: int = field(default_factory=_mark)


@dataclass(frozen=True, slots=True)
class Keep:
    """A journey's text."""

    version: str
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Claims whose records are saved."""

    rows: Sequence[Row]


Ask = Take | TakeGaps | Add | Keep | Close


class Outrun(Exception):
    """Another process wrote to one of the runs between our look and our write: look again."""


async def grant(connection: AsyncConnection, me: str, asks: Sequence[Ask], again: bool) -> list[Any]:
    """Do what is asked inside the transaction of `connection`; the answers in the same order.

    `again`: a commit of these may have happened, and its answer was lost; what bears their marks is answered as done.
    Raises `Outrun`; then everything is to be done anew.
    """
    answers: dict[int, Any] = {}
    takes = [(n, ask) for n, ask in enumerate(asks) if isinstance(ask, Take)]
    gaps = [(n, ask) for n, ask in enumerate(asks) if isinstance(ask, TakeGaps)]
    adds = [(n, ask) for n, ask in enumerate(asks) if isinstance(ask, Add)]
    if takes:
        won = await _claim(connection, me, [(*ask.row, ask.mark) for _, ask in takes], again)
        answers |= {n: _key(ask.row, ask.mark) in won for n, ask in takes}
    for n, gap in gaps:
        answers[n] = await _take_gaps(connection, me, gap, again)
    if adds:
        answers |= await _add(connection, me, adds, again)
    await _keep(connection, [ask for ask in asks if isinstance(ask, Keep)])
    await _close(connection, [row for ask in asks if isinstance(ask, Close) for row in ask.rows])
    return [answers.get(n) for n in range(len(asks))]


_Marked = tuple[str, str, int, str, int, int]
_Key = tuple[str, str, int, int]


def _key(row: Row, mark: int) -> _Key:
    return (*row[:3], mark)


async def _claim(connection: AsyncConnection, me: str, rows: Sequence[_Marked], again: bool) -> set[_Key]:
    """The rows that are ours now, in one statement, which sorts them: several would lock two daemons out."""
    if not rows:
        return set()
    journeys, locations, slots, run_ids, ats, marks = (list(column) for column in zip(*rows, strict=True))
    keys = {"journeys": journeys, "locations": locations, "slots": slots, "marks": marks}
    values = {**keys, "runs": run_ids, "ats": ats, "me": me}
    won: set[_Key] = {tuple(row) for row in await connection.execute(sql.CLAIM, values)}
    if again:
        won |= {tuple(row) for row in await connection.execute(sql.CLAIMED, keys)}
    return won


async def _take_gaps(connection: AsyncConnection, me: str, ask: TakeGaps, again: bool) -> Sequence[int | None]:
    """All rows of a gap or none, seen by others together; its first slot is the one that a rival would take."""
    newest = await _newest(connection, ask)
    free = [rows for rows, taken in zip(ask.gaps, newest, strict=True) if taken is None]
    won = await _claim(connection, me, [(*row, ask.mark) for rows in free for row in rows], again)
    lost = [rows for rows in free if not all(_key(row, ask.mark) in won for row in rows)]
    if not lost:
        return newest
    await connection.execute(sql.UNCLAIM, _columns([row for rows in lost for row in rows], ask.mark))
    newest = await _newest(connection, ask)  # theirs are committed, since we waited for them
    if sum(taken is None for taken in newest) > len(free) - len(lost):
        raise Outrun
    return newest


async def _newest(connection: AsyncConnection, ask: TakeGaps) -> Sequence[int | None]:
    """The newest slot that somebody else has taken from the first of each gap on."""
    firsts = [rows[0] for rows in ask.gaps]
    return [row.slot_us for row in await connection.execute(sql.NEWEST, _columns(firsts, ask.mark))]


def _columns(rows: Sequence[Row], mark: int) -> dict[str, list[Any]]:
    journeys, locations, slots = ([row[column] for row in rows] for column in range(3))
    return {"journeys": journeys, "locations": locations, "slots": slots, "marks": [mark] * len(rows)}


async def _add(
    connection: AsyncConnection, me: str, adds: Sequence[tuple[int, Add]], again: bool
) -> dict[int, int | Fenced]:
    answers: dict[int, int | Fenced] = {}
    if again:
        wanted = {"runs": [ask.run_id for _, ask in adds], "seqs": [ask.after_seq + 1 for _, ask in adds]}
        written = {tuple(row) for row in await connection.execute(sql.WRITTEN, wanted)}
        answers |= {n: a.after_seq + 1 for n, a in adds if (a.run_id, a.after_seq + 1, a.mark) in written}
    runs = sorted({ask.run_id for _, ask in adds})
    last: dict[str, int] = {row.run_id: row.seq for row in await connection.execute(sql.LAST, {"runs": runs})}
    new: list[Add] = []
    for n, ask in adds:
        if n in answers:
            continue
        if last.get(ask.run_id, 0) != ask.after_seq:
            answers[n] = Fenced(last.get(ask.run_id, 0))
        else:
            answers[n] = last[ask.run_id] = ask.after_seq + 1
            new.append(ask)
    if new:
        await _write(connection, me, new)
    return answers


async def _write(connection: AsyncConnection, me: str, new: Sequence[Add]) -> None:
    rows = {
        "runs": [ask.run_id for ask in new],
        "seqs": [ask.after_seq + 1 for ask in new],
        "lines": [ask.line for ask in new],
        "marks": [ask.mark for ask in new],
    }
    if len((await connection.execute(sql.APPEND, rows)).all()) < len(new):
        raise Outrun
    heads = {ask.run_id: ask.entry for ask in new if isinstance(ask.entry, Opened)}
    owing: dict[tuple[str, str], bool] = {}  # (run, path) → whether it is owed after this batch
    for ask in new:
        match ask.entry:
            case Intent(path=path):
                owing[ask.run_id, path] = True
            case Settled(path=path):
                owing[ask.run_id, path] = False
    if heads:
        starts = [microseconds(head.started) for head in heads.values()]
        versions = [head.version for head in heads.values()]
        await connection.execute(sql.OPEN, {"runs": list(heads), "starts": starts, "versions": versions, "me": me})
    for statement, owed in ((sql.OWE, True), (sql.SETTLE, False)):
        if debts := [debt for debt, stays in owing.items() if stays is owed]:
            await connection.execute(
                statement, {"runs": [run for run, _ in debts], "paths": [path for _, path in debts]}
            )


async def _keep(connection: AsyncConnection, keeps: Sequence[Keep]) -> None:
    if texts := {ask.version: ask.text for ask in keeps}:
        await connection.execute(sql.KEEP_TEXT, {"versions": list(texts), "texts": list(texts.values())})


async def _close(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    if rows:
        journeys, locations, slots, _, _ = (list(column) for column in zip(*rows, strict=True))
        await connection.execute(sql.RELEASE, {"journeys": journeys, "locations": locations, "slots": slots})
