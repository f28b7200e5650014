"""What commands print: words for people on standard error, data on standard output when `--json` asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.text import Text

from synthmon.core.errors import Problem

OK, FAILED, UNKNOWN, INVALID = 0, 1, 2, 3
"""Exit codes: passed, failed (theirs), unknown (ours), invalid input."""


def people() -> Console:
    """Where words for people go."""
    return Console(stderr=True, highlight=False)


def screen() -> Console:
    """Standard output, for what was asked for."""
    return Console(highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n")


def say_problems(problems: Iterable[Problem]) -> None:
    """Each as place, fault and remedy, one a paragraph."""
    console = people()
    for problem in problems:
        style = "red" if problem.level == "error" else "yellow"
        line = Text.assemble((str(problem.place), "bold"), "  ", (problem.fault, style), f" {problem.remedy} ")
        line.append(f"[{problem.code}]", "dim")
        console.print(line, soft_wrap=True)


def stop(fault: str, code: int = INVALID) -> NoReturn:
    """End the command with a sentence."""
    people().print(Text(fault, "red"), soft_wrap=True)
    raise typer.Exit(code)
