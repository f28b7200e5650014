"""Which names a place in a journey may use, of which type, and why another name has no value there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

RUN: Mapping[str, str] = MappingProxyType(
    {
        "run.id": "string",
        "run.namespace": "string",
        "run.started": "timestamp",
        "run.slot": "timestamp",
        "run.location": "string",
        "run.seed": "int",
        "run.instance": "string",
    }
)
"""The names that every expression may use; what they hold is told by `synthmon explain names`."""


@dataclass(frozen=True, slots=True)
class Story:
    """What the steps of one file save, told beforehand, so that a name used too early can be explained.

    `later` are steps not yet reached; `siblings` stand beside this one in `together`; `saved` are all, by step.
    """

    saved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    later: frozenset[str] = frozenset()
    siblings: frozenset[str] = frozenset()
    finding: str = ""  # the step for which a `find` looks
    offers: frozenset[str] = frozenset()  # names that exist only in expect and save of some kind


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one place. In a called file they are spelled as that file sees them; `spelled` says what each
    stands for in the journey, and `outer` are the journey's own names. `hidden` hold what `secret(…)` saved."""

    types: Mapping[str, str]
    spelled: Mapping[str, str] = field(default_factory=dict)
    outer: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    story: Story = Story()
    identity: str = ""  # the journey's, for what is said when a field is missing

    def plus(self, more: Mapping[str, str]) -> Names:
        """With names that are the same inside and outside: what a kind offers."""
        return replace(self, types={**self.types, **more}, outer={**self.outer, **more})

    def saving(self, local_id: str, full_id: str, saved: Mapping[str, str], sealed: frozenset[str]) -> Names:
        """With what a step saves; `sealed` are the secrets among it, as the journey spells them."""
        local = {f"{local_id}.{name}": kind for name, kind in saved.items()}
        full = {f"{full_id}.{name}": kind for name, kind in saved.items()}
        spelled = {**self.spelled, **dict(zip(local, full, strict=True))} if self.spelled else self.spelled
        hidden = {name for name, its_full in zip(local, full, strict=True) if its_full in sealed}
        types = {**self.types, **local}
        return replace(self, types=types, spelled=spelled, outer={**self.outer, **full}, hidden=self.hidden | hidden)

    def holds_secret(self, name: str) -> bool:
        """Whether a name holds a sealed value."""
        return name.startswith("secret.") or name in self.hidden


def type_of(value: Any) -> str:
    """The type of a YAML value, in the words of `core.expressions`."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int"
        case float():
            return "double"
        case list():
            return "list"
        case dict():
            return "map"
    return "dyn"
