"""An order that no function shows: the journey that goes red of it, and the commands that find, confirm and guard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.daemon import environment
from tests.servers.process import program

FAULT = "swap-order"
JOURNEY = "signup-onboarding"
GUILTY = "credits-granted<profile-created"
GUARD = "profile-created-before-credits-granted"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody types: a folder with `probes/` and `synthmon.yaml`, and the store that the commands speak of."""

    folder: Path
    store: str

    @property
    def probe(self) -> Path:
        return self.folder / "probes" / f"{JOURNEY}.yaml"

    def hurry(self, every: str = "15s") -> None:
        """Let the journey run so often, and wait less long for what functions write down."""
        settings = self.folder / "synthmon.yaml"
        settings.write_text(settings.read_text().replace("lag: 1s", "lag: 200ms"))
        probe = self.probe.read_text().replace("within: 4s", "within: 2s").replace("every: 15s", f"every: {every}")
        self.probe.write_text(probe)

    def ask(self, *arguments: str, code: int | None = 0, limit_s: float = 300) -> str:
        """What a command prints that reads settings and store of this desk; it must end with `code` if one is given."""
        return self._command((*arguments, *self._settings, "--store", self.store), code, limit_s)

    def ask_daemon(self, url: str, *arguments: str, code: int | None = 0, limit_s: float = 600) -> str:
        """What a command prints that lets a daemon do it."""
        return self._command((*arguments, "--url", url), code, limit_s)

    def break_(self, shop_url: str, *rate: str) -> None:
        """Switch the fault on as one would, at its own rate if none is given."""
        self._command(("demo", "break", FAULT, "--shop", shop_url, *rate), 0, 60)

    def suspects(self) -> list[str]:
        """Those of the journey, the most suspicious first."""
        told = json.loads(self.ask("suspects", JOURNEY, "--limit", "200", "--json"))["suspects"]
        return [_text(suspect) for suspect in told]

    def is_named_in(self, red: str) -> bool:
        """Whether looking into one red run shows the pair."""
        told = self.ask("investigate", red)
        return re.search(r"credits-granted \(credits\) came .* before profile-created", told) is not None

    def write_guard(self, red: str) -> subprocess.CompletedProcess[str]:
        """Change the probe, write its alerts; what promtool says of these."""
        self.ask("guardrail", red, "--suspect", GUILTY, "--good", "10", "--out", str(self.folder / "guard"), "--apply")
        return subprocess.run(
            [program("promtool"), "test", "rules", "rules_test.yml"],
            cwd=self.folder / "guard", capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    @property
    def _settings(self) -> tuple[str, ...]:
        return ("--settings", str(self.folder / "synthmon.yaml"))

    def _command(self, arguments: tuple[str, ...], code: int | None, limit_s: float) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "synthmon", *arguments],
            cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=limit_s, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout


def _text(suspect: dict[str, Any]) -> str:
    predicate = suspect["predicate"]
    return predicate if isinstance(predicate, str) else "<".join(predicate["names"])


def verdict_of_guard(run: dict[str, Any]) -> str:
    """What the clause that was written says of a run; empty before it was there."""
    return next((str(clause["verdict"]) for clause in run["clauses"] if clause["text"] == GUARD), "")


def said_by_functions(run: dict[str, Any]) -> set[str]:
    """Every status that a function wrote down of a run, as a command or as the API tells it."""
    told = run["evidence"] if "evidence" in run else [one for one in run["timeline"] if one["source"] == "logs"]
    return {str(one["status"]) for one in told}
