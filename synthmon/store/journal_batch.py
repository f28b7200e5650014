"""What waits for the journal in PostgreSQL, written in one transaction by few statements however much it is."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from synthmon.core.undo.intents import Entry, Fenced, Intent, Opened, Settled
from synthmon.store import journal_schema as sql
from synthmon.store.journal_tables import Row
from synthmon.store.nouns import microseconds


def _mark() -> int:
    return secrets.randbits(63)


@dataclass(frozen=True, slots=True)
class Take:
    """Claims; the answer is a truth for each. A row that bears our mark is ours, whenever it was committed."""

    rows: Sequence[Row]
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


Ask = Take | Add | Keep | Close


class Outrun(Exception):
    """Another process wrote to one of the runs between our look and our write: look again."""


async def grant(connection: AsyncConnection, me: str, asks: Sequence[Ask], again: bool) -> list[Any]:
    """Do what is asked inside the transaction of `connection`; the answers in the same order.

    `again`: a commit of these may have happened, and its answer was lost; what bears their marks is answered as done.
    Raises `Outrun`; then everything is to be done anew.
    """
    answers: dict[int, Any] = {}
    takes = [(n, ask) for n, ask in enumerate(asks) if isinstance(ask, Take)]
    adds = [(n, ask) for n, ask in enumerate(asks) if isinstance(ask, Add)]
    if takes:
        answers |= await _take(connection, me, takes, again)
    if adds:
        answers |= await _add(connection, me, adds, again)
    await _keep(connection, [ask for ask in asks if isinstance(ask, Keep)])
    await _close(connection, [row for ask in asks if isinstance(ask, Close) for row in ask.rows])
    return [answers.get(n) for n in range(len(asks))]


async def _take(
    connection: AsyncConnection, me: str, takes: Sequence[tuple[int, Take]], again: bool
) -> dict[int, list[bool]]:
    rows = [(*row, ask.mark) for _, ask in takes for row in ask.rows]
    if not rows:
        return {n: [] for n, _ in takes}
    journeys, locations, slots, run_ids, ats, marks = (list(column) for column in zip(*rows, strict=True))
    keys = {"journeys": journeys, "locations": locations, "slots": slots, "marks": marks}
    won = {tuple(row) for row in await connection.execute(sql.CLAIM, {**keys, "runs": run_ids, "ats": ats, "me": me})}
    if again:
        won |= {tuple(row) for row in await connection.execute(sql.CLAIMED, keys)}
    answers = {}
    for n, ask in takes:
        answers[n] = [(*row[:3], ask.mark) in won for row in ask.rows]
    return answers


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
