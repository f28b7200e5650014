"""What the shop remembers: rows with a running number, for an hour, a few thousand of each kind."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

Row = dict[str, Any]  # JSON as it leaves the gateway
Value = TypeVar("Value")

KEEP_S = 3600.0
KEEP_ROWS = 5_000
KEEP_NOTES = 20_000


def iso(at_ns: int) -> str:
    """UTC with microseconds: 2026-01-31T12:00:00.123456Z (RFC 3339)."""
    return datetime.fromtimestamp(at_ns // 1000 / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Memory(Generic[Value]):
    """A bounded dictionary that forgets the oldest first, by number and by age."""

    def __init__(self, keep: int = KEEP_NOTES, keep_s: float = KEEP_S) -> None:
        self._values: OrderedDict[str, tuple[float, Value]] = OrderedDict()
        self._keep = keep
        self._keep_s = keep_s

    def get(self, key: str) -> Value | None:
        held = self._values.get(key)
        return held[1] if held else None

    def put(self, key: str, value: Value) -> None:
        now_s = time.monotonic()
        self._values[key] = (now_s, value)
        self._values.move_to_end(key)
        while len(self._values) > self._keep or self._oldest_s() < now_s - self._keep_s:
            self._values.popitem(last=False)

    def drop(self, key: str) -> Value | None:
        held = self._values.pop(key, None)
        return held[1] if held else None

    def values(self) -> Iterator[Value]:
        return (value for _, value in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def _oldest_s(self) -> float:
        return next((since_s for since_s, _ in self._values.values()), float("inf"))


class Copy(Protocol):
    """Somebody outside who is told of rows, on the loop and at once: it must neither wait nor raise."""

    def wrote(self, kind: str, row: Row) -> None: ...
    def removed(self, kind: str, rows: Sequence[Row]) -> None: ...


class Table:
    """Rows of one kind. ``written`` counts every row there ever was: it never falls."""

    def __init__(
        self,
        kind: str,
        count: Callable[[], int],
        keep: int = KEEP_ROWS,
        keep_s: float = KEEP_S,
        copies: Sequence[Copy] = (),
    ) -> None:
        self.kind = kind
        self.written = 0
        self._copies = copies
        self._count = count
        self._rows: Memory[Row] = Memory(keep, keep_s)

    def write(self, row: Row) -> Row:
        """Add ``seq`` and ``time`` (and an ``id`` if it has none) and keep it."""
        self.written += 1
        seq = self._count()
        kept = {"id": f"{self.kind}-{seq}", "seq": seq, "time": iso(time.time_ns()), **row}
        self._rows.put(str(kept["id"]), kept)
        for copy in self._copies:
            copy.wrote(self.kind, kept)
        return kept

    def get(self, row_id: str) -> Row | None:
        return self._rows.get(row_id)

    def find(self, **equal: object) -> list[Row]:
        """All rows with these values, oldest first."""
        return [row for row in self._rows.values() if all(row.get(key) == value for key, value in equal.items())]

    def remove(self, **equal: object) -> list[Row]:
        gone = self.find(**equal)
        for row in gone:
            self._rows.drop(str(row["id"]))
        for copy in self._copies if gone else ():
            copy.removed(self.kind, gone)
        return gone

    def __len__(self) -> int:
        return len(self._rows)


class Rows:
    """Every table of the shop; ``seq`` runs through all of them, so it orders rows of different kinds."""

    def __init__(self, copies: Sequence[Copy] = ()) -> None:
        count = itertools.count(1).__next__
        self.orders = Table("order", count)
        self.payments = Table("payment", count)
        self.ledger = Table("entry", count, copies=copies)
        self.shipments = Table("shipment", count)
        self.mails = Table("mail", count, copies=copies)
        self.signups = Table("signup", count)
        self.profiles = Table("profile", count)
        self.credits = Table("credit", count)
        self.movements = Table("movement", count)
        self.notes = Table("note", count, keep=KEEP_NOTES, copies=copies)
        self.dead = Table("dead", count)

    def tables(self) -> tuple[Table, ...]:
        return (
            self.orders,
            self.payments,
            self.ledger,
            self.shipments,
            self.mails,
            self.signups,
            self.profiles,
            self.credits,
            self.movements,
            self.dead,
        )
