"""What can be wrong with an answer: a field has another value, is missing or is of another type; a list is empty, or
has an entry twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from synthmon.core.browsing import Visited
from synthmon.core.door import HttpAnswer
from synthmon.core.foreign import decode
from synthmon.core.messages import Message
from synthmon.core.proof.contents import Telling, content_of, with_content

MOST_FIELDS = 200  # of one answer
EACH = "[]"  # in a path: every entry of a list
JSON_PARTS = ("body", "messages")  # of an answer that is no JSON itself
DISTINCT = 10**12  # added to a number that has to be told apart from every other text

Path = tuple[str, ...]


class How(StrEnum):
    """One way for a field to be wrong."""

    CHANGED = "changed"
    MISSING = "missing"
    TYPE = "of another type"
    EMPTY = "empty"
    TWICE = "with its last entry twice"


@dataclass(frozen=True, slots=True)
class Change:
    """One field, and what is wrong with it. `path` () is the whole of a text that is no JSON.

    `distinct`: the new value stands nowhere else, so that it can be found again where it must not leave.
    """

    path: Path
    how: How
    distinct: bool = False

    @property
    def text(self) -> str:
        """`entries[].currency changed`."""
        return f"{spelled(self.path)} {self.how}" if self.path else f"the text {self.how}"


def spelled(path: Path) -> str:
    """`entries[].currency`."""
    return ".".join(path).replace(f".{EACH}", EACH)


def changed(answer: Any, change: Change, keep: Sequence[str] = ()) -> Any:
    """The answer with that wrong; the same one if it has no such part. `keep` are texts that stay in a plain text."""
    if not change.path:
        return _with_other_text(answer, keep)
    content = content_of(answer)
    made = apply(content, change) if content is not None else None
    return answer if made is None or made == content else with_content(answer, made)


def fields_of(content: Any) -> tuple[list[Path], list[Path]]:
    """The paths of all single values, and of all lists that have entries; entries of a list share their paths."""
    values: dict[Path, None] = {}
    lists: dict[Path, None] = {}
    for path, value in _walk(content, ()):
        (lists if isinstance(value, list) else values).setdefault(path)
    return list(values)[:MOST_FIELDS], list(lists)[:MOST_FIELDS]


def ways_of(answer: Any, path: Path) -> tuple[How, ...]:
    """How a value there can be wrong besides being another: an entry of a list is never missing, the list is shorter;
    and in what is no JSON nothing is of another type."""
    if not path:
        return ()
    if isinstance(answer, Telling) and path[0] not in JSON_PARTS:
        return (How.MISSING,) if isinstance(answer, Visited) and path[0] == "read" else ()
    return (How.TYPE,) if path[-1] == EACH else (How.MISSING, How.TYPE)


def values_at(content: Any, path: Path) -> list[Any]:
    """All values there."""
    if not path:
        return [content]
    head, rest = path[0], path[1:]
    if head == EACH:
        return [found for item in content for found in values_at(item, rest)] if isinstance(content, list) else []
    return values_at(content[head], rest) if isinstance(content, dict) and head in content else []


def apply(content: Any, change: Change) -> Any:
    """JSON with that wrong. A number beside a list that was as long as it is stays as long as it is."""
    match change.how:
        case How.CHANGED:
            return _at(content, change.path, lambda value: other(value, change.distinct))
        case How.TYPE:
            return _at(content, change.path, of_another_type)
        case How.EMPTY:
            return _resized(content, change.path, lambda entries: [])
        case How.TWICE:
            return _resized(content, change.path, lambda entries: [*entries, *entries[-1:]])
        case How.MISSING:
            *parents, name = change.path
            return _at(content, tuple(parents), lambda value: _without(value, name))


def other(value: Any, distinct: bool = False) -> Any:
    """Another value of the same type, as plausible as can be told from one value."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + (DISTINCT if distinct else 1)
        case str() if distinct:
            return f"falsified-{value[::-1]}"
        case str():
            return _other_text(value)
        case None:
            return "other"
    return value


def of_another_type(value: Any) -> Any:
    """A number as text, a text as a number or a list of itself."""
    match value:
        case bool() | None:
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else [value]
    return value


def other_digits(text: str, keep: Sequence[str]) -> str:
    """A text with every digit one higher, but for what has to stay."""
    if not (kept := [re.escape(one) for one in keep if one]):
        return re.sub(r"\d", _next_digit, text)
    parts = re.split(f"({'|'.join(kept)})", text)
    return "".join(part if i % 2 else re.sub(r"\d", _next_digit, part) for i, part in enumerate(parts))


def _with_other_text(answer: Any, keep: Sequence[str]) -> Any:
    if not isinstance(answer, Message | HttpAnswer):
        return answer
    made = replace(answer, content=other_digits(decode(answer.content, "utf-8"), keep).encode())
    if isinstance(made, Message):
        facts = {name: other_digits(fact, keep) if isinstance(fact, str) else fact for name, fact in made.facts.items()}
        return replace(made, facts=facts)
    return made


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    match value:
        case dict():
            for name, each in value.items():
                yield from _walk(each, (*path, name))
        case list() if value:
            if path:
                yield path, value
            for each in value:
                yield from _walk(each, (*path, EACH))
        case list():
            return
        case _:
            yield path, value


def _at(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    head, rest = path[0], path[1:]
    if head == EACH:
        return [_at(each, rest, change) for each in value] if isinstance(value, list) else value
    return {**value, head: _at(value[head], rest, change)} if isinstance(value, dict) and head in value else value


def _without(value: Any, name: str) -> Any:
    return {key: each for key, each in value.items() if key != name} if isinstance(value, dict) else value


def _resized(content: Any, path: Path, change: Callable[[list[Any]], list[Any]]) -> Any:
    *parents, name = path

    def resize(holder: Any) -> Any:
        entries = holder.get(name) if isinstance(holder, Mapping) else None
        if not isinstance(entries, list):
            return holder
        made = change(entries)
        counts = {key: len(made) for key, each in holder.items() if each == len(entries) and type(each) is int}
        return {**holder, **counts, name: made}

    return _at(content, tuple(parents), resize)


def _other_text(text: str) -> str:
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return re.sub(r"\d", _next_digit, text)
    try:
        moment = datetime.fromisoformat(text) if text[:1].isdigit() else None
    except ValueError:
        moment = None
    if moment is not None:
        return (moment - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    return text[::-1] if text[::-1] != text else f"{text}-other"


def _next_digit(found: re.Match[str]) -> str:
    return str((int(found[0]) + 1) % 10)
