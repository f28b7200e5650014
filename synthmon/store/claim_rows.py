"""A claim as rows of a table: one for a run, the first and the last slot for those to be told as missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthmon.core.undo.intents import Claim
from synthmon.store.nouns import microseconds

Row = tuple[str, str, int, str, int]
"""Journey, location, slot, run, taken at."""


def rows_of(claim: Claim) -> Sequence[Row]:
    """Its rows, the oldest slot first. Raises `ValueError` for an instant without a time zone."""
    slots = sorted({microseconds(claim.first or claim.slot), microseconds(claim.slot)})
    return [(claim.journey, claim.location, slot_us, claim.run_id, microseconds(claim.at)) for slot_us in slots]


def joined(claims: Sequence[Claim]) -> Sequence[Claim]:
    """Claims of single rows as what they stand for: those without a run that were taken in one moment are one."""
    found: dict[tuple[object, ...], Claim] = {}
    for n, claim in enumerate(claims):
        if claim.run_id:
            found[n,] = claim
            continue
        of = (claim.journey, claim.location, claim.at, claim.whose)
        one = found.get(of, claim)
        found[of] = replace(one, slot=max(one.slot, claim.slot), first=min(one.first or one.slot, claim.slot))
    return list(found.values())
