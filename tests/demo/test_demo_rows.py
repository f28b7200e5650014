"""The shop forgets in time, so that it can run for days."""

from __future__ import annotations

from itertools import count

from synthmon.demo.rows import Memory, Table


def test_the_oldest_rows_go_when_there_are_too_many() -> None:
    table = Table("entry", count(1).__next__, keep=3)

    for n in range(5):
        table.write({"reference": f"r{n}"})

    assert [row["seq"] for row in table.find()] == [3, 4, 5]
    assert table.written == 5


def test_old_rows_go_with_the_next_write() -> None:
    memory: Memory[int] = Memory(keep_s=-1.0)

    memory.put("a", 1)

    assert memory.get("a") is None


def test_rows_are_found_and_removed_by_their_values() -> None:
    table = Table("mail", count(1).__next__)
    table.write({"to": "ann", "kind": "welcome"})
    table.write({"to": "ann", "kind": "confirmation"})
    table.write({"to": "bob", "kind": "welcome"})

    gone = table.remove(to="ann", kind="welcome")

    assert [row["seq"] for row in gone] == [1]
    assert [row["seq"] for row in table.find(kind="welcome")] == [3]
