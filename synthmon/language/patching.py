"""Adds events and a clause to the text of a probe, and leaves every other character as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path as FilePath

from synthmon.core.clauses import Clause, EventSpec, Word
from synthmon.language.documents import Document, read
from synthmon.language.yaml_text import Noted, lines


class Unpatchable(Exception):
    """The text cannot be added to; the message says where and what to write by hand."""


def with_clause(file: str, text: str, journey: str, clause: Clause, events: Mapping[str, EventSpec], note: str) -> str:
    """The text of a probe file with one clause more in `verify` of a journey, below a note. Raises `Unpatchable`."""
    document, end = _document(file, text, journey)
    added = Noted(clause_keys(clause), above=(note,))
    whole = text.splitlines(keepends=True)
    if whole and not whole[-1].endswith("\n"):
        whole[-1] += "\n"
    inserts: list[tuple[int, list[str]]] = []
    root_ends = _ends(document, (), 0, end, whole)
    if events:
        described = {name: event_keys(spec) for name, spec in events.items()}
        if "events" in document.tree:
            at, indent = _open_block(document, ("events",), root_ends["events"], whole, described)
            inserts.append((at, _indented(lines(described), indent)))
        else:
            before = document.marks.key(("verify",)).line - 1 if "verify" in document.tree else end
            before = _above_comments(before, whole)
            inserts.append((before, ["\n", "events:\n", *_indented(lines(described), 2), "\n"]))
    if "verify" not in document.tree:
        inserts.append((end, ["\n", *_indented(lines({"verify": {"expect": [added]}}), 0)]))
    elif "expect" not in document.tree["verify"]:
        at, indent = _open_block(document, ("verify",), root_ends["verify"], whole, {"expect": [added]})
        inserts.append((at, _indented(lines({"expect": [added]}), indent)))
    else:
        inner = _ends(document, ("verify",), document.marks.key(("verify",)).line, root_ends["verify"], whole)
        at, indent = _open_block(document, ("verify", "expect"), inner["expect"], whole, [added])
        inserts.append((at, _indented(lines([added]), indent)))
    inserts.reverse()  # at one place the last goes in first
    for at, new in sorted(inserts, key=lambda one: -one[0]):
        whole[at:at] = new
    return "".join(whole)


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


def _document(file: str, text: str, journey: str) -> tuple[Document, int]:
    """The document of a journey, and the line (from 0) before which it ends."""
    documents, problems = read(file, text)
    if not documents:
        said = "; ".join(f"{p.place} {p.fault}" for p in problems)
        raise Unpatchable(f"{file} cannot be read: {said}")
    whole = text.splitlines()
    starts = [document.marks.root.line for document in documents]
    ends = [_separator(whole, here, there) for here, there in pairwise(starts)] + [len(whole)]
    for document, end in zip(documents, ends, strict=True):
        if isinstance(document.tree, dict) and document.tree.get("journey") == journey:
            return document, _past_content(starts[0], end, whole)
    raise Unpatchable(f"{file} has no journey {journey}; it may be made from another file.")


def _separator(whole: Sequence[str], here: int, there: int) -> int:
    return next((number for number in range(there, here, -1) if whole[number - 1].startswith("---")), there) - 1


def _ends(document: Document, path: tuple[str, ...], start: int, end: int, whole: Sequence[str]) -> dict[str, int]:
    """Key of a map → the line (from 0) before which its value ends, comments and empty lines behind it left out."""
    tree = document.tree
    for key in path:
        tree = tree[key]
    if not isinstance(tree, dict):
        raise Unpatchable(f"{document.marks.value(path)} is no map.")
    firsts = sorted((document.marks.key((*path, key)).line - 1, str(key)) for key in tree)
    bounds = [line for line, _ in firsts[1:]] + [end]
    return {key: _past_content(line, bound, whole) for (line, key), bound in zip(firsts, bounds, strict=True)}


def _past_content(start: int, end: int, whole: Sequence[str]) -> int:
    while end > start + 1 and (not whole[end - 1].strip() or whole[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _above_comments(line: int, whole: Sequence[str]) -> int:
    while line > 0 and whole[line - 1].startswith("#"):
        line -= 1
    return line


def _open_block(
    document: Document, path: tuple[str, ...], end: int, whole: Sequence[str], wanted: object
) -> tuple[int, int]:
    """Where a block ends, and how far its entries are indented; one that is written in brackets cannot be added to."""
    marks, tree = document.marks, document.tree
    for key in path:
        tree = tree[key]
    key_place = marks.key(path)
    first = next(iter(tree), None) if isinstance(tree, dict) else 0 if tree else None
    entry = marks.key((*path, first)) if first is not None else None
    if entry is None or entry.line == key_place.line or whole[key_place.line - 1].rstrip().endswith(("{", "[")):
        by_hand = "\n".join(f"  {line}" for line in lines(wanted))
        raise Unpatchable(
            f"{key_place} is not written one entry a line, so nothing can be added to it. Write it in block style, or "
            f"add by hand:\n{by_hand}"
        )
    line = whole[entry.line - 1]
    return end, len(line) - len(line.lstrip(" "))


def _indented(text: object, indent: int) -> list[str]:
    return [f"{' ' * indent}{line}\n" for line in text]  # type: ignore[attr-defined]


def read_text(file: str) -> str:
    """The text of a probe file, as it is. Raises `Unpatchable`."""
    try:
        return FilePath(file).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unpatchable(f"{file} cannot be read: {error}") from error
