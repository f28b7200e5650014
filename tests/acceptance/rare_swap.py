"""`python -m tests.acceptance.rare_swap [--minutes 15]`: an order that is wrong in 3 % of the runs, found as one would.

The demo shop and a daemon with the shipped journeys, each a process of its own; the onboarding journey runs oftener and
waits less than it is shipped. The fault strikes at its own rate. What did not happen in time is said to be so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.daemon import DaemonProcess
from tests.acceptance.guilty_order import GUILTY, JOURNEY, Desk, said_by_functions, verdict_of_guard
from tests.acceptance.shop import OpenShop, lay_out_shipped, open_shop

EVERY = "3s"
GOOD_FIRST = 12
ENOUGH = 2  # red runs
FORCE_S = 240.0  # kept for forcing the order and for the guard
SETTLED = ("passed", "flaky", "failed")


@dataclass
class Seen:
    """What came of it; empty or None where it was not seen in time."""

    runs: list[dict[str, Any]] = field(default_factory=list)  # of the journey, since the fault is there, oldest first
    ranks: list[tuple[int, int, int]] = field(default_factory=list)  # after so many runs and reds: the pair's place
    named: bool = False
    finding: dict[str, Any] | None = None
    promtool: str | None = None  # empty: it accepts
    caught: str = ""  # the run that the guard caught
    before_caught: int = 0
    wrongly: list[str] = field(default_factory=list)  # good runs that the guard failed

    @property
    def reds(self) -> list[dict[str, Any]]:
        return [run for run in self.runs if run["outcome"] == "failed"]


class Watch:
    """The demo as somebody watches it who has an intermittent failure."""

    def __init__(self, desk: Desk, daemon: DaemonProcess, until_s: float) -> None:
        self.desk, self.daemon, self.until_s = desk, daemon, until_s
        self.seen = Seen()
        self._known: set[str] = set()

    def good_runs(self) -> None:
        """Enough of them, while nothing is broken."""
        good = 0
        for run in self._new(self.until_s):
            good += run["outcome"] in ("passed", "flaky")
            if good == GOOD_FIRST:
                return

    def find(self) -> bool:
        """Wait until suspects can be told, and ask for them at each red run; whether there were red runs enough."""
        return self._until(lambda run: len(self.seen.reds) >= ENOUGH, self.until_s - FORCE_S)

    def confirm_and_guard(self) -> None:
        red = self.seen.reds[-1]["id"]
        self.seen.named = self.desk.is_named_in(red)
        told = self.desk.ask_daemon(
            self.daemon.url, "replay", red, "--order", GUILTY, "--yes", "--json", code=None, limit_s=FORCE_S
        )
        self.seen.finding = json.loads(told)["finding"]
        tested = self.desk.write_guard(red)
        self.seen.promtool = "" if tested.returncode == 0 else tested.stdout + tested.stderr

    def catch(self) -> None:
        """Wait for the next red run that the guard speaks of."""
        begun = len(self.seen.runs)
        if self._until(lambda run: verdict_of_guard(run) == "fail" and run["outcome"] == "failed", self.until_s):
            self.seen.caught = self.seen.runs[-1]["id"]
            self.seen.before_caught = len(self.seen.runs) - begun

    def _until(self, enough: Callable[[dict[str, Any]], bool], until_s: float) -> bool:
        for run in self._new(until_s):
            self.seen.runs.append(run)
            if run["outcome"] == "failed" and len(self.seen.reds) >= ENOUGH:
                suspects = self.desk.suspects()
                place = suspects.index(GUILTY) + 1 if GUILTY in suspects else 0
                self.seen.ranks.append((len(self.seen.runs), len(self.seen.reds), place))
            if run["outcome"] != "failed" and verdict_of_guard(run) == "fail":
                self.seen.wrongly.append(run["id"])
            if enough(run):
                return True
        return False

    def _new(self, until_s: float) -> Iterator[dict[str, Any]]:
        """The runs of the journey that come in, each once and whole, until it is too late."""
        while time.monotonic() < until_s:
            told = self.daemon.get(f"/api/v1/runs?journey={JOURNEY}&limit=50")["runs"]
            for head in reversed(told):
                is_new = head["id"] and head["id"] not in self._known and head["cause"] != "replay"
                if is_new and head["outcome"] in SETTLED:
                    self._known.add(head["id"])
                    yield self.daemon.get(f"/api/v1/runs/{head['id']}")
            time.sleep(0.2)


@contextmanager
def watching(folder: Path, until_s: float) -> Iterator[tuple[Watch, OpenShop]]:
    """An open shop that is well, and a daemon over the shipped journeys."""
    with open_shop(folder / "shop") as shop, DaemonProcess(folder) as daemon:
        lay_out_shipped(folder, shop, "15s")
        desk = Desk(folder, f"sqlite:///{folder / 'store.db'}")
        desk.hurry(EVERY)
        daemon.start()
        yield Watch(desk, daemon, until_s), shop


def look(folder: Path, minutes: float, tell: Callable[[str], None] = lambda line: None) -> Seen:
    """The whole story, as far as it comes in so many minutes."""
    with watching(folder, time.monotonic() + 60 * minutes) as (watch, shop):
        watch.good_runs()
        watch.desk.break_(shop.url)
        if watch.find():
            watch.confirm_and_guard()
            watch.catch()
        for line in figures(watch.seen):
            tell(line)
        for line in statuses(Path(shop.logs)):
            tell(line)
        return watch.seen


def figures(seen: Seen) -> Iterator[str]:
    """What was seen, and what was not."""
    runs, reds = len(seen.runs), seen.reds
    yield f"runs since the fault is there: {runs}; red: {len(reds)} ({len(reds) / max(runs, 1):.1%})"
    for red in reds:
        yield f"  red {red['id'][:12]} {red['reason']} in {red['step']}: {red['message'][:100]}"
        yield f"    functions said: {', '.join(sorted(said_by_functions(red))) or 'nothing'}"
    if len(reds) < ENOUGH:
        yield f"{ENOUGH} red runs were not seen in {runs} runs"
        return
    for after, of, place in seen.ranks:
        yield f"after {after} runs with {of} red ones, {GUILTY} is {f'suspect {place}' if place else 'no suspect'}"
    yield f"investigate names the pair: {seen.named}"
    if (found := seen.finding) is not None:
        forced = f"{found['forced_bad']} of {found['forced_bad'] + found['forced_good']} bad"
        reversed_ = f"{found['reversed_bad']} of {found['reversed_bad'] + found['reversed_good']} bad"
        yield f"replay --order: {found['verdict']}, p = {found['p']:.4f} (forced: {forced}; the reverse: {reversed_})"
    yield f"promtool accepts the guard: {seen.promtool == ''}"
    if seen.caught:
        yield f"the guard caught {seen.caught[:12]} after {seen.before_caught} more runs"
    else:
        yield "no further red run was seen in time, so the guard had none to catch"
    yield f"good runs that the guard failed: {len(seen.wrongly)}"


def statuses(logs: Path) -> Iterator[str]:
    """What each function wrote of itself, all journeys together."""
    counts: dict[str, Counter[str]] = {}
    for line in _lines(logs.glob("*.jsonl")):
        counts.setdefault(f"{line['service']} {line['step']}", Counter())[line["status"]] += 1
    for name, told in sorted(counts.items()):
        said = ", ".join(f"{count} {status}" for status, count in told.most_common())
        wrong = told["error"] + told["dead"]
        yield f"  {name}: {said}; error rate {wrong / told.total():.1%}"


def _lines(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        for line in file.read_text().splitlines():
            yield json.loads(line)


def main() -> int:
    """0 when all that was seen was as promised."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=15.0)
    told = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="synthmon-rare-") as folder:
        seen = look(Path(folder), told.minutes, lambda line: print(line, flush=True))
    return 0 if as_promised(seen) else 1


def as_promised(seen: Seen) -> bool:
    """Whether nothing that was seen contradicts the promise; what was not seen contradicts nothing."""
    silent = all(said_by_functions(red) <= {"ok", "retry"} for red in seen.reds)
    first = all(place == 1 for _, _, place in seen.ranks)
    confirmed = seen.finding is None or (seen.finding["verdict"] == "confirmed" and seen.named)
    return silent and first and confirmed and seen.promtool in (None, "") and not seen.wrongly


if __name__ == "__main__":
    sys.exit(main())
