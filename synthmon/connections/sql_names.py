"""Where `:name` stands in a query, and how it is written for a database that binds in another way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum


class Dialect(StrEnum):
    """Whose SQL: they differ in what is a string and what is a comment."""

    POSTGRES = "postgresql"
    MYSQL = "mysql"
    SQLITE = "sqlite"
    PARTIQL = "partiql"  # of DynamoDB


def names_in(sql: str, dialect: Dialect) -> tuple[str, ...]:
    """The names in order of their first use: outside of strings, quoted identifiers and comments; `::` is a cast."""
    return tuple(dict.fromkeys(name for _, _, name in _found(sql, dialect)))


def rewritten(sql: str, dialect: Dialect, written: Callable[[str], str]) -> str:
    """The query with what `written` makes of each name in its place."""
    parts, at = [], 0
    for start, end, name in _found(sql, dialect):
        parts += [sql[at:start], written(name)]
        at = end
    return "".join((*parts, sql[at:]))


def _found(sql: str, dialect: Dialect) -> Iterator[tuple[int, int, str]]:
    pattern, at = _PATTERNS[dialect], 0
    while token := pattern.search(sql, at):
        at = token.end()
        if token.lastgroup == "nested":
            at = _closing(sql, token.end())
        elif token.lastgroup == "dollar":
            end = sql.find(token["dollar"], at)
            at = len(sql) if end < 0 else end + len(token["dollar"])
        elif token.lastgroup == "name":
            yield token.start(), token.end(), token["name"]


def _closing(sql: str, at: int) -> int:
    """Behind the end of a comment that may hold others (PostgreSQL)."""
    depth = 1
    for token in re.compile(r"/\*|\*/").finditer(sql, at):
        depth += 1 if token[0] == "/*" else -1
        if not depth:
            return token.end()
    return len(sql)


_PLAIN_STRING, _IDENTIFIER = r"'(?:[^']|'')*(?:'|\Z)", r'"(?:[^"]|"")*(?:"|\Z)'
_COMMENT, _LINE, _BACKTICKS = r"/\*.*?(?:\*/|\Z)", r"--[^\n]*", r"`(?:[^`]|``)*(?:`|\Z)"
_NAME = r"(?<![:\w]):(?P<name>[A-Za-z_]\w*)"
_PATTERNS = {
    # PostgreSQL 4.1: E'' with backslashes, $tag$ … $tag$, comments that nest
    Dialect.POSTGRES: re.compile(
        rf"(?i:\be)'(?:[^'\\]|\\.|'')*(?:'|\Z)|{_PLAIN_STRING}|{_IDENTIFIER}|{_LINE}|(?P<nested>/\*)"
        rf"|(?<!\w)(?P<dollar>\$(?:[A-Za-z_]\w*)?\$)|{_NAME}",
        re.DOTALL,
    ),
    # MySQL 9.1.1 and 9.7: backslashes in strings, # comments, "--" only with a space behind it
    Dialect.MYSQL: re.compile(
        r"'(?:[^'\\]|\\.|'')*(?:'|\Z)" + r'|"(?:[^"\\]|\\.|"")*(?:"|\Z)'
        rf"|{_BACKTICKS}|#[^\n]*|--(?=\s|\Z)[^\n]*|{_COMMENT}|{_NAME}",
        re.DOTALL,
    ),
    Dialect.SQLITE: re.compile(
        rf"{_PLAIN_STRING}|{_IDENTIFIER}|{_BACKTICKS}|\[[^\]]*(?:\]|\Z)|{_LINE}|{_COMMENT}|{_NAME}", re.DOTALL
    ),
    Dialect.PARTIQL: re.compile(rf"{_PLAIN_STRING}|{_IDENTIFIER}|{_BACKTICKS}|{_LINE}|{_COMMENT}|{_NAME}", re.DOTALL),
}
