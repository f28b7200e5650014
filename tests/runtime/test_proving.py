"""With one fault after the other a journey is proved: it turns red on what it looks at, and the rest is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from synthmon.core.proof.faults import Fault, Finding, writes_from
from synthmon.runtime.proving import CannotProve, open_prover
from tests.runtime.proved_shop import SECRET, SETTINGS, SmallShop, ends, journey, proved, small_shop, trial

READ_BACK = """
  - id: there
    http: GET /orders
    params: {tag: "${vars.tag}"}
    timeout: 3s
    within: 2s after order
    expect:
      - status == 200
      - body.count == 1
      - body.orders[0].id == order.id
      - body.orders[0].tag == vars.tag
      - body.orders[0].amount == "12.50"
      - body.orders[0].currency == "EUR"
"""
LOOKS = """
      - body.tag == vars.tag
      - body.amount == "12.50"
      - body.currency == "EUR"
"""
TOLD = """
  - id: told
    hook: POST
    reply: {status: 204}
    within: 2s after order
    settle: 500ms
    expect:
      - count == 1
      - message.json.orderId == order.id
      - message.json.tag == vars.tag
"""
BOOKED = """
  - id: booked
    query: books
    sql: SELECT amount FROM books WHERE tag = :tag
    params: {tag: "${vars.tag}"}
    expect:
      - count == 1
      - rows[0].amount == "12.50"
"""
PROMISES = """
events:
  taken: {from: logs, step: taken, status: ok}
  packed: {from: logs, step: packed, status: ok}
  broken: {from: logs, where: 'event.status == "error"'}
verify:
  within: 600ms
  expect:
    - before: [taken, packed]
    - happens: packed
      within: 2s after order
    - once: taken
    - once: packed
    - never: broken
"""


@pytest.fixture
def shop(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallShop]:
    monkeypatch.setenv("PROVED_TOKEN", SECRET)
    with small_shop(httpserver, tmp_path) as made:
        yield made


def test_a_journey_that_looks_closely_turns_red_on_every_fault_of_a_write(shop: SmallShop) -> None:
    proof = proved(shop.load(journey("close", READ_BACK, LOOKS)))

    assert not proof.halted
    assert proof.of(Finding.MISSED) == (), ends(proof)
    assert proof.of(Finding.BLIND) == ()
    dropped = trial(proof, "order", Fault.DROP)
    assert dropped.finding is Finding.CAUGHT
    assert dropped.said.startswith("there: ")  # and not at the write itself: that was answered as ever
    assert trial(proof, "order", Fault.DELAY).said.startswith("order: ")
    assert shop.orders == {}


def test_a_journey_that_asks_for_a_status_alone_is_shown_as_a_false_green(shop: SmallShop) -> None:
    proof = proved(shop.load(journey("weak")))

    assert trial(proof, "order", Fault.DROP).finding is Finding.MISSED
    assert "read back what order made" in trial(proof, "order", Fault.DROP).remedy
    currency = trial(proof, "order", Fault.BODY, "currency changed")
    assert (currency.finding, currency.said) == (Finding.MISSED, "nothing looks at currency")
    assert currency.remedy == f'add `- body.currency == "EUR"` to {shop.folder}/probe.yaml:14'
    assert trial(proof, "order", Fault.BODY, "tag changed").remedy.startswith("add `- body.tag == vars.tag` to ")
    assert trial(proof, "order", Fault.BODY, "seq changed").finding is Finding.EQUIVALENT
    assert trial(proof, "order", Fault.ERROR).finding is Finding.CAUGHT


def test_a_write_that_is_dropped_does_not_leave_and_owes_nothing(shop: SmallShop) -> None:
    proof = proved(shop.load(journey("close", READ_BACK, LOOKS)), Fault.DROP)

    assert [str(one.finding) for one in proof.trials] == ["caught"]
    assert shop.ever == 2  # the two good runs
    assert len(shop.writes("DELETE")) == 2  # what was never made is not taken back by an id of another run
    assert shop.orders == {}


def test_what_is_written_is_taken_back_for_true_whatever_the_journey_was_told(shop: SmallShop) -> None:
    loaded = shop.load(journey("told-wrongly", READ_BACK.replace("      - body.orders[0].id == order.id\n", "")))

    proof = proved(loaded, Fault.BODY)

    wrong_id = trial(proof, "order", Fault.BODY, "id changed")
    assert not wrong_id.by_rule  # what it saved is what is taken back, so a run had to tell
    assert wrong_id.finding is Finding.MISSED
    assert shop.orders == {}
    assert not [path for path in shop.writes("DELETE") if "falsified" in path]


def test_a_delete_that_is_dropped_leaves_the_thing_to_be_taken_back(shop: SmallShop) -> None:
    removal = """
  - id: removal
    http: DELETE /orders/${order.id}
    leaves: nothing
    expect: [status == 204]
