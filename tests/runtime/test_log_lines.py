"""No secret stands in a line of the log, wherever in it a text is."""

from __future__ import annotations

from typing import Any

import pytest

from synthmon.core.secrets import MASK, Vault
from synthmon.runtime.logs import Blotter

SECRET = "horse-battery-9"


@pytest.mark.parametrize(
    "line",
    [
        {"event": f"refused {SECRET}", "run": "ab"},
        {"event": "failed", "said": [f"token {SECRET}"]},
        {"event": "failed", "said": "nothing", "fault": ValueError(SECRET)},
        {"event": "failed", "said": f"cut in its middle: {SECRET[:9]}…", "run": "ab"},
    ],
    ids=["in a text", "in a list", "in what is no text", "cut"],
)
def test_a_secret_is_blotted_wherever_it_stands_in_a_line(line: dict[str, Any]) -> None:
    blotter = Blotter()
    blotter.redact = Vault({"secret.token": SECRET}).redact

    written = str(blotter(None, "warning", line))

    assert MASK in written
    assert SECRET[:9] not in written


def test_a_line_without_a_secret_stays_as_it_is() -> None:
    blotter = Blotter()
    blotter.redact = Vault({"secret.token": SECRET}).redact
    line = {"event": "failed", "said": "42 is not 41", "step": "order", "slots": 3}

    assert blotter(None, "warning", dict(line)) == line
