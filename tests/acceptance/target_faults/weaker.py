"""The shipped journeys with some of their checks taken away: what a simpler monitor would look at."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from synthmon.core.journey import Check, Journey, Promises, Step

_MORE_THAN_VALUES = re.compile(
    r"\bcount\b|\bsize\(|\.(all|exists|filter|map)\(|elapsed|tookMs|correlationId|timestamp|\bseq\b|kept|written"
)


def status_only(journey: Journey) -> Journey:
    """Only `status == …`."""
    return _keeping(journey, lambda check: check.expression.text.startswith("status "))


def values_only(journey: Journey) -> Journey:
    """Statuses and values: no counts, no trail, no latency, no order, and nothing that verifies a deletion."""
    return _keeping(journey, lambda check: not _MORE_THAN_VALUES.search(check.expression.text))


def _keeping(journey: Journey, wanted: Callable[[Check], bool]) -> Journey:
    steps = tuple(_step(step, wanted) for step in journey.steps)
    return replace(journey, steps=steps, promises=Promises())


def _step(step: Step, wanted: Callable[[Check], bool]) -> Step:
    undo = step.undo
    if undo is not None and undo.gone is not None:
        undo = replace(undo, gone=replace(undo.gone, expect=_kept(undo.gone.expect, wanted)))
    together = tuple(_step(branch, wanted) for branch in step.together)
    return replace(step, expect=_kept(step.expect, wanted), undo=undo, together=together)


def _kept(checks: tuple[Check, ...], wanted: Callable[[Check], bool]) -> tuple[Check, ...]:
    return tuple(check for check in checks if wanted(check))
