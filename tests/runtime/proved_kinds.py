"""Proves a journey of a few steps against a server of the test, and writes into it what a remedy says."""

from __future__ import annotations

import re
from pathlib import Path

from synthmon.core.journey import Journey
from synthmon.core.proof.faults import Fault, Finding, Proof, Trial
from synthmon.language.load import Loaded, load
from synthmon.runtime.browser.chromium import Browsers
from synthmon.runtime.proving import Prover, open_prover

CHECK = re.compile(r"add `(- .+)` to \S+:(\d+)$")


class Bench:
    """A probe and its settings in a folder."""

    def __init__(self, folder: Path, steps: str, settings: str) -> None:
        self._probe, self._settings = folder / "probe.yaml", folder / "synthmon.yaml"
        head = "journey: proved\nevery: 1m\ndeadline: 20s\nsystem: shop\nsteps:\n"
        self._probe.write_text(head + "".join(f"  {line}\n" if line else "\n" for line in steps.strip().splitlines()))
        self._settings.write_text(settings)

    def loaded(self) -> Loaded:
        """The probe as it stands."""
        loaded = load([self._probe], [self._settings])
        assert not loaded.errors, "\n".join(map(str, loaded.errors))
        return loaded

    def promise(self, text: str) -> None:
        """What stands below the steps."""
        self._probe.write_text(f"{self._probe.read_text()}{text}\n")

    async def proved(self, *wanted: Fault, browsers: Browsers | None = None, rehearse: bool = True) -> Proof:
        """With these kinds of faults; all without."""
        loaded = self.loaded()
        async with open_prover(loaded.journeys, loaded.settings, "memory:") as prover:
            if browsers is None:
                return await _proof(prover, loaded.journeys[0], wanted, rehearse)
            doors = prover.once.house.doors
            own, doors.browsers = doors.browsers, browsers
            try:
                return await _proof(prover, loaded.journeys[0], wanted, rehearse)
            finally:
                doors.browsers = own

    def heed(self, trial: Trial) -> None:
        """Put the line of a remedy where it says that it belongs."""
        found = CHECK.search(trial.remedy)
        assert found is not None, trial.remedy
        lines = self._probe.read_text().splitlines()
        at = int(found[2])
        before = lines[at - 1]
        lines.insert(at, before[: len(before) - len(before.lstrip())] + found[1])
        self._probe.write_text("\n".join(lines) + "\n")


async def is_mended(bench: Bench, at: str, fault: Fault, text: str = "", browsers: Browsers | None = None) -> str:
    """What is missed is caught once the probe says what the remedy says; the remedy. Each fault in a run of its own."""
    missed = the_trial(await bench.proved(fault, browsers=browsers, rehearse=False), at, fault, text)
    assert missed.run_id
    assert missed.finding is Finding.MISSED, missed
    bench.heed(missed)
    caught = the_trial(await bench.proved(fault, browsers=browsers, rehearse=False), at, fault, text)
    assert caught.finding is Finding.CAUGHT, caught
    return missed.remedy


async def _proof(prover: Prover, journey: Journey, wanted: tuple[Fault, ...], rehearse: bool) -> Proof:
    goods = await prover.good_runs(journey)
    return await prover.prove(journey, goods, prover.plan(journey, goods, wanted or tuple(Fault)), rehearse)


def the_trial(proof: Proof, at: str, fault: Fault, text: str = "") -> Trial:
    """The only one of this kind there."""
    found = [one for one in proof.trials if one.injection.at == at and one.injection.fault is fault]
    found = [one for one in found if text in one.injection.text]
    assert len(found) == 1, [(t.injection.at, t.injection.fault, t.injection.text) for t in proof.trials]
    return found[0]


def findings(proof: Proof, at: str) -> dict[str, str]:
    """`body: answers empty` → how it ended, at one place."""
    return {f"{t.injection.fault}: {t.injection.text}": str(t.finding) for t in proof.trials if t.injection.at == at}
