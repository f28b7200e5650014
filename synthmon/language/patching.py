"""Adds events and a clause to the text of a probe, and leaves every other character as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.language.documents import Document, read
from synthmon.language.yaml_text import Noted, lines


class Unpatchable(Exception):
    """The text cannot be added to; the message says where and what to write by hand."""


def with_clause(file: str, text: str, journey: str, clause: Clause, events: Mapping[str, EventSpec], note: str) -> str:
    """The text of a probe file with one clause more in `verify` of a journey, below a note. Raises `Unpatchable`.

    What is given back reads as the old text with these additions and nothing else: where that is not so, as it is with
    some ways to write YAML, it is refused with what to add by hand.
    """
    added = _Added(clause_keys(clause), {name: event_keys(spec) for name, spec in events.items()}, note)
    try:
        documents, before = _documents(file, text), _trees(file, text)
        nth, document = _of_journey(documents, file, journey)
        tree = before[nth]
        whole = _Lines(text)
        begin, end = _span_of(documents, nth, whole.texts)
        for trim in (True, False):  # a comment behind a list is left behind it, unless it is part of a text
            made = whole.with_more(_inserts(document, added, whole.texts, begin, end, trim))
            after = _trees_or_none(file, made)
            if after == [*before[:nth], added.to(tree), *before[nth + 1 :]]:
                return made
        raise _Elsewhere(f"{document.marks.key(('verify',))} is written in a way that nothing can be added to.")
    except _Elsewhere as error:
        by_hand = "\n".join(f"  {line}" for line in lines(added.whole))
        raise Unpatchable(f"{error} Write it in block style, one entry a line, or add by hand:\n{by_hand}") from None


def clause_keys(clause: Clause) -> dict[str, object]:
    """A clause as the keys that a probe writes it with."""
    about: object = list(clause.events)
    if clause.word is Word.AT_MOST:
        about = {clause.events[0]: clause.limit}
    elif len(clause.events) == 1:
        about = clause.events[0]
    within = f"{clause.within_s:g}s" if clause.within_s is not None else None
    if within and clause.after:
        within = f"{within} after {clause.after}"
    return {
        **({"name": clause.name} if clause.name else {}),
        str(clause.word): about,
        **({"within": within} if within else {}),
    }


def event_keys(spec: EventSpec) -> dict[str, object]:
    """An event as the keys that a probe writes it with."""
    fields = {{"clock": "service"}.get(name, name): value for name, value in spec.fields.items()}
    return {"from": spec.source, **{n: int(v) if n == "attempt" else v for n, v in fields.items()}}


class _Elsewhere(Exception):
    """This place cannot be added to; the message says which."""


@dataclass(frozen=True, slots=True)
class _Added:
    """What is to be added to a journey: a clause with a note above it, and events by their names."""

    clause: Mapping[str, object]
    events: Mapping[str, Mapping[str, object]]
    note: str

    @property
    def line(self) -> Noted:
        """The clause as one line of `expect`."""
        return Noted(self.clause, above=(self.note,))

    @property
    def whole(self) -> dict[str, object]:
        """As in a probe that has nothing of it."""
        return {**({"events": self.events} if self.events else {}), "verify": {"expect": [self.line]}}

    def to(self, tree: Any) -> Any:
        """What a journey has to be afterwards."""
        verify, events = _map(tree.get("verify")), {**_map(tree.get("events")), **self.events}
        expect = [*verify.get("expect", ()), dict(self.clause)]
        return {**tree, **({"events": events} if events else {}), "verify": {**verify, "expect": expect}}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


class _Lines:
    """The lines of a text, each with its own end; what is added ends as the first of them does."""

    def __init__(self, text: str) -> None:
        self.texts: Sequence[str] = text.splitlines(keepends=True)
        first = self.texts[0] if self.texts else ""
        self._end = first[len(first.rstrip("\r\n")) :] or "\n"

    def with_more(self, inserts: Iterable[tuple[int, Sequence[str]]]) -> str:
        """With these lines before those of the given numbers; of two at one place, the first goes first."""
        whole = list(self.texts)
        if whole and not whole[-1].endswith(("\r", "\n")):
            whole[-1] += self._end
        added: dict[int, list[str]] = {}
        for at, new in inserts:
            added.setdefault(at, []).extend(f"{line}{self._end}" for line in new)
        for at in sorted(added, reverse=True):
            whole[at:at] = added[at]
        return "".join(whole)


def _documents(file: str, text: str) -> Sequence[Document]:
    documents, problems = read(file, text)
    if not documents:
        said = "; ".join(f"{p.place} {p.fault}" for p in problems) or "it is empty"
        raise Unpatchable(f"{file} cannot be read: {said}")
    return documents


def _trees(file: str, text: str) -> list[Any]:
    """What a text says, nothing shared between two places."""
    return [json.loads(json.dumps(document.tree)) for document in read(file, text)[0]]


def _trees_or_none(file: str, text: str) -> list[Any] | None:
    documents, problems = read(file, text)
    return None if any(p.level == "error" for p in problems) or not documents else _trees(file, text)


def _of_journey(documents: Sequence[Document], file: str, journey: str) -> tuple[int, Document]:
    for nth, document in enumerate(documents):
        if isinstance(document.tree, dict) and document.tree.get("journey") == journey:
            return nth, document
    raise Unpatchable(f"{file} has no journey {journey}; it may be made from another file.")


def _span_of(documents: Sequence[Document], nth: int, whole: Sequence[str]) -> tuple[int, int]:
    """The lines (from 0) at which a document begins and before which it ends."""
    begin = documents[nth].marks.root.line
    after = documents[nth + 1].marks.root.line if nth + 1 < len(documents) else len(whole) - 1
    ends = (line for line in range(begin + 1, after + 1) if _MARKER.match(whole[line]))
    return begin, next(ends, len(whole))


def _inserts(
    document: Document, added: _Added, whole: Sequence[str], begin: int, end: int, trim: bool
) -> Iterator[tuple[int, Sequence[str]]]:
    """Which lines go before which (from 0); `trim`: above the comments and empty lines behind what is added to."""
    marks, tree = document.marks, document.tree
    root = " " * (marks.key((next(iter(tree)),)).column - 1)
    ends = _ends(document, (), end, whole, trim)
    last = max(ends.values(), default=end)
    if added.events and "events" in tree:
        at, indent = _open_block(document, ("events",), ends["events"], whole)
        yield at, _indented(added.events, indent)
    elif added.events:
        at = _above_comments(marks.key(("verify",)).line - 1, begin, whole, root) if "verify" in tree else last
        yield at, ["", f"{root}events:", *_indented(added.events, f"{root}  "), ""]
    if "verify" not in tree:
        yield last, ["", *_indented({"verify": {"expect": [added.line]}}, root)]
    elif not isinstance(tree["verify"], dict) or "expect" not in tree["verify"]:
        at, indent = _open_block(document, ("verify",), ends["verify"], whole)
        yield at, _indented({"expect": [added.line]}, indent)
    else:
        inner = _ends(document, ("verify",), ends["verify"], whole, trim)
        at, indent = _open_block(document, ("verify", "expect"), inner["expect"], whole)
        yield at, _indented([added.line], indent)


def _ends(document: Document, path: tuple[str, ...], end: int, whole: Sequence[str], trim: bool) -> Mapping[str, int]:
    """Key of a map → the line (from 0) before which its value ends, comments and empty lines behind it left out."""
    tree = document.tree
    for key in path:
        tree = tree[key]
    firsts = sorted((document.marks.key((*path, key)).line - 1, str(key)) for key in tree)
    bounds = [line for line, _ in firsts[1:]] + [end]
    return {
        key: _past_content(line, bound, whole) if trim else bound
        for (line, key), bound in zip(firsts, bounds, strict=True)
    }


def _past_content(start: int, end: int, whole: Sequence[str]) -> int:
    while end > start + 1 and (not whole[end - 1].strip() or whole[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _above_comments(line: int, begin: int, whole: Sequence[str], indent: str) -> int:
    while line > begin and whole[line - 1].startswith(f"{indent}#"):
        line -= 1
    return line


def _open_block(document: Document, path: tuple[str, ...], end: int, whole: Sequence[str]) -> tuple[int, str]:
    """Where a block ends, and what its entries are indented by; one that is written in brackets cannot be added to."""
    marks, tree = document.marks, document.tree
    for key in path:
        tree = tree[key]
    key_place = marks.key(path)
    first = next(iter(tree), None) if isinstance(tree, dict) else 0 if isinstance(tree, list) and tree else None
    entry = marks.key((*path, first)) if first is not None else None
    if entry is None or entry.line == key_place.line or whole[key_place.line - 1].rstrip().endswith(("{", "[")):
        raise _Elsewhere(f"{key_place} is not written one entry a line, so nothing can be added to it.")
    line = whole[entry.line - 1]
    return end, line[: len(line) - len(line.lstrip(" "))]


def _indented(value: object, indent: str) -> list[str]:
    return [f"{indent}{line}" for line in lines(value)]


def read_text(file: str) -> str:
    """The text of a probe file, as it is. Raises `Unpatchable`."""
    try:
        return FilePath(file).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unpatchable(f"{file} cannot be read: {error}") from error


_MARKER = re.compile(r"(?:---|\.\.\.)(?:\s|$)")  # between two documents (YAML 1.2.2, 9.1.4)
