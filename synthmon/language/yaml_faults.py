"""What is wrong with a file that is not YAML, and what was probably meant."""

from __future__ import annotations

import re

from synthmon.core.errors import Place, Problem


def explain_yaml(file: str, text: str, error: Exception) -> Problem:
    """What the parser says, in words for a person, with a guess at what was meant."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:  # a character that YAML does not allow
        at = getattr(error, "position", 0)
        at = at if isinstance(at, int) else 0
        line = text.count("\n", 0, at) + 1
        place = Place(file, line, at - (text.rfind("\n", 0, at) + 1) + 1)
        return Problem(
            place,
            "yaml",
            "A character stands here that YAML does not allow.",
            "Remove it, or write it as an escape in double quotes.",
        )
    place = Place(file, mark.line + 1, mark.column + 1)
    lines = text.split("\n")
    line_text = lines[mark.line] if mark.line < len(lines) else ""
    said = str(getattr(error, "problem", "") or getattr(error, "context", "") or "it cannot be read")
    if "\t" in line_text[: len(line_text) - len(line_text.lstrip())]:
        return Problem(place, "yaml", "A tab stands in the indentation.", "Indent with spaces.")
    if "${" in line_text and "${" in re.sub(r""""[^"]*"|'[^']*'""", "", line_text):
        return Problem(
            place,
            "yaml-quote",
            "YAML cannot read this line: `${` outside of quotes.",
            'Put the text in double quotes: "${…}".',
        )
    if _EXPRESSION.search(line_text):
        return Problem(
            place,
            "yaml-quote",
            f"YAML cannot read this expression: {said}.",
            "Put the whole expression in single quotes.",
        )
    return Problem(place, "yaml", f"YAML cannot read this: {said}.", _hint(said))


_EXPRESSION = re.compile(r"^\s*(- |\w+:\s).*(==|!=|<=|>=|&&|\|\||[<>]|\w\()")


def _hint(said: str) -> str:
    if "mapping values are not allowed" in said:
        return "Put a text with `: ` in it in quotes, or correct the indentation."
    if "',' or" in said:
        return "Inside of { } or [ ], put a text that has a bracket or a comma in it in quotes, or close the bracket."
    if "end of stream" in said:
        return "Close the quote or the bracket that is open."
    if "block" in said or "expected" in said:
        return "Check the indentation and the quotes of this line and the one before."
    return "Correct it, or put the text in quotes."
