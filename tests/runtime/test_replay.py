"""A replay sends what the run sent, under names of its own, where that is allowed, and no more than was asked for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.replaying import NotNow, Refused, Wish
from synthmon.core.run import DebtRecord, Record
from synthmon.core.spending import Spend
from synthmon.core.status import Busy
from synthmon.core.transact.again import CannotTell, twice
from synthmon.language.load import load
from synthmon.runtime.house import open_house
from synthmon.runtime.pauses import open_pauses
from synthmon.runtime.replay import alone
from synthmon.runtime.replay_plan import BUDGET, prepare
from synthmon.runtime.runner import REPLAY, Runner
from tests.acceptance.daemon import environment, wait_for
from tests.acceptance.things import Things, serving_things
from tests.runtime.replaying import ALLOWED, JOURNEY, Forgetful, Scene


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def scene(tmp_path: Path, things: Things) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    with serving_things(things) as url:
        scene.lay_out(url)
        yield scene


def writes(things: Things) -> list[dict[str, str]]:
    """The headers of each POST, in order."""
    return [headers for method, _, headers in things.requests if method == "POST"]


def command(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "synthmon", *words, "--settings", "synthmon.yaml", "--store", scene.store]
    return subprocess.run(
        asked, cwd=scene.folder, env=environment(), capture_output=True, text=True, timeout=180, check=False
    )


def started(scene: Scene, *words: str) -> subprocess.Popen[bytes]:
    asked = [sys.executable, "-m", "synthmon", *words, "--settings", "synthmon.yaml", "--store", scene.store]
    return subprocess.Popen(
        asked, cwd=scene.folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


# as it was ------------------------------------------------------------------------------------------------------------


async def test_a_replay_has_the_seed_of_the_run_and_a_run_id_an_identity_and_keys_of_its_own(
    scene: Scene, things: Things
) -> None:
    first = await scene.run()

    (again,) = await scene.replay(first.run_id)

    assert (again.outcome, again.cause, again.replay_of) == (Outcome.PASSED, "replay", first.run_id)
    assert again.run_id != first.run_id
    assert again.vars["number"] == first.vars["number"]  # digits() give what they gave
    assert again.vars["reference"] != first.vars["reference"]
    assert again.identity["name"] == first.identity["name"]
    assert again.identity["email"] != first.identity["email"]
    keys = [headers["idempotency-key"] for headers in writes(things)]
    assert keys == [f"{first.run_id}-one", f"{again.run_id}-one"]
    assert not things.left()


async def test_a_replay_tells_in_its_baggage_what_it_replays_and_another_run_tells_nothing(
    scene: Scene, things: Things
) -> None:
    first = await scene.run()

    await scene.replay(first.run_id)

    ordinary, replayed = (headers["baggage"] for headers in writes(things))
    assert f"synthmon.replay_of={first.run_id}" in replayed.split(",")
    assert "synthmon.replay_of" not in ordinary


async def test_a_replay_of_a_replay_has_the_seed_of_the_first_run(scene: Scene) -> None:
    first = await scene.run()
    (second,) = await scene.replay(first.run_id)

    (third,) = await scene.replay(second.run_id)

    assert third.replay_of == second.run_id
    assert third.vars["number"] == first.vars["number"]


async def test_the_version_that_ran_is_replayed_although_the_journey_has_changed(scene: Scene, things: Things) -> None:
    first = await scene.run()
    file = scene.folder / "probes/making.yaml"
    file.write_text(JOURNEY.replace('number: "${vars.number}"', 'number: "changed"'))

    plan = await scene.plan(first.run_id)

    assert plan.journey.digest == first.version
    assert plan.notes == (f"the journey has changed since: this is version {first.version[:12]}, as it ran",)


async def test_where_the_version_that_ran_is_not_kept_the_plan_says_that_another_one_is_sent(scene: Scene) -> None:
    first = await scene.run()
    with sqlite3.connect(scene.folder / "store-journal.db") as journal:
        journal.execute("DELETE FROM texts")
    (scene.folder / "probes/making.yaml").write_text(JOURNEY.replace("1m", "2m"))

    plan = await scene.plan(first.run_id)

    assert "is not kept any more: this is version" in plan.notes[0]
    assert first.version[:12] in plan.notes[0]


# what is refused ------------------------------------------------------------------------------------------------------


async def test_a_system_that_does_not_allow_it_is_named_with_its_place_and_the_remedy(tmp_path: Path) -> None:
    things, scene = Things(), Scene(tmp_path)
    with serving_things(things) as url:
        scene.lay_out(url, more="")
        first = await scene.run()

        with pytest.raises(Refused) as refused:
            await scene.plan(first.run_id)

    place = f"{tmp_path / 'synthmon.yaml'}:3:3 systems.things"
    assert str(refused.value) == (
        f"{place}  Runs are not replayed against things. Add `replay: allow` to the system if it may be used like that."
    )


async def test_what_is_no_run_of_ours_is_never_sent_again(scene: Scene) -> None:
    await scene.run()

    with pytest.raises(Refused, match="synthmon investigate 4bf92f3577b34da6a3ce929d0e0e4736"):
        await scene.plan("4bf92f3577b34da6a3ce929d0e0e4736")


async def test_the_twenty_first_in_an_hour_is_refused_and_a_plan_for_more_than_is_left_too(
    scene: Scene, things: Things
) -> None:
    first = await scene.run()
    async with open_house(scene.store) as house:
        await house.spending.spend([Spend(BUDGET, 19)], house.clock.now())

    with pytest.raises(Refused, match=r"19 of 20 replays an hour were made, and this takes 2 more"):
        await scene.plan(first.run_id, times=2)
    await scene.replay(first.run_id)
    with pytest.raises(Refused, match="20 of 20 replays an hour"):
        await scene.plan(first.run_id)
    assert len(writes(things)) == 2


async def test_two_at_once_are_refused_the_second_until_the_first_is_over(scene: Scene, things: Things) -> None:
    first = await scene.run()
    plan = await scene.plan(first.run_id)

    async with open_house(scene.store) as house, alone(house):
        with pytest.raises(Refused, match="another replay is going on"):
            await scene.make(plan)
    (record,) = await scene.make(plan)

    assert record.outcome is Outcome.PASSED
    assert len(writes(things)) == 2  # the first run's, and that of the replay that was let through


async def test_while_everything_or_its_journey_is_paused_nothing_is_replayed(scene: Scene, things: Things) -> None:
    first = await scene.run()
    plan = await scene.plan(first.run_id)
    async with open_house(scene.store) as house:
        pauses = open_pauses(scene.load().settings, house.beside)

    for name in (None, "making"):
        pauses.pause(name)
        with pytest.raises(Refused, match="making is paused"):
            await scene.plan(first.run_id)
        with pytest.raises(Refused, match="paused"):  # it was thrown after the plan was made
            await scene.make(plan)
        pauses.resume(None)

    assert len(writes(things)) == 1


async def test_in_a_quiet_window_nothing_is_replayed(scene: Scene, things: Things) -> None:
    first = await scene.run()
    plan = await scene.plan(first.run_id)
    file = scene.folder / "synthmon.yaml"
    file.write_text(f'quiet: [{{cron: "* * * * *", for: 2m, journeys: [mak*]}}]\n{file.read_text()}')

    with pytest.raises(NotNow, match=r"making is in a quiet window now.* Wait until it is over\."):
        await scene.plan(first.run_id)
    with pytest.raises(NotNow, match="quiet window"):  # it began after the plan was made
        await scene.make(plan)

    assert len(writes(things)) == 1


async def test_the_guard_holds_for_a_replay(scene: Scene, things: Things) -> None:
    first = await scene.run()
    url = scene.load().settings.systems["things"].base_at("")
    scene.lay_out(url, more=f"{ALLOWED}, allow: [elsewhere.example.com]")

    (record,) = await scene.replay(first.run_id)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED)
    assert len(writes(things)) == 1


async def test_a_stop_file_is_told_with_its_name_for_resume_would_not_help(scene: Scene) -> None:
    first = await scene.run()
    file, stop = scene.folder / "synthmon.yaml", scene.folder / "STOP"
    file.write_text(f"stop_file: {stop}\n{file.read_text()}")
    stop.touch()

    with pytest.raises(Refused, match=rf"the file {stop} stops everything, replays too\. Remove it first\."):
        await scene.plan(first.run_id)


@pytest.mark.parametrize("letters", ["\U0010ffff" * 8, "\udcff" * 8, "\x00" * 8, "%" * 8])
async def test_what_no_run_id_can_hold_is_no_run(scene: Scene, letters: str) -> None:
    await scene.run()

    with pytest.raises(Refused, match="is no run in this store"):
        await scene.plan(letters)


async def test_a_run_against_a_system_that_has_another_name_now_is_refused_and_the_plan_says_what_is_missing(
    scene: Scene,
) -> None:
    first = await scene.run()
    file = scene.folder / "synthmon.yaml"
    file.write_text(file.read_text().replace("  things: {", "  stuff: {"))
    loaded = load([scene.folder / "probes"], [file])

    async with open_house(scene.store) as house:
        with pytest.raises(Refused, match=r"is kept, but a system, .* is not in the settings any more"):
            await prepare(Wish(first.run_id), loaded, house)
        (scene.folder / "probes/making.yaml").write_text(JOURNEY.replace("system: things", "system: stuff"))
        plan = await prepare(Wish(first.run_id), scene.load(), house)

    assert "does not fit the settings of today: this is version" in plan.notes[0]


@pytest.mark.parametrize("same_keys", [False, True])
async def test_where_the_system_has_another_address_now_the_plan_says_so_and_old_values_are_not_sent_there(
    scene: Scene, things: Things, same_keys: bool
) -> None:
    first = await scene.run()
    elsewhere = Things()

    with serving_things(elsewhere) as url:
        scene.lay_out(url)
        if same_keys:
            with pytest.raises(Refused, match="keys belong to requests word for word"):
                await scene.plan(first.run_id, same_keys=True)
        else:
            plan = await scene.plan(first.run_id)
            assert plan.notes == (
                f"the text is that of version {first.version[:12]}, but a file that it calls, or the settings, have "
                "changed since",
            )

    assert not elsewhere.requests


async def test_same_keys_and_an_order_are_not_asked_together(scene: Scene) -> None:
    first = await scene.run()

    with pytest.raises(Refused, match="two questions"):
        await scene.plan(first.run_id, same_keys=True, order="b<a")


async def test_a_replay_stands_beside_the_runs_on_schedule_and_no_slot_is_missed_for_it(
    scene: Scene, things: Things
) -> None:
    things.slowest_s = 1.0
    loaded, records = scene.load(), asyncio.Queue[Record]()
    (journey,) = loaded.journeys
    async with open_house(scene.store) as house:
        lent, _ = house.lend(loaded.settings)
        runner = Runner(lent, house.journal, house.history, house.clock, lambda record, _: records.put_nowait(record))

        runner.run_now(journey, REPLAY)
        with pytest.raises(Busy):
            runner.run_now(journey, REPLAY)
        running = runner.is_running(journey.name)
        await runner.fill(journey, house.clock.now(), house.clock.now())
        ended = {record.cause: record.outcome for record in [await records.get(), await records.get()]}
        await runner.stop(30)

    assert not running
    assert ended == {"replay": Outcome.PASSED, "schedule": Outcome.PASSED}
    assert not things.left()


# with the old keys ----------------------------------------------------------------------------------------------------


async def test_a_target_that_heeds_keys_sees_the_same_request_twice_and_makes_nothing_more(
    scene: Scene, things: Things
) -> None:
    first = await scene.run()

    (again,) = await scene.replay(first.run_id, same_keys=True)

    assert (again.outcome, again.message) == (Outcome.PASSED, "")
    then, now = writes(things)
    assert now["idempotency-key"] == then["idempotency-key"] == f"{first.run_id}-one"
    assert now["traceparent"] != then["traceparent"]
    assert sum(things.made.values()) == 1
    assert (again.vars, again.identity) == (first.vars, first.identity)
    assert [(check.text, check.ok) for check in again.verify] == [("no second effect of one", True)]


async def test_a_target_that_ignores_keys_is_red_and_the_second_effect_is_taken_back(tmp_path: Path) -> None:
    things, scene = Forgetful(), Scene(tmp_path)
    with serving_things(things) as url:
        scene.lay_out(url)
        first = await scene.run()

        (again,) = await scene.replay(first.run_id, same_keys=True)

    assert (again.outcome, again.reason) == (Outcome.FAILED, Reason.DUPLICATE)
    assert again.message.startswith("a second effect: what one makes is there again")
    assert sum(things.made.values()) == 2
    assert not things.left()


async def test_instants_and_durations_among_its_variables_are_sent_again_word_for_word(
    scene: Scene, things: Things
) -> None:
    more = "vars:\n  hour: ${duration('1h')}\n  until: ${run.started + vars.hour}\n"
    dated = JOURNEY.replace("vars:\n", more).replace(
        'by: "${identity.name}"', 'by: "${vars.until}, ${vars.hour}, ${string(vars.until.getFullYear())}"'
    )
    scene.lay_out(scene.load().settings.systems["things"].base_at(""), journey=dated)
    first = await scene.run()

    (again,) = await scene.replay(first.run_id, same_keys=True)

    assert (again.outcome, again.message) == (Outcome.PASSED, "")
    then, now = writes(things)
    assert now["content-length"] == then["content-length"]


async def test_a_run_whose_writes_failed_has_nothing_to_be_sent_twice(scene: Scene, things: Things) -> None:
    things.fault = "error"
    first = await scene.run()
    assert first.outcome is not Outcome.PASSED
    things.fault = ""

    with pytest.raises(Refused, match=r"no write of run .* held"):
        await scene.plan(first.run_id, same_keys=True)


async def test_a_run_that_left_something_behind_is_not_sent_twice_and_the_remedy_helps(scene: Scene) -> None:
    first = await scene.run()
    owing = replace(first, debts=(DebtRecord("one", "what one made", "owed"),))  # a record stays as the run left it
    (journey,) = scene.load().journeys

    with pytest.raises(CannotTell, match=r"was not known to be gone when run .* Replay a run whose clean-up is whole"):
        twice(journey, owing)


async def test_a_write_whose_second_effect_nobody_could_see_is_refused_with_the_remedy(
    scene: Scene, things: Things
) -> None:
    undo = JOURNEY[JOURNEY.index("    undo:") : JOURNEY.index("    repeatable: true\n")]
    blind = JOURNEY.replace(undo, "    leaves: a thing\n").replace("    repeatable: true\n", "")
    scene.lay_out(scene.load().settings.systems["things"].base_at(""), journey=blind)
    first = await scene.run()

    with pytest.raises(Refused, match=r"making.yaml:\d+  nothing would show a second effect of one"):
        await scene.plan(first.run_id, same_keys=True)


async def test_an_identity_that_cannot_be_made_again_is_refused(scene: Scene) -> None:
    first = await scene.run()
    file = scene.folder / "synthmon.yaml"
    file.write_text(f"instance: other\n{file.read_text()}")

    with pytest.raises(Refused, match=r"identity.email would not be what it was"):
        await scene.plan(first.run_id, same_keys=True)


async def test_an_account_that_is_not_in_its_pool_any_more_is_refused_before_anything_is_counted(
    scene: Scene, things: Things
) -> None:
    file, accounts = scene.folder / "synthmon.yaml", scene.folder / "accounts.yaml"
    settings = file.read_text()
    file.write_text(settings[: settings.index("  maker:")] + f"  maker: {{accounts: '{accounts}'}}\n")
    (scene.folder / "probes/making.yaml").write_text(JOURNEY.replace("${identity.email}", "${identity.name}"))
    accounts.write_text("- {name: anna}\n")
    first = await scene.run()
    assert (await scene.plan(first.run_id, same_keys=True)).again is not None
    accounts.write_text("- {name: bert}\n")

    with pytest.raises(Refused, match=r"the account that run .* had is not in maker any more"):
        await scene.plan(first.run_id, same_keys=True)

    assert len(writes(things)) == 1


# the command ----------------------------------------------------------------------------------------------------------


async def test_without_yes_the_plan_is_printed_and_nothing_leaves(scene: Scene, things: Things) -> None:
    first = await scene.run()
    before = len(things.requests)

    told = await asyncio.to_thread(command, scene, "replay", first.run_id[:10])
    as_json = await asyncio.to_thread(command, scene, "replay", first.run_id[:10], "--json")

    assert told.returncode == as_json.returncode == 3
    assert len(things.requests) == before
    for said in (f"replays run {first.run_id}", "POST /things", "writes", "taken back by DELETE /things/ONE_ID"):
        assert said in told.stdout
    assert "nothing was sent: add --yes to send it" in told.stderr
    assert json.loads(as_json.stdout)["plan"]["writes"] == ["one"]


async def test_the_command_replays_and_show_names_the_original(scene: Scene) -> None:
    first = await scene.run()

    told = await asyncio.to_thread(command, scene, "replay", first.run_id, "--yes", "--json")
    (run,) = json.loads(told.stdout)["runs"]
    shown = await asyncio.to_thread(command, scene, "show", run["record"]["run_id"])

    assert told.returncode == 0
    assert (await scene.kept(run["record"]["run_id"])).replay_of == first.run_id
    assert f"a replay of run {first.run_id}" in shown.stdout


@pytest.mark.parametrize("same_keys", [False, True])
async def test_what_a_killed_replay_made_is_taken_back_by_the_next_process(tmp_path: Path, same_keys: bool) -> None:
    things, scene = (Forgetful if same_keys else Things)(), Scene(tmp_path)
    with serving_things(things) as url:
        scene.lay_out(url, journey=JOURNEY.replace("    repeatable: true\n", ""))
        first = await scene.run()
        things.slowest_s = 1.0
        words = ["--same-keys"] if same_keys else []
        process = started(scene, "replay", first.run_id, "--yes", *words)
        await asyncio.to_thread(wait_for, things.left)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        things.slowest_s = 0.0

        left = things.left()
        paid = await asyncio.to_thread(command, scene, "debts", "--pay")

    assert (first.vars["reference"] in left.values()) is same_keys  # so that it really was the second effect
    assert paid.returncode == 0, paid.stderr
    assert not things.left()
