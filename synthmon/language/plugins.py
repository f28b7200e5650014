"""What our own files and other packages add to the language: looked over first, so that a bad one costs nobody."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, create_model

from synthmon.core.plugins import NeedsProgram, Plugin
from synthmon.language.words import listed, word_fault

OURS = "synthmon"


@dataclass(frozen=True, slots=True)
class Room:
    """A package of ours, one file a kind, and the group of entry points by which others add to it.

    `name` is what each file calls its kind. A kind has everything of one of the `shapes`, and none of the `common`
    keys.
    """

    group: str
    name: str
    shapes: tuple[type, ...]
    common: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Origin:
    """The distribution that brings a kind."""

    package: str = OURS
    version: str = ""

    def __str__(self) -> str:
        return f"{self.package} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class Unusable:
    """What a package means to add under a word, and why that cannot be."""

    word: str
    origin: Origin
    why: str

    @property
    def fault(self) -> str:
        """All of it, for a person."""
        return f"`{self.word}` of {self.origin} cannot be used: {self.why}."

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return f"Repair or uninstall {self.origin.package}; `synthmon kinds` lists all of them."


@dataclass(frozen=True, slots=True)
class Found:
    """The kinds of one room and whence they are, by word; and what is installed for it and cannot be used."""

    kinds: Mapping[str, Any]
    origins: Mapping[str, Origin]
    unusable: tuple[Unusable, ...]

    def refusal(self, words: Iterable[str]) -> Unusable | None:
        """The first of these words that something unusable would have brought."""
        refused = {one.word: one for one in self.unusable}
        return next((refused[word] for word in words if word in refused and word not in self.kinds), None)


@lru_cache(maxsize=8)
def find(room: Room) -> Found:
    """Everything that is installed. Of ours and another's with one word, ours counts; of two others', neither."""
    ours = {kind.word: kind for kind in _built_in(room)}
    offered: dict[str, list[tuple[Origin, Any]]] = {}
    unusable = []
    for point in sorted(entry_points(group=room.group), key=lambda point: (point.name, str(_origin(point)))):
        kind, why = _loaded(point, room)
        if why:
            unusable.append(Unusable(point.name, _origin(point), why))
        else:
            offered.setdefault(kind.word, []).append((_origin(point), kind))
    kinds, origins = dict(ours), dict.fromkeys(ours, Origin())
    for word, several in offered.items():
        rivals = [OURS] if word in ours else [str(origin) for origin, _ in several]
        if word not in ours and len(several) == 1:
            origins[word], kinds[word] = several[0]
            continue
        for origin, _ in several:
            others = listed(name for name in rivals if name != str(origin)) if len(set(rivals)) > 1 else rivals[0]
            unusable.append(Unusable(word, origin, f"the word belongs to {others} as well"))
    return Found(MappingProxyType(kinds), MappingProxyType(origins), tuple(unusable))


def lacking(kind: Plugin, origin: Origin = Origin()) -> str:
    """What to install for a kind whose library is not there; empty when nothing is lacking."""
    if not kind.library:
        return ""
    with suppress(ModuleNotFoundError):  # of a package that its library would be in
        if importlib.util.find_spec(kind.library) is not None:
            return ""
    return f"pip install '{origin.package}[{kind.extra}]'" if kind.extra else f"pip install {kind.library}"


def missing_program(kind: Plugin, environ: Mapping[str, str] = os.environ) -> str:
    """What to install for a kind whose program is not there; empty when nothing is lacking."""
    if not isinstance(kind, NeedsProgram):
        return ""
    named = environ.get(kind.program_at, "")
    if any(shutil.which(name, path=environ.get("PATH")) for name in ((named,) if named else kind.programs)):
        return ""
    return f"install {kind.programs[0]}, or name it in {kind.program_at}"


def _built_in(room: Room) -> Iterator[Any]:
    for module in sorted(found.name for found in pkgutil.iter_modules(import_module(room.group).__path__)):
        kind = getattr(import_module(f"{room.group}.{module}"), room.name, None)
        if kind is not None:
            yield kind


def _origin(point: EntryPoint) -> Origin:
    return Origin(point.dist.name, point.dist.version) if point.dist else Origin("an unknown package")


def _loaded(point: EntryPoint, room: Room) -> tuple[Any, str]:
    """The kind behind an entry point, and why it cannot be one; empty if it can."""
    try:
        kind = point.load()
    except AttributeError:
        return None, f"{point.module} has no {point.attr}"
    except (Exception, SystemExit) as error:  # noqa: BLE001  a stranger's file must not end us, whatever it does on import
        return None, f"{point.module} cannot be imported ({type(error).__name__}: {str(error)[:200]})"
    try:
        return kind, _misfit(kind, room)
    except Exception as error:  # noqa: BLE001  nor when it is looked at
        return None, f"it cannot be read ({type(error).__name__}: {str(error)[:200]})"


def _misfit(kind: Any, room: Room) -> str:
    """What a kind lacks; empty if nothing. Raises what its parts raise."""
    if isinstance(kind, type):
        return f"it is a class; write `{room.name} = {kind.__name__}()`"
    missing = min(([name for name in _parts(shape) if not hasattr(kind, name)] for shape in room.shapes), key=len)
    if missing:
        return f"its {room.name} has no {listed(missing)}"
    if why := word_fault(str(kind.word)):
        return f"its word will not do: {why}"
    if not isinstance(kind.manual, str) or not kind.manual.strip():
        return "it has no manual; the docstring of its file is one"
    if not isinstance(kind.keys, type) or not issubclass(kind.keys, BaseModel):
        return "its keys are no pydantic model"
    own = {about.alias or name for name, about in kind.keys.model_fields.items()}
    if kind.word not in own:
        return f"its keys have no `{kind.word}`, by which it is chosen"
    if taken := own & set(room.common.model_fields):
        return f"its keys take {listed(taken)}, which every one has already"
    create_model(f"{kind.word}_looked_at", __base__=(kind.keys, room.common)).model_json_schema()
    return ""


def _parts(shape: type) -> list[str]:
    return [name for name in dir(shape) if not name.startswith("_")]
