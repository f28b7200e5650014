"""What commands print: words for people on standard error, data on standard output when `--json` asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from synthmon.core.errors import Problem
from synthmon.core.terminal import COMMANDS

OK, FAILED, UNKNOWN, INVALID = 0, 1, 2, 3
"""Exit codes: passed, failed (theirs), unknown (ours), invalid input."""


def people() -> Console:
    """Where words for people go."""
    return _Harmless(stderr=True, highlight=False)


def screen() -> Console:
    """Standard output, for what was asked for."""
    return _Harmless(highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    sys.stdout.write(COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def in_one_line(text: str) -> str:
    """What somebody else wrote, so that it neither begins a line of ours nor commands the terminal."""
    return COMMANDS.sub("\ufffd", text.replace("\n", "\ufffd"))


class _Harmless(Console):
    """Shows what others wrote: their escape sequences and changes of direction are seen, and not obeyed."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The same segments without commands; what Rich itself says to the terminal are control segments."""
        for segment in super().render(renderable, options):
            if segment.control or not COMMANDS.search(segment.text):
                yield segment
            else:
                yield Segment(COMMANDS.sub("\ufffd", segment.text), segment.style)


def say_problems(problems: Iterable[Problem]) -> None:
    """Each as place, fault and remedy, one a paragraph."""
    console = people()
    for problem in problems:
        style, level = ("red", "") if problem.level == "error" else ("yellow", "warning: ")
        line = Text.assemble((str(problem.place), "bold"), "  ", (level + problem.fault, style), f" {problem.remedy} ")
        line.append(f"[{problem.code}]", "dim")
        console.print(line, soft_wrap=True)


def stop(fault: str, code: int = INVALID) -> NoReturn:
    """End the command with a sentence."""
    people().print(Text(fault, "red"), soft_wrap=True)
    raise typer.Exit(code)
