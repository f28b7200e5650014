"""Which values of a run are keys of its own: what bears one of them, whoever reports it, is of this run.

A key joins too much as easily as too little: what stands in the records of others as well (a status, a region, a day,
a product) would make theirs ours, and what counts in one run and not in the next would make verdicts that come and go.
So of what a step saves only that counts which looks like an id and comes out of something of the run's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from synthmon.core.fields import instant_ns
from synthmon.core.journey import Journey, Step

SHORTEST_KEY, LONGEST_KEY = 8, 100
MOST_SAVED = 16
"""Ids of one run: questions to back ends name all of them."""

_GIVEN = ("identity.", "vars.")
_OTHERS = ("case.", "secret.")
_NEAR_NS = 40 * 86400 * 10**9


def given_keys(names: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that a run has before its first step: what its identity and its vars are."""
    return tuple(
        value
        for name, value in names.items()
        if name.startswith(_GIVEN) and isinstance(value, str) and len(value) >= SHORTEST_KEY
    )


def saved_keys(values: Iterable[Any], journey: Journey, now_ns: int) -> tuple[str, ...]:
    """Those among the values that a step saved, as records spell them. What stands in the journey's own text is none:
    it is the same in every run. Secrets are not known here."""
    texts = dict.fromkeys(text for value in values if (text := id_in(value, now_ns)))
    return tuple(text for text in texts if text not in journey.text)


def own_steps(journey: Journey) -> frozenset[str]:
    """The steps that save, and whose answers are about the run's own things: one that changes something, one that
    listens, and one whose request names something of the run or what such a step saved. What a read answers to a
    request that is always the same (a catalogue, a tariff) is everybody's."""
    others: list[str] = [*_OTHERS]
    found = set()
    for step in journey.flat:
        if not step.save:
            continue
        if _is_own(step, tuple(others)):
            found.add(step.id)
        else:
            others.append(f"{step.id}.")
    return frozenset(found)


def id_in(value: Any, now_ns: int) -> str:
    """A value as the text of an id; empty when it is none.

    An id is a text of 8 to 100 characters without blanks, or a whole number of at least 8 digits. It has a piece, of
    letters and digits without a break, of four characters or more with a digit in it (`ORD-4711`, a UUID; not
    `confirmed`, `eu-west-1`, `10.0.12.117`), or one of mixed case that no words make (`kXqPzLmT`). It is no instant: no
    date, and no number that as a date or as Unix seconds, milli-, micro- or nanoseconds is within 40 days of `now_ns`.
    """
    match value:
        case bool():
            return ""
        case int():
            text = str(value) if value >= 0 else ""
        case str():
            text = value
        case _:
            return ""
    if not SHORTEST_KEY <= len(text) <= LONGEST_KEY or not text.isprintable() or any(map(str.isspace, text)):
        return ""
    return text if _is_distinctive(text) and not _is_instant(text, now_ns) else ""


def _is_own(step: Step, others: tuple[str, ...]) -> bool:
    if step.hears is not None or (step.spec is not None and step.spec.effect):
        return True
    return any(not name.startswith(others) for name in step.renders)


def _is_distinctive(text: str) -> bool:
    return any(
        (len(piece) >= 4 and any(map(str.isdigit, piece))) or 3 * len(_SYLLABLE.findall(piece)) > len(piece) >= 8
        for piece in _PIECE.findall(text)
    )


_PIECE = re.compile(r"[^\W_]+")
_SYLLABLE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")  # of `inProgress` two; chance makes many short ones


def _is_instant(text: str, now_ns: int) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text.isdecimal() and abs(instant_ns(text) - now_ns) < _NEAR_NS
    if not text.isdecimal():
        return True
    return abs(moment.replace(tzinfo=UTC).timestamp() * 1e9 - now_ns) < _NEAR_NS
