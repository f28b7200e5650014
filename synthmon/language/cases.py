"""`cases`: one journey written, one for each case run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.named_files import documents_of
from synthmon.language.sources import beside
from synthmon.language.unsafe import owned_domains, say_unsafe
from synthmon.language.words import word_fault
from synthmon.language.workshop import Workshop

MOST = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its values by name. The case of a journey without any has the name ``."""

    name: str
    values: Mapping[str, Any]


def read_cases(raw: Any, shop: Workshop, files: dict[str, str], faults: Faults) -> tuple[Case, ...] | None:
    """The cases of a journey, one nameless if it has none; None after a fault."""
    if raw is None:
        return (Case("", {}),)
    path: Path = ("cases",)
    if isinstance(raw, dict) and set(raw) == {"file"} and isinstance(raw["file"], str):
        return _of_file(raw["file"], shop, files, faults)
    return _cases(raw, path, faults)


def _of_file(name: str, shop: Workshop, files: dict[str, str], faults: Faults) -> tuple[Case, ...] | None:
    file = beside(faults.marks.file, name)
    at: Path = ("cases", "file")
    read = documents_of(file, at, shop.sources, files, faults)
    if read is None:
        return None
    documents, is_yaml = read
    if len(documents) != 1:
        if is_yaml:
            faults.say(
                at,
                "bad-cases",
                f"{file} has {len(documents)} documents, not one map of cases.",
                "Write `small: {amount: …}` lines.",
            )
        return None
    inner = Faults(documents[0].marks)
    made = _cases(documents[0].tree, (), inner)
    say_unsafe(documents[0].tree, ((),), owned_domains(shop.settings), inner)
    faults.problems.extend(inner.problems)
    return made


def _cases(raw: Any, path: Path, faults: Faults) -> tuple[Case, ...] | None:
    if not isinstance(raw, dict) or not raw:
        faults.say(
            path, "bad-cases", "This is not a map of cases.", "Write `small: {amount: …}` lines, or {file: cases.yaml}."
        )
        return None
    if len(raw) > MOST:
        faults.say(
            path,
            "too-many-cases",
            f"There are {len(raw)} cases.",
            f"Keep at most {MOST}, or write several journeys.",
            at_key=True,
        )
        return None
    good = True
    for name, values in raw.items():
        if not _NAME.fullmatch(name):
            faults.say(
                (*path, name),
                "bad-name",
                f"{name!r} is not a name for a case.",
                "Use small letters, digits, - and _.",
                at_key=True,
            )
            good = False
        if not isinstance(values, dict):
            faults.say((*path, name), "bad-cases", f"The case `{name}` is not a map of values.", "Write {amount: …}.")
            good = False
            continue
        for word in values:
            if fault := word_fault(word):
                faults.say(
                    (*path, name, word), "bad-name", f"{fault}.", "Use small letters, digits and _.", at_key=True
                )
                good = False
    return tuple(Case(name, values) for name, values in raw.items()) if good else None
