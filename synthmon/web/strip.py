"""The last outcomes of a journey as a row of small coloured cells, oldest left, each with its sign and its words."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from synthmon.core.run import Record
from synthmon.web.words import clock, duration, reason, symbol

LENGTH = 40


def strip(recent: Sequence[Record]) -> Markup:
    """The cells of records given newest first; written by hand because a page holds thousands of them."""
    shown = recent[:LENGTH][::-1]
    empty = '<span class="cell"></span>' * (LENGTH - len(shown))
    return Markup(empty + "".join(map(_cell, shown)))


def _cell(record: Record) -> str:
    told = f"{clock(record.slot)} · {record.outcome.value}"
    if record.reason:
        told += f" ({reason(record.reason)})"
    elif record.outcome_ms is not None:
        told += f" · {duration(record.outcome_ms)}"
    if record.slots > 1:
        told += f" · {record.slots} slots"
    look = f'class="cell {record.outcome.value}" title="{escape(told)}" aria-label="{escape(told)}"'
    sign = symbol(record.outcome)
    if not record.run_id:
        return f'<span role="img" {look}>{sign}</span>'
    return f'<a href="/runs/{escape(record.run_id)}" {look}>{sign}</a>'
