"""From the text of a YAML file to plain values with their places; every trap of YAML is a problem with a remedy.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), so `on`, `NO`, `12:30:45`
and `2026-01-01` are text. The only module that imports PyYAML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from synthmon.core.errors import Place, Problem
from synthmon.language.marks import Mark, Marks, Spot, dotted
from synthmon.language.yaml_faults import explain_yaml

LARGEST_BYTES = 1 << 20
DEEPEST = 40
MOST_VALUES = 20_000  # aliases counted as often as they stand for something
MOST_DOCUMENTS = 5_000
_MOST_TAG_DIRECTIVES = 16  # the parser compares each with all before it


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain Python values, their places, and the part of the file that it was read from."""

    tree: Any
    marks: Marks
    text: str


def read(file: str, text: str) -> tuple[tuple[Document, ...], tuple[Problem, ...]]:
    """Every document of a file, or what is wrong with it. A file with a fault in its YAML gives no document."""
    if any("\ud800" <= char <= "\udfff" for char in set(text)):
        return (), (_not_utf8(file, text),)
    if len(text.encode()) > LARGEST_BYTES:
        fault = f"The file is larger than {LARGEST_BYTES >> 20} MiB."
        return (), (Problem(Place(file), "yaml-too-large", fault, "Split it into several files."),)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    directives = [found.start() for found in _TAG_DIRECTIVE.finditer(text)]
    if len(directives) > _MOST_TAG_DIRECTIVES:
        place = Place(file, text.count("\n", 0, directives[0]) + 1, 1)
        return (), (Problem(place, "yaml-tag", "%TAG directives are not used here.", "Remove them."),)
    builder = _Builder(file, text)
    try:
        documents = tuple(builder.documents())
    except _Refused as refused:
        return (), (*builder.problems, refused.problem)
    except yaml.YAMLError as error:
        return (), (*builder.problems, explain_yaml(file, text, error))
    if any(problem.level == "error" for problem in builder.problems):
        return (), tuple(builder.problems)
    return documents, tuple(builder.problems)


