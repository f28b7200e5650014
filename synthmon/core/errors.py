"""A person's mistake, said with its place, its fault and its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is written: a file, a line and a column (both from 1), and the path inside the document."""

    file: str
    line: int = 1
    column: int = 1
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" + (f" {self.path}" if self.path else "")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file: `place  fault remedy [code]`.

    `code` is stable and listed by `synthmon explain`; a warning never stops a journey, an error always does.
    """

    place: Place
    code: str
    fault: str
    remedy: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        word = "" if self.level == "error" else "warning: "
        return f"{self.place}  {word}{self.fault} {self.remedy} [{self.code}]"


class Invalid(Exception):
    """Everything that is wrong with the files read, told at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
