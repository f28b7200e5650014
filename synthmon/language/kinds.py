"""Which kinds of steps there are: every file of `synthmon/steps/`, and what other packages add by entry point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from pydantic import BaseModel, create_model

from synthmon.core.kinds import Kind, Listens, Performs
from synthmon.language.plugins import Origin, Room, find
from synthmon.language.step_schema import (
    CallKeys,
    ListenKeys,
    LookKeys,
    PauseKeys,
    StepKeys,
    SweepKeys,
    TogetherKeys,
    UndoKeys,
)

ROOM = Room("synthmon.steps", "KIND", (Performs, Listens), StepKeys)

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
    origin: Origin = Origin()


Kinds = Mapping[str, Forms]
"""The word that chooses a kind → its forms."""


@lru_cache(maxsize=1)
def find_kinds() -> Kinds:
    """Every kind that is installed, by its word; see `plugins.find`. 50 ms, once."""
    found = find(ROOM)
    return MappingProxyType(merge_kinds(found.kinds.values(), found.origins))


def merge_kinds(kinds: Iterable[Kind], origins: Mapping[str, Origin] = MappingProxyType({})) -> dict[str, Forms]:
    """Kinds with their keys merged; the later of two with one word counts."""
    return {kind.word: _forms(kind, origins.get(kind.word, Origin())) for kind in kinds}


def _forms(kind: Kind, origin: Origin) -> Forms:
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
        origin,
    )
