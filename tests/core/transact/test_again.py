"""A run sent once more with its old keys is judged by what is there behind it, and by nothing that it was answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from synthmon.core.acts import Do
from synthmon.core.journey import Journey, Step
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Original, Record, Run
from synthmon.core.secrets import MASK, Vault
from synthmon.core.transact.again import Again, CannotTell, judged_again, names_of, twice
from synthmon.core.transact.verdict import record as record_of
from synthmon.core.undo.intents import Intent, OpenRun
from synthmon.core.undo.owed import debts_of, head_of, run_of
from tests.core.scripted import START, Answer, World, journey, step

FIRST, SECOND = "ab" * 16, "cd" * 16


@dataclass
class Shop:
    """Makes an order for each key, or for each request; answers a used key in its own way."""

    heeds: bool = True
    repeated: Callable[[int], Answer] = lambda made: Answer(201, {"id": made})
    down: bool = False
    there: set[int] = field(default_factory=set)
    keys: dict[str, int] = field(default_factory=dict)

    def answer(self, request: str, now_s: float, act: Do) -> Answer:
        if self.down and not request.startswith("POST"):
            return Answer(503)
        verb, _, rest = request.partition(" ")
        if verb == "POST":
            assert act.key is not None
            if self.heeds and act.key in self.keys:
                return self.repeated(self.keys[act.key])
            made = self.keys[act.key] = len(self.keys) + len(self.there) + 1
            self.there.add(made)
            return Answer(201, {"id": made})
        if verb == "FIND":
            return Answer(200, {"id": min(self.there)} if self.there else {})
        number = int(rest.rpartition("/")[2])
        if verb == "GET":
            return Answer(200 if number in self.there else 404)
        gone = number in self.there
        self.there.discard(number)
        return Answer(204 if gone else 404)


def ordering(**how: Any) -> Journey:
    how = {"save": {"id": "body.id"}, "undo": "DELETE /o/${order.id}", **how}
    return journey(step("order", "POST /o", **how), step("read", "GET /o/${order.id}", knows=("order.id",)))


def first_run(shop: Shop, made: Journey) -> Record:
    return World(shop.answer).record(made)


def again(shop: Shop, made: Journey, record: Record) -> tuple[Record, World]:
    was = Run(FIRST, made.name, made.digest, START, START)
    run = Run(SECOND, made.name, made.digest, START, START, again=Original(was, names_of(record)))
    core = Again(twice(made, record).journey, run, {"identity.email": "a@example.com"}, Vault({}), 0.0)
    world = World(shop.answer)
    world.opened = lambda: core.opened("http://shop")
    world.drive(core, core.start(), None)
    return judged_again(core, record_of(core)), world


FORMS = {
    "by the answer of the undo": {},
    "by find": {"find": "FIND /o"},
    "by gone": {"gone": "GET /o/${order.id}"},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_used_key_that_makes_nothing_passes(form: str) -> None:
    shop, made = Shop(), ordering(**FORMS[form])
    record = first_run(shop, made)

    told, world = again(shop, made, record)

    assert (told.outcome, told.reason, told.message) == (Outcome.PASSED, Reason.NONE, "")
    assert [act.key for act in world.acts if isinstance(act, Do) and act.request == "POST /o"] == [f"{FIRST}-order"]
    assert not world.open_intents()


@pytest.mark.parametrize("form", FORMS)
def test_a_second_effect_is_red_and_is_taken_back(form: str) -> None:
    shop, made = Shop(heeds=False), ordering(**FORMS[form])
    record = first_run(shop, made)

    told, world = again(shop, made, record)

    assert (told.outcome, told.reason, told.step) == (Outcome.FAILED, Reason.DUPLICATE, "order")
    assert told.message.startswith("a second effect: what order makes is there again")
    assert not shop.there
    assert not world.open_intents()


@pytest.mark.parametrize("status", [200, 409, 422])
def test_a_used_key_may_be_answered_in_any_way(status: int) -> None:
    shop, made = Shop(repeated=lambda _: Answer(status, {"fault": "used"})), ordering(find="FIND /o")
    record = first_run(shop, made)

    told, _ = again(shop, made, record)

    assert told.outcome is Outcome.PASSED, told.message


@pytest.mark.parametrize("form", FORMS)
def test_where_nobody_can_look_it_is_unknown_and_neither_passed_nor_failed(form: str) -> None:
    shop, made = Shop(), ordering(**FORMS[form])
    record = first_run(shop, made)
    shop.down = True

    told, _ = again(shop, made, record)

    assert (told.outcome, told.reason) == (Outcome.UNKNOWN, Reason.EVIDENCE)
    assert told.message == "whether order had a second effect could not be seen"


def test_a_killed_one_is_repaid_under_the_names_that_it_sent() -> None:
    shop, made = Shop(heeds=False), ordering(find="FIND /o")
    record = first_run(shop, made)
    _, world = again(shop, made, record)
    dead = OpenRun(SECOND, tuple(world.journal))
    head = head_of(dead)
    assert head is not None

    run = run_of(SECOND, head)
    (intent,) = [entry for entry in world.journal if isinstance(entry, Intent)]

    assert run.again is not None
    assert (run.id, run.again.run.id, run.keys) == (SECOND, FIRST, FIRST)
    assert run.namespace == intent.tag == Run(FIRST, "", "", START, START).namespace
    assert intent.key == f"{FIRST}-order"
    assert "order.id" not in intent.values  # the first one's id would lead past what was made now


def test_only_writes_that_held_are_sent_again() -> None:
    made = journey(
        step("one", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${one.id}"),
        step("two", "POST /o", expect=("status == 200",)),
    )
    record = first_run(Shop(), made)

    sent = twice(made, record)

    assert [one.id for one in sent.journey.flat] == ["one"]
    assert sent.left_out == ("two did not hold then: nobody knows what its key stands for",)
    assert sent.journey.flat[0].expect == ()


def test_what_a_first_run_still_owes_would_look_like_a_second_effect() -> None:
    made = ordering()
    record = first_run(Shop(), made)
    owing = replace(record, debts=tuple(replace(debt, state="owed") for debt in record.debts))

    with pytest.raises(CannotTell, match="synthmon debts --pay"):
        twice(made, owing)


def test_an_unchecked_undo_tells_nothing() -> None:
    made = ordering(unchecked=True)
    record = first_run(Shop(), made)

    with pytest.raises(CannotTell, match="Give its undo a `gone:`"):
        twice(made, record)


def test_what_was_masked_is_no_name_of_the_second_run() -> None:
    record = first_run(Shop(), ordering())
    secretive = replace(record, vars={"token": f"Bearer {MASK}", "number": 7})

    names = names_of(secretive)

    assert names["vars.number"] == 7
    assert "vars.token" not in names


def test_the_debts_of_one_are_found_by_its_old_keys() -> None:
    shop, made = Shop(heeds=False), ordering(find="FIND /o")
    _, world = again(shop, made, first_run(shop, made))

    unsettled = tuple(entry for entry in world.journal if isinstance(entry, Intent) or hasattr(entry, "journey"))
    (debt,) = debts_of(OpenRun(SECOND, unsettled), made)

    assert isinstance(debt.step, Step)
    assert debt.key == f"{FIRST}-order"
    assert debt.missing == {"order.id"}


def test_a_deadline_that_passes_before_a_second_effect_would_show_is_no_pass() -> None:
    shop = Shop(heeds=False)
    made = ordering(gone="GET /o/${order.id}")
    first = first_run(shop, made)

    second, _ = again(shop, replace(made, deadline_s=1.0), first)

    assert (second.outcome, second.reason) == (Outcome.FAILED, Reason.DEADLINE)