"""
    weak = proved(shop.load(journey("removed", removal)), Fault.DROP)
    assert trial(weak, "removal", Fault.DROP).finding is Finding.MISSED
    assert shop.orders == {}

    gone = """
  - id: gone
    http: GET /orders/${order.id}
    expect: [status == 404, 'body.error == "not_found"']
"""
    close = proved(shop.load(journey("removed", removal + gone)), Fault.DROP)
    assert trial(close, "removal", Fault.DROP).finding is Finding.CAUGHT
    assert shop.orders == {}


@pytest.mark.parametrize(
    "kinds",
    [(Fault.ERROR, Fault.STALE), pytest.param((Fault.BODY,), marks=pytest.mark.torture)],
    ids=["answers", "fields"],
)
def test_what_a_rule_tells_a_run_tells_too(kinds: tuple[Fault, ...], shop: SmallShop) -> None:
    loaded = shop.load(journey("close", READ_BACK.replace("2s after", "600ms after"), LOOKS))

    by_rule = proved(loaded, *kinds)
    by_run = proved(loaded, *kinds, rehearse=False)

    assert any(one.by_rule for one in by_rule.of(Finding.CAUGHT))
    assert all(one.no_run for one in by_run.of(Finding.CAUGHT) if one.by_rule)
    assert ends(by_run) == ends(by_rule)
    assert shop.orders == {}


def test_calls_that_are_lost_late_doubled_or_old_turn_a_journey_red_that_waits_for_them(shop: SmallShop) -> None:
    kinds = (Fault.DROP, Fault.DELAY, Fault.DUPLICATE, Fault.STALE, Fault.BODY)

    proof = proved(shop.load(journey("told", TOLD.replace("2s after", "1s after"), LOOKS, notify=True)), *kinds)

    told = {one.injection.fault: one for one in proof.trials if one.injection.at == "told"}
    assert {Fault.DROP, Fault.DELAY, Fault.DUPLICATE, Fault.STALE, Fault.BODY} == told.keys()
    assert {str(one.finding) for one in proof.trials if one.injection.at == "told"} == {"caught"}, ends(proof)


def test_a_journey_that_does_not_stay_for_a_second_call_misses_it(shop: SmallShop) -> None:
    proof = proved(shop.load(journey("told", TOLD.replace("    settle: 500ms\n", ""), notify=True)), Fault.DUPLICATE)

    twice = trial(proof, "told", Fault.DUPLICATE)
    assert twice.finding is Finding.MISSED
    assert "settle: 1s" in twice.remedy


def test_records_that_are_lost_late_doubled_swapped_or_say_error_break_their_promises(shop: SmallShop) -> None:
    proof = proved(shop.load(journey("promised", tail=PROMISES)), *set(Fault) - {Fault.BODY, Fault.STALE})

    logs = {f"{t.injection.at} {t.injection.fault}": str(t.finding) for t in proof.trials if "/" in t.injection.at}
    assert logs.keys() == {
        *(f"logs/{event} {fault}" for event in ("taken", "packed") for fault in ("drop", "delay", "duplicate")),
        "logs/taken error",
        "logs/taken reorder",
    }
    assert logs.pop("logs/taken delay") == "caught"
    assert set(logs.values()) == {"caught"}, ends(proof)


def test_an_order_that_nothing_promises_is_told_with_the_clause_that_would(shop: SmallShop) -> None:
    loose = PROMISES.replace("    - before: [taken, packed]\n", "")

    proof = proved(shop.load(journey("promised", tail=loose)), Fault.REORDER)

    swapped = trial(proof, "logs/taken", Fault.REORDER)
    assert swapped.finding is Finding.MISSED
    assert "- before: [taken, packed]" in swapped.remedy


def test_rows_that_are_wrong_are_seen_and_a_database_that_refuses_leaves_the_journey_blind(shop: SmallShop) -> None:
    proof = proved(shop.load(journey("booked", BOOKED)))

    rows = {t.injection.text: str(t.finding) for t in proof.trials if t.injection.at == "booked"}
    assert rows.pop("it is refused, or ends in an error") == "blind"
    assert rows.pop("the answer of another run") == "equivalent"  # the same amount in each
    assert set(rows.values()) == {"caught"}, rows
    assert {"rows[].amount changed", "rows empty", "rows with its last entry twice"} <= rows.keys()


def test_a_journey_that_is_red_without_a_fault_is_not_proved(shop: SmallShop) -> None:
    with pytest.raises(CannotProve, match=r"wrong is failed without a fault: order: .*body.amount"):
        proved(shop.load(journey("wrong", more='      - body.amount == "13.00"')))

    assert shop.orders == {}


def test_a_system_that_may_not_be_written_to_is_not_proved_either(shop: SmallShop) -> None:
    loaded = shop.load(journey("forbidden"), SETTINGS.replace("writes: true", "writes: false"))

    assert [problem.code for problem in loaded.errors] != []
    assert shop.log == []


def test_over_budget_the_rest_is_not_tried(shop: SmallShop) -> None:
    settings = SETTINGS.replace("writes: true", "writes: true, budget: {runs: 3/h}")

    proof = proved(shop.load(journey("close", READ_BACK, LOOKS), settings), Fault.DROP, Fault.DELAY)

    assert "budget" in proof.halted
    assert [str(one.finding) for one in proof.trials] == ["caught", "None", "caught"]  # the last is told by rule


def test_what_is_taken_back_by_another_run_s_id_is_not_written_at_all(shop: SmallShop) -> None:
    by_id = """
  - id: found
    http: GET /orders
    params: {tag: "${vars.tag}"}
    expect: [status == 200, size(body.orders) == 1]
    save: {id: "body.orders[0].id"}
  - id: second
    http: POST /orders
    json: {tag: "${vars.tag}-two", amount: "1.00"}
    expect: [status == 201]
    undo:
      http: DELETE /orders/${found.id}
      ttl: 1h
