"""Which kinds of steps there are: every file of `synthmon/steps/`, and what other packages add by entry point."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, create_model

from synthmon.core.kinds import Kind
from synthmon.language.schema import CallKeys, LookKeys, PauseKeys, StepKeys, TogetherKeys, UndoKeys

GROUP = "synthmon.steps"

STRUCTURE: Mapping[str, type[BaseModel]] = {"together": TogetherKeys, "call": CallKeys, "pause": PauseKeys}
"""Words that choose a step without a kind: they hold or stand for other steps."""


@dataclass(frozen=True, slots=True)
class Forms:
    """A kind and its keys merged with the common ones of each place where it may stand."""

    kind: Kind
    step: type[BaseModel]
    undo: type[BaseModel]
    look: type[BaseModel]


Kinds = Mapping[str, Forms]
"""The word that chooses a kind → its forms."""


@lru_cache(maxsize=1)
def find_kinds() -> Kinds:
    """Every kind that is installed, by its word; of two with one word the built-in one counts. 50 ms, once."""
    found = [point.load() for point in entry_points(group=GROUP)]
    return MappingProxyType(dict(merge_kinds([*found, *_built_in()])))


def merge_kinds(kinds: Iterable[Kind]) -> Kinds:
    """Kinds with their keys merged; the later of two with one word counts."""
    return {kind.word: _forms(kind) for kind in kinds}


def _built_in() -> Iterable[Any]:
    try:
        package = importlib.import_module(GROUP)
    except ModuleNotFoundError:
        return
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        kind = getattr(importlib.import_module(f"{GROUP}.{module}"), "KIND", None)
        if kind is not None:
            yield kind


def _forms(kind: Kind) -> Forms:
    def merged(place: str, common: type[BaseModel]) -> type[BaseModel]:
        model: type[BaseModel] = create_model(f"{kind.word}_{place}", __base__=(kind.keys, common))
        return model

    return Forms(kind, merged("step", StepKeys), merged("undo", UndoKeys), merged("look", LookKeys))
