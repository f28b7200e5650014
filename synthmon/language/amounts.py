"""Amounts with their units, as people write them: `300ms`, `30d`, `99.5%`, `5/s`, `2000/d`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smhd])")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
LONGEST_S = 3660 * 86400.0


def seconds(value: Any) -> float:
    """`30s` → 30.0. Raises `PydanticCustomError`."""
    if found := _DURATION.fullmatch(value) if isinstance(value, str) else None:
        got = round(float(found[1]) * _SECONDS[found[2]], 6)
        if 0 < got <= LONGEST_S:
            return got
        raise _refuse("bad-duration", f"{value} is not a usable duration", "Write one above zero and below ten years.")
    guess = f" Did you mean {value}s?" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    remedy = f"Write a number and one of the units ms, s, m, h, d: 300ms, 30s, 5m.{guess}"
    raise _refuse("bad-duration", f"{_shown(value)} is not a duration", remedy)


def seconds_or_none(value: Any) -> float:
    """`30s` → 30.0, and `0s` → 0.0: where nothing at all means something. Raises `PydanticCustomError`."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return 0.0 if found and float(found[1]) == 0 else seconds(value)


def share(value: Any) -> float:
    """`99.5%` → 0.995. Raises `PydanticCustomError`."""
    if found := _PERCENT.fullmatch(value) if isinstance(value, str) else None:
        got = float(found[1]) / 100
        if 0 < got < 1:
            return got
        raise _refuse(
            "bad-percentage", f"{value} is not a share that can be kept and missed", "Write one between 0% and 100%."
        )
    raise _refuse("bad-percentage", f"{_shown(value)} is not a percentage", "Write it as 99.5%.")


def per(unit_s: float, word: str) -> Callable[[Any], float]:
    """A reader of rates that gives so many per `unit_s`: `per(1, "5/s")` reads `300/m` as 5.0."""

    def read(value: Any) -> float:
        if found := _RATE.fullmatch(value) if isinstance(value, str) else None:
            if float(found[1]) > 0:
                return float(found[1]) / _SECONDS[found[2]] * unit_s
            raise _refuse("bad-rate", f"{value} lets nothing through", f"Write one above zero, such as {word}.")
        raise _refuse(
            "bad-rate", f"{_shown(value)} is not a rate", f"Write a number a second, minute, hour or day: {word}."
        )

    return read


def _refuse(code: str, fault: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{fault}", {"fault": fault, "remedy": remedy})


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:40] + "…"


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


Seconds = Annotated[float, BeforeValidator(seconds), _text(r"\d+(\.\d+)?(ms|s|m|h|d)", "30s")]
SecondsOrNone = Annotated[float, BeforeValidator(seconds_or_none), _text(r"\d+(\.\d+)?(ms|s|m|h|d)", "0s")]
Share = Annotated[float, BeforeValidator(share), _text(r"\d+(\.\d+)?%", "99.5%")]
PerSecond = Annotated[float, BeforeValidator(per(1, "5/s")), _text(r"\d+(\.\d+)?/[smhd]", "5/s")]
PerHour = Annotated[float, BeforeValidator(per(3600, "120/h")), _text(r"\d+(\.\d+)?/[smhd]", "120/h")]
PerDay = Annotated[float, BeforeValidator(per(86400, "2000/d")), _text(r"\d+(\.\d+)?/[smhd]", "2000/d")]