"""
    loaded = shop.load(journey("by-id", by_id))

    assert writes_from(loaded.journeys[0], "found") == {"second"}
    assert writes_from(loaded.journeys[0], "order") == {"order"}


def test_where_everything_is_stopped_nothing_is_run(shop: SmallShop) -> None:
    stop = shop.folder / "stop"
    stop.touch()

    with pytest.raises(CannotProve, match="paused"):
        proved(shop.load(journey("weak"), f"{SETTINGS}stop_file: {stop}\n"))

    assert shop.log == []


async def test_stopped_in_the_middle_by_a_file_it_takes_back_what_it_made(shop: SmallShop) -> None:
    slow = READ_BACK.replace("2s after", "60s after")
    stop = shop.folder / "stop"
    loaded = shop.load(
        journey("slow", slow).replace("deadline: 20s", "deadline: 90s"), f"{SETTINGS}stop_file: {stop}\n"
    )
    (only,) = loaded.journeys

    async with open_prover(loaded.journeys, loaded.settings, "memory:") as prover:
        goods = await prover.good_runs(only)
        trials = [one for one in prover.plan(only, goods, (Fault.ERROR,)) if one.injection.at == "there"]
        proving = asyncio.create_task(prover.prove(only, goods, [*trials, *trials], rehearse=False))
        async with asyncio.timeout(60):
            await asyncio.to_thread(shop.until_taken, 3)  # the run whose looks are answered 500 waits for a minute
            stop.touch()
            proof = await proving

    assert "paused" in proof.halted
    assert [one.finding for one in proof.trials] == [None, Finding.CAUGHT]
    assert shop.ever == 3
    assert shop.orders == {}


def test_no_secret_stands_in_what_is_told(shop: SmallShop) -> None:
    shop.echoes = True

    proof = proved(shop.load(journey("echoed")))

    told = repr(proof)
    assert trial(proof, "order", Fault.BODY, "key changed").finding is Finding.MISSED
    assert SECRET not in told
    assert SECRET[::-1] not in told
