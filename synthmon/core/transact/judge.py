"""Whether an answer is what was expected, and how to say that it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from synthmon.core import secrets
from synthmon.core.expressions import Expression, ExpressionError, Scope
from synthmon.core.functions import plain
from synthmon.core.journey import Check
from synthmon.core.run import CheckRecord

SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Judged:
    """All checks of one answer."""

    checks: tuple[CheckRecord, ...]

    @property
    def ok(self) -> bool:
        """Whether none failed."""
        return all(check.ok is not False for check in self.checks)

    @property
    def evaluated(self) -> int:
        """How many had a verdict."""
        return sum(check.ok is not None for check in self.checks)

    @property
    def message(self) -> str:
        """The first that failed, in words."""
        return next((say(check) for check in self.checks if check.ok is False), "")


def judge(checks: Iterable[Check], scope: Scope) -> Judged:
    """Judge every check; one whose `when` is not true is not evaluated."""
    return Judged(tuple(_judged(check, scope) for check in checks))


def says_absent(judged: Judged) -> bool:
    """Whether the first check that failed did so because the answer has no such part at all."""
    first = next((check for check in judged.checks if check.ok is False), None)
    return first is not None and first.error.startswith("the answer has no")


def saved(wanted: Sequence[tuple[str, Expression]], scope: Scope) -> Mapping[str, Any]:
    """The values that a step keeps. Raises `ExpressionError`."""
    return {name: expression.value(scope) for name, expression in wanted}


def say(check: CheckRecord) -> str:
    """`probe.yaml:52  body.amount == 3   body.amount is 2`."""
    seen = ", ".join(f"{text} is {value}" for text, value in check.values)
    why = f"({check.error})" if check.error and not seen else f"{seen} ({check.error})" if check.error else seen
    return f"{check.place}  {check.text}" + (f"   {why}" if why else "")


def show(value: Any) -> str:
    """A value as JSON text, masked and cut."""
    text = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    text = secrets.masked(text)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"


def _judged(check: Check, scope: Scope) -> CheckRecord:
    text, place = check.name or check.expression.text, f"{check.place.file}:{check.place.line}"
    if check.when is not None:
        try:
            if check.when.value(scope) is not True:
                return CheckRecord(text, place, None)
        except ExpressionError as error:
            return CheckRecord(text, place, False, error=f"its when: {error.fault}")
    held = check.expression.holds(scope)
    return CheckRecord(text, place, held.ok, tuple((t, show(v)) for t, v in held.values), held.error)


def _plain(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes | bytearray) else plain(value)
