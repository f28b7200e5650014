"""The Replay button of a run's page in a real browser, over a real daemon."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.replays_afar import SELDOM, ask, ended, things_daemon
from tests.acceptance.things import Things, serving_things
from tests.runtime.replaying import Scene

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LIMIT_MS = 60_000


class Held(Things):
    """It does nothing as long as it is held."""

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Event()
        self._free.set()

    def wait(self) -> None:
        super().wait()
        self._free.wait(30)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()


@dataclass
class Here:
    """A daemon, what it watches, and a run of it."""

    things: Held
    url: str
    daemon: DaemonProcess
    scene: Scene
    run: str

    def fail(self) -> str:
        """The id of a run that failed; the target is well again."""
        self.things.fault = "error"
        run: str = self.daemon.post("/api/v1/journeys/making/run")["run"]
        wait_for(lambda: self._outcome(run) == "failed")
        self.things.fault = ""
        return run

    def replays(self, run: str) -> list[str]:
        """The runs that are kept as replays of it."""
        told = self.daemon.get("/api/v1/runs?limit=50")["runs"]
        whole = [self.daemon.get(f"/api/v1/runs/{one['id']}") for one in told if one["cause"] == "replay"]
        return [one["id"] for one in whole if one["replay_of"] == run]

    def owed_by_replays(self) -> list[dict[str, Any]]:
        """What replays have left behind; a run that failed may owe until the target is well."""
        debts = self.daemon.get("/api/v1/debts")["debts"]
        return [debt for debt in debts if self.daemon.get(f"/api/v1/runs/{debt['run']}")["cause"] == "replay"]

    def settings(self, more: str, before: str = "") -> None:
        """Lay out others, and let the daemon read them."""
        self.scene.lay_out(self.url, more=more, journey=SELDOM)
        file = self.scene.folder / "synthmon.yaml"
        file.write_text(before + file.read_text())
        self.daemon.post("/api/v1/reload")

    def _outcome(self, run: str) -> str:
        told = self.daemon.get("/api/v1/runs?limit=50")["runs"]
        return next((one["outcome"] for one in told if one["id"] == run), "")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder, things = tmp_path_factory.mktemp("page"), Held()
    with serving_things(things) as url, DaemonProcess(folder) as daemon:
        scene, run = things_daemon(folder, url, daemon)
        yield Here(things, url, daemon, scene, run)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """One that says yes to what it is asked; `page.asked` is what that was."""
    page = browser.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.asked, page.broken = [], []
    page.on("dialog", lambda dialog: (page.asked.append(dialog.message), dialog.accept()))
    page.on("pageerror", lambda error: page.broken.append(str(error)))
    yield page
    assert page.broken == []
    page.close()


def test_from_a_failed_run_a_press_makes_a_replay_shows_how_it_stands_and_leads_to_the_new_run(
    here: Here, page: Any
) -> None:
    run = here.fail()

    page.goto(f"{here.daemon.url}/runs/{run}")
    with here.things.held():
        page.get_by_role("button", name="Replay…").click()
        page.locator("#standing", has_text="Replaying, 0 of 1").wait_for()
        under_way = page.get_by_role("button", name="Replay…").is_disabled()
    page.locator("#standing", has_text="Replayed:").wait_for()
    ready_again = page.get_by_role("button", name="Replay…").is_enabled()
    page.locator("#standing a").click()
    page.wait_for_url("**/runs/*")
    new = page.locator("#run-id").inner_text()

    assert (under_way, ready_again) == (True, True)
    assert len(page.asked) == 1
    assert page.asked[0].startswith(f"replays run {run}")
    assert "POST /things" in page.asked[0]
    assert here.replays(run) == [new]
    assert page.get_by_role("heading", level=1).inner_text().strip().lower().endswith("passed")
    assert f"A replay of run {run[:12]}" in page.locator("header.head").inner_text()
    page.goto(f"{here.daemon.url}/runs/{run}")
    assert f"Replayed: {new[:12]} passed" in page.locator("header.head").inner_text()
    assert not here.owed_by_replays()


def test_a_page_that_is_opened_while_a_replay_is_under_way_shows_how_it_stands(here: Here, page: Any) -> None:
    with here.things.held():
        begun = ask(here.daemon, here.run, yes=True, times=2)
        page.goto(f"{here.daemon.url}/runs/{here.run}")
        page.locator("#standing", has_text="Replaying, 0 of 2").wait_for()
    page.locator("#standing", has_text="Replayed:").wait_for()
    links = page.locator("#standing a").all_inner_texts()

    assert begun[0] == 202
    made = ended(here.daemon, here.run)["runs"]
    assert links == [f"{one['run'][:12]} passed" for one in made]
    assert page.asked == []


def test_two_presses_at_once_make_one_replay(here: Here, page: Any) -> None:
    run = here.fail()

    page.goto(f"{here.daemon.url}/runs/{run}")
    page.get_by_role("button", name="Replay…").dblclick()
    page.locator("#standing", has_text="Replayed:").wait_for()

    assert len(page.asked) == 1
    assert len(here.replays(run)) == 1


def test_two_programs_that_ask_at_once_make_one_replay_and_one_of_them_is_told_to_wait(here: Here) -> None:
    run = here.fail()

    with here.things.held(), ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: ask(here.daemon, run, yes=True), range(4)))
    ended(here.daemon, run)

    assert sorted(status for status, _, _ in told) == [202, 409, 409, 409]
    refused = next(one for one in told if one[0] == 409)
    assert re.search(r"another replay is going on, for \d+ s at most\. Wait for it\.", refused[1]["detail"])
    assert int(refused[2]["retry-after"]) > 0
    assert len(here.replays(run)) == 1


@pytest.mark.parametrize(
    ("more", "before", "remedy"),
    [
        ("", "", "Add `replay: allow` to the system if it may be used like that."),
        (
            ", replay: allow",
            'quiet: [{cron: "* * * * *", for: 2m, journeys: [mak*]}]\n',
            "making is in a quiet window now, and so are its replays. Wait until it is over.",
        ),
    ],
)
def test_what_may_not_be_replayed_now_is_told_with_its_remedy_and_stays_to_be_read(
    here: Here, page: Any, more: str, before: str, remedy: str
) -> None:
    here.settings(more, before)
    asked_before = len(here.things.requests)

    page.goto(f"{here.daemon.url}/runs/{here.run}")
    page.get_by_role("button", name="Replay…").click()
    page.locator("#standing", has_text=remedy).wait_for()
    by_api = ask(here.daemon, here.run, yes=True)
    here.settings(", replay: allow")

    assert page.asked == []
    assert (by_api[0], remedy in by_api[1]["detail"]) == (409 if before else 403, True)
    assert len(here.things.requests) == asked_before


def test_a_pause_is_heeded_before_a_replay_and_while_one_is_under_way(here: Here, page: Any) -> None:
    here.things.slowest_s = 0.5
    begun = ask(here.daemon, here.run, yes=True, times=5)
    wait_for(lambda: here.daemon.get(f"/api/v1/runs/{here.run}/replay")["runs"])

    here.daemon.post("/api/v1/journeys/making/pause")
    stands = ended(here.daemon, here.run)
    page.goto(f"{here.daemon.url}/runs/{here.run}")
    page.get_by_role("button", name="Replay…").click()
    page.locator("#standing", has_text="making is paused, and so are its replays.").wait_for()
    here.daemon.post("/api/v1/journeys/making/resume")

    assert begun[0] == 202
    assert (stands["state"], len(stands["runs"]) < 5) == ("stopped", True)
    assert "paused" in stands["said"]
    assert page.asked == []
    assert not here.owed_by_replays()