def _not_utf8(file: str, text: str) -> Problem:
    """Names the first byte that is none: `text` holds each such byte as a surrogate."""
    at = next(at for at, char in enumerate(text) if "\ud800" <= char <= "\udfff")
    place = Place(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
    return Problem(place, "yaml", "The file is not UTF-8 from here on.", "Save it as UTF-8.")


class _Refused(Exception):
    """The rest of the file is not read."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Builder:
    """Builds values from the parser's events: what goes too deep or explodes is refused before it is built."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text
        self.problems: list[Problem] = []
        self._next: Callable[[], Any] = _parser(text).get_event
        self._marks = Marks(file, text, _START)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self._path: list[str | int] = []

    def documents(self) -> Iterator[Document]:
        started = 0
        while (event := self._next()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                started += 1
                if started > MOST_DOCUMENTS:
                    fault = f"The file holds more than {MOST_DOCUMENTS} documents."
                    self._refuse(event, "yaml-too-many", fault, "Split it into several files.")
                self._anchors = {}
                first = self._next()
                self._marks = Marks(self.file, self.text, first.start_mark)
                tree = self._value(first, 0)
                end = _index(self._next().end_mark)
                if tree is not None:
                    marks = Marks(self.file, self.text, self._marks.root, tree, self._marks.spots)
                    yield Document(tree, marks, self.text[_index(event.start_mark) : end].strip() + "\n")

    def _value(self, event: Any, depth: int) -> Any:
        before = self._values
        self._values += 1
        if self._values > MOST_VALUES:
            self._refuse(
                event,
                "yaml-too-many",
                f"The file holds more than {MOST_VALUES} values.",
                "Split it, or use fewer aliases.",
            )
        if depth > DEEPEST:
            self._refuse(event, "yaml-too-deep", f"The values nest deeper than {DEEPEST} levels.", "Flatten them.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._refuse_tag(event)
        if event.anchor and event.anchor in self._anchors:
            self._refuse(
                event, "yaml-alias", f"The anchor &{event.anchor} is set twice.", "Give each anchor a name of its own."
            )
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._map(depth)
        else:
            value = self._list(depth)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _map(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        spots: dict[str | int, Spot] = {}
        path = self._path
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            following = self._next()
            if key in made:
                first = spots[key][0].line + 1
                self._say(
                    event,
                    "duplicate-key",
                    f"`{key}` is written twice in one map, first in line {first}.",
                    "Remove one of them.",
                )
            path.append(key)
            made[key] = self._value(following, depth + 1)
            path.pop()
            spots[key] = (event.start_mark, following.start_mark, _style(following))
        self._marks.spots[id(made)] = spots
        return made

    def _list(self, depth: int) -> list[Any]:
        made: list[Any] = []
        spots: dict[str | int, Spot] = {}
        path = self._path
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            spots[len(made)] = (event.start_mark, event.start_mark, _style(event))
            path.append(len(made))
            made.append(self._value(event, depth + 1))
            path.pop()
        self._marks.spots[id(made)] = spots
        return made

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.MappingStartEvent) and self._braces(event):
                self._refuse(
                    event, "yaml-quote", "`${…}` inside {…} or […] is read as a map.", "Put it in double quotes."
                )
            if isinstance(event, yaml.MappingStartEvent) and event.flow_style:
                self._refuse(
                    event, "yaml-quote", "`{{…}}` is read as a map.", 'Write a value as "${…}", in double quotes.'
                )
            self._refuse(event, "yaml-key", "A key is not a text.", "Write the key as a plain word.")
        self._refuse_tag(event)
        self._values += 1
        if not event.style and not isinstance(value := self._scalar(event), str):
            word = "null" if value is None else "a boolean" if isinstance(value, bool) else "a number"
            self._say(
                event, "yaml-key", f"The key {event.value or '(empty)'} is {word}, not a text.", "Put it in quotes."
            )
        return str(event.value)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            remedy = f"Define &{event.anchor} before, or put a text that begins with * in quotes."
            self._refuse(event, "yaml-alias", f"There is no anchor &{event.anchor} before this.", remedy)
        value, size = self._anchors[event.anchor]
        self._values += size
        if self._values > MOST_VALUES:
            self._refuse(
                event,
                "yaml-too-many",
                f"With its aliases the file holds more than {MOST_VALUES} values.",
                "Use fewer aliases.",
            )
        return value

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style or event.tag:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _INT.fullmatch(text):
            return self._int(event, text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if math.isfinite(number) else self._say_number(event, "is too large for a number")
        if _NOT_FINITE.fullmatch(text):
            return self._say_number(event, "is not a number that JSON or a check can hold")
        return text

    def _int(self, event: Any, text: str) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        if len(text) > 30 or abs(number := int(text, base)) > 2**63 - 1:
            return self._say_number(event, "does not fit into 64 bits")
        if base == 10 and len(digits := text.lstrip("+-")) > 1 and digits[0] == "0":
            fault = f"{text} is the number {number}: the zeros in front are lost."
            self._say(event, "digits-lost", fault, "Put it in quotes if it is a text, or drop the zeros.", warning=True)
        return number

    def _say_number(self, event: Any, fault: str) -> int:
        self._say(event, "yaml-number", f"{event.value[:40]} {fault}.", "Put it in quotes if it is a text.")
        return 0

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag
        if not tag or tag in ("!", "tag:yaml.org,2002:str"):
            return
        if tag.startswith("!") and isinstance(event, yaml.ScalarEvent):
            fault = f"A leading `!` is a tag in YAML: {tag} {event.value}".rstrip() + "."
            self._refuse(event, "yaml-quote", fault, "Put the expression in single quotes.")
        self._refuse(
            event,
            "yaml-tag",
            f"The tag {tag.replace('tag:yaml.org,2002:', '!!')[:60]} is not used here.",
            "Remove the tag.",
        )

    def _braces(self, event: Any) -> bool:
        index = event.start_mark.index
        return index > 0 and self.text[index - 1] == "$"

    def _refuse(self, event: Any, code: str, fault: str, remedy: str) -> None:
        raise _Refused(Problem(self._place(event), code, fault, remedy))

    def _say(self, event: Any, code: str, fault: str, remedy: str, warning: bool = False) -> None:
        self.problems.append(Problem(self._place(event), code, fault, remedy, "warning" if warning else "error"))

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1, dotted(self._path[:8]))


@dataclass(frozen=True, slots=True)
class _Start:
    line: int = 0
    column: int = 0
    index: int = 0


_START: Mark = _Start()
_WORDS = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_TAG_DIRECTIVE = re.compile("^%TAG", re.MULTILINE)
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _parser(text: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster and may be missing
    return loader(text)


def _index(mark: Any) -> int:
    return int(mark.index)


def _style(event: Any) -> str:
    return getattr(event, "style", "") or ""  # an alias and a map have none that matters
