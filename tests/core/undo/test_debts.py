"""What a run makes it takes back, whatever kills, stops or deceives it."""

from __future__ import annotations

import random

import pytest

from synthmon.core.acts import Do
from synthmon.core.journey import Journey, Retry
from synthmon.core.outcomes import Outcome, Reason
from tests.core.scripted import Answer, World, journey, step, together


class Shop:
    """A target that stores what is posted under its idempotency key, and can be slow, lossy and deceitful."""

    def __init__(self, seed: int = 0, lose: float = 0.0, slowest_s: float = 0.02, honours_keys: bool = True) -> None:
        self.things: dict[str, str] = {}
        self.effects: list[str] = []
        self.late: list[tuple[float, str, str]] = []
        self.random, self.lose, self.slowest_s, self.honours_keys = random.Random(seed), lose, slowest_s, honours_keys

    def __call__(self, request: str, now_s: float, act: Do) -> Answer | None:
        verb, _, path = request.partition(" ")
        delay_s = self.random.uniform(0.001, self.slowest_s)
        answer = Answer(*self.answer(verb, path, act.key or ""), delay_s=delay_s)
        return None if self.random.random() < self.lose else answer

    def answer(self, verb: str, path: str, key: str) -> tuple[int, object]:
        name = path.rpartition("/")[2]
        match verb:
            case "POST":
                made = key if self.honours_keys else f"{key}/{len(self.effects)}"
                if made not in self.things:
                    self.things[made] = path
                    self.effects.append(made)
                return 201, {"id": made}
            case "FIND":
                found = [made for made, where in self.things.items() if where == path]
                return (200, {"id": found[0]}) if found else (200, {})
            case "DELETE":
                return (204 if self.things.pop(name, None) else 404), None
        return (200 if name in self.things else 404), None


def buying(repeatable: bool = True) -> Journey:
    """Three effects, two of them side by side, and a read."""

    def thing(name: str, find: bool = True) -> dict[str, object]:
        found = {"find": f"FIND /{name}"} if find else {}
        return {"save": {"id": "body.id"}, "undo": f"DELETE /{name}/${{{name}.id}}", "ttl": 30.0, **found}

    return journey(
        step("order", "POST /order", repeatable=repeatable, gone="GET /o/${order.id}", **thing("order")),  # type: ignore[arg-type]
        together(
            "both",
            step("close", "POST /close", repeatable=repeatable, **thing("close")),  # type: ignore[arg-type]
            step("addr", "POST /addr", **thing("addr")),  # type: ignore[arg-type]
        ),
        step("done", "GET /nothing", expect=("status == 404",), within=5, after="close"),
    )


def test_what_was_made_is_taken_back_last_first_and_its_absence_verified() -> None:
    shop = Shop()
    world = World(shop)

    record = world.record(buying())

    deleted = [request for request in world.requests() if request.startswith("DELETE")]
    assert [request.split("/")[1] for request in deleted] == ["addr", "close", "order"]
    assert {debt.state for debt in record.debts} == {"closed"}
    assert (shop.things, world.open_intents()) == ({}, [])


def test_a_failed_step_does_not_keep_what_it_made() -> None:
    shop = Shop()
    probe = journey(
        step("order", "POST /o", expect=("status == 200",), save={"id": "body.id"}, undo="DELETE /o/${order.id}")
    )

    record = World(shop).record(probe)

    assert (record.outcome, shop.things) == (Outcome.FAILED, {})


def test_a_request_that_never_left_owes_nothing() -> None:
    probe = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}"))
    world = World(lambda request, now_s, act: Answer(trouble=Reason.REFUSED, sent=False))

    record = world.record(probe)

    assert [debt.state for debt in record.debts] == ["never_left"]
    assert (world.requests(), world.open_intents()) == (["POST /o"], [])


def test_a_clear_refusal_owes_nothing_once_find_finds_nothing() -> None:
    probe = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", find="FIND /o"))
    world = World(lambda r, now_s, act: Answer(422 if r.startswith("POST") else 200, {}))

    record = world.record(probe)

    assert [debt.state for debt in record.debts] == ["closed"]
    assert world.requests() == ["POST /o", "FIND /o"]


