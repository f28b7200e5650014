"""What a clause comes to: a verdict, the records that decided it, and a sentence for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from synthmon.core.evidence import Evidence
from synthmon.core.sequence.clauses import Clause


class Verdict(StrEnum):
    """What a clause comes to."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one clause: with the records that decided it, and a sentence for a person."""

    clause: Clause
    verdict: Verdict
    said: str
    records: tuple[Evidence, ...] = ()
