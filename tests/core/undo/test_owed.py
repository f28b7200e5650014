"""What a journal says is owed: with the names of the run that made it, and in words for a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from synthmon.core.run import Run
from synthmon.core.undo.intents import Entry, Intent, Learned, Opened, OpenRun, Settled
from synthmon.core.undo.owed import debts_of, open_debts
from tests.core.scripted import START, journey, step

RUN = Run("ab" * 16, "probe", "0" * 64, START, START, "eu", instance="ours")
PROBE = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", find="FIND /o"))


def left(*entries: Entry, tag: str = RUN.namespace, names: dict[str, Any] | None = None) -> OpenRun:
    head = Opened("probe", "0" * 64, "shop", "http://shop/", START, "eu", names or {})
    intent = Intent("order", 1, f"{RUN.id}-order", tag, START + timedelta(hours=1))
    return OpenRun(RUN.id, (head, intent, *entries))


def test_the_namespace_is_the_one_that_the_run_had_whatever_the_settings_say_now() -> None:
    (debt,) = debts_of(left(names={"run.instance": "ours"}), PROBE)

    assert (debt.names["run.namespace"], debt.names["run.instance"]) == (RUN.namespace, "ours")


def test_a_journal_of_an_older_version_keeps_its_shorter_namespace() -> None:
    (debt,) = debts_of(left(tag="syn-abababababababab"), PROBE)

    assert debt.names["run.namespace"] == "syn-abababababababab"


def test_what_nobody_knows_stands_in_capitals_beside_the_read_that_learns_it() -> None:
    (unknown,) = open_debts(left(), PROBE)
    (known,) = open_debts(left(Learned("order", {"order.id": "7"})), PROBE)

    assert unknown.by_hand.startswith("DELETE http://shop/o/ORDER_ID")
    assert ", after FIND http://shop/o" in unknown.by_hand
    assert known.by_hand.startswith("DELETE http://shop/o/7")
    assert "after" not in known.by_hand


def test_without_its_journey_a_debt_is_booked_on_the_system_of_the_run() -> None:
    (debt,) = open_debts(left(), None)

    assert (debt.system, debt.by_hand, debt.id) == ("shop", "", f"{RUN.id}:order")


def test_what_was_settled_or_forgotten_is_not_owed() -> None:
    assert list(open_debts(left(Settled("order", "forgotten by ada: done by hand")), PROBE)) == []
