"""Which kinds of steps there are: every file of `synthmon/steps/`, and what other packages add by entry point."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, create_model

from synthmon.core.kinds import Kind, Listens
from synthmon.core.plugins import Plugin
from synthmon.language.schema import (
    CallKeys,
    ListenKeys,
    LookKeys,
    PauseKeys,
    StepKeys,
    SweepKeys,
    TogetherKeys,
    UndoKeys,
)

GROUP = "synthmon.steps"

STRUCTURE: Mapping[str, type[BaseModel]] = {"together": TogetherKeys, "call": CallKeys, "pause": PauseKeys}
"""Words that choose a step without a kind: they hold or stand for other steps."""


@dataclass(frozen=True, slots=True)
class Forms:
    """A kind and its keys merged with the common ones of each place where it may stand; what listens stands only among
    the steps."""

    kind: Kind
    step: type[BaseModel]
    undo: type[BaseModel] | None
    look: type[BaseModel] | None
    sweep: type[BaseModel] | None


Kinds = Mapping[str, Forms]
"""The word that chooses a kind → its forms."""


@lru_cache(maxsize=1)
def find_kinds() -> Kinds:
    """Every kind that is installed, by its word; of two with one word the built-in one counts. 50 ms, once."""
    return MappingProxyType(dict(merge_kinds(plugins(GROUP, "KIND"))))


def merge_kinds(kinds: Iterable[Kind]) -> Kinds:
    """Kinds with their keys merged; the later of two with one word counts."""
    return {kind.word: _forms(kind) for kind in kinds}


def plugins(group: str, name: str) -> list[Any]:
    """What other packages add by an entry point of this group, then what the files of the package `group` have under
    this name."""
    found = [point.load() for point in entry_points(group=group)]
    package = importlib.import_module(group)
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        built_in = getattr(importlib.import_module(f"{group}.{module}"), name, None)
        if built_in is not None:
            found.append(built_in)
    return found


def lacking(kind: Plugin) -> str:
    """What to install for a kind whose library is not there; empty when nothing is lacking."""
    if not kind.library or importlib.util.find_spec(kind.library) is not None:
        return ""
    return f"pip install 'synthmon[{kind.extra}]'"


def _forms(kind: Kind) -> Forms:
    def merged(place: str, common: type[BaseModel]) -> type[BaseModel]:
        model: type[BaseModel] = create_model(f"{kind.word}_{place}", __base__=(kind.keys, common))
        return model

    listens = isinstance(kind, Listens)
    return Forms(
        kind,
        merged("step", ListenKeys if listens else StepKeys),
        None if listens else merged("undo", UndoKeys),
        None if listens else merged("look", LookKeys),
        None if listens else merged("sweep", SweepKeys),
    )