def test_a_retry_with_the_same_key_is_one_debt() -> None:
    shop = Shop(lose=0.0)
    answers = iter([Answer(503), None])
    probe = journey(
        step(
            "order",
            "POST /o",
            save={"id": "body.id"},
            undo="DELETE /o/${order.id}",
            retry=Retry(1, frozenset({"5xx"})),
            repeatable=True,
        )
    )

    record = World(lambda r, now_s, act: next(answers, None) or shop(r, now_s, act)).record(probe)

    assert (len(record.debts), shop.things, len(shop.effects)) == (1, {}, 1)


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([204, 404], "closed"),
        ([404, 404], "closed"),
        ([410, 410], "closed"),
        ([409, 204, 404], "closed"),
        ([500, 204, 404], "closed"),
        ([None, 204, 404], "closed"),
        ([200, 200, 200, 200, 200, 200, 200], "owed"),
        ([500, 500, 500, 500], "owed"),
    ],
)
def test_a_debt_is_closed_only_by_verified_absence(answers: list[int | None], state: str) -> None:
    left = list(answers)
    probe = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}"))

    def target(request: str, now_s: float, act: Do) -> Answer | None:
        if request.startswith("POST"):
            return Answer(201, {"id": "7"})
        status = left.pop(0) if len(left) > 1 else left[0]
        return Answer(status) if status else None

    record = World(target).record(probe)

    assert [debt.state for debt in record.debts] == [state]
    assert record.outcome is Outcome.PASSED  # an open debt does not change the verdict


def test_a_deletion_that_lies_is_seen_by_gone() -> None:
    probe = journey(
        step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", gone="GET /o/${order.id}")
    )

    record = World(lambda r, now_s, act: Answer(200, {"id": "7"})).record(probe)

    assert [debt.state for debt in record.debts] == ["owed"]


def test_unchecked_trusts_the_undo() -> None:
    probe = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", unchecked=True))
    world = World(lambda r, now_s, act: Answer(200, {"id": "7"}))

    record = world.record(probe)

    assert [debt.state for debt in record.debts] == ["closed"]
    assert len(world.requests()) == 2


def test_an_undo_that_fails_does_not_stop_the_others() -> None:
    shop = Shop()
    probe = journey(
        step("a", "POST /a", save={"id": "body.id"}, undo="DELETE /a/${a.id}"),
        step("b", "POST /b", save={"id": "body.id"}, undo="DELETE /b/${b.id}"),
    )
    world = World(lambda r, now_s, act: Answer(500) if r.startswith("DELETE /b") else shop(r, now_s, act))

    record = world.record(probe)

    assert {debt.path: debt.state for debt in record.debts} == {"a": "closed", "b": "owed"}


def test_an_effect_in_doubt_stays_owed_until_its_time_to_live_is_over() -> None:
    probe = journey(
        step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", find="FIND /o", ttl=60)
    )
    world = World(lambda r, now_s, act: None if r.startswith("POST") else Answer(200, {}))
    world.run(probe)

    early, late = world.recover(probe, at_s=30), world.recover(probe, at_s=70)

    assert [debt.state for debt in early.debts] == ["owed"]
    assert [debt.state for debt in late.debts] == ["expired"]


def test_a_late_effect_is_found_by_the_next_process_and_taken_back() -> None:
    shop = Shop()
    probe = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", find="FIND /o"))
    world = World(lambda r, now_s, act: None if r.startswith("POST") else shop(r, now_s, act))
    world.run(probe)
    shop.things["late"] = "/o"  # the request was on its way all the time

    world.recover(probe, at_s=20)

    assert (shop.things, world.open_intents()) == ({}, [])


def test_an_undo_by_reference_does_not_believe_in_absence_while_the_create_may_be_on_its_way() -> None:
    probe = journey(step("order", "POST /o", undo="DELETE /o/${vars.ref}", ttl=60), vars={"ref": "r"})
    there: list[str] = []

    def target(request: str, now_s: float, act: Do) -> Answer | None:
        if request.startswith("POST"):
            return None
        gone = not there
        there.clear()
        return Answer(404 if gone else 204)

    world = World(target)
    first = world.run(probe)
    there.append("it came late")
    second = world.recover(probe, at_s=30)

    assert [debt.state for debt in first.debts] == ["owed"]
    assert ([debt.state for debt in second.debts], there) == (["closed"], [])


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize("lose", [0.0, 0.3])
def test_no_interrupted_or_killed_run_leaves_an_orphan_that_nobody_owes(repeatable: bool, lose: float) -> None:
    """Also: no core is stuck, and one with no lossy target has paid everything in the end."""
    probe = buying(repeatable)
    for seed in range(150):
        for when in (
            {"kill_s": seed / 300},
            {"term_s": seed / 300},
            {"term_s": seed / 300, "kill_s": seed / 300 + 0.1},
        ):
            shop = Shop(seed, lose, slowest_s=0.3)
            world = World(shop)
            world.run(probe, **when)
            orphans_with_debts = len(world.open_intents())
            assert len(shop.things) <= orphans_with_debts, (seed, when)

            shop.lose = 0.0
            world.recover(probe)
            assert not shop.things, (seed, when)
            assert len(shop.effects) == len(set(shop.effects)), (seed, when)


def test_without_the_journal_a_kill_does_leave_orphans() -> None:
    """The test above can fail: without intents in the journal, it does."""
    orphans = 0
    for seed in range(60):
        shop = Shop(seed, slowest_s=0.3)
        world = World(shop)
        world.run(buying(), kill_s=seed / 100)
        world.journal.clear()
        world.recover(buying())
        orphans += len(shop.things)

    assert orphans > 0
