"""What a kind of step is: one file that knows its keys, its manual, what it sends and what its answer offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.journey import Spec
from synthmon.core.templates import Template, Tree

Path = tuple[str | int, ...]
"""Where a value stands inside its step: `("json", "items", 0)`."""


class Maker(Protocol):
    """What the language lends a kind while it compiles one step; faults are collected, never raised.

    After a fault the maker answers something harmless, so that a kind need not care.
    """

    @property
    def settings(self) -> Any:
        """The loaded settings (`synthmon.language.settings.Settings`)."""
        ...

    def template(self, text: str, path: Path) -> Template:
        """Compile one text."""
        ...

    def tree(self, value: Any, path: Path) -> Tree:
        """Compile JSON with texts in it; keys of maps are literal."""
        ...

    def read(self, file: str, path: Path) -> bytes:
        """The content of a file, relative to the probe, at most 1 MiB."""
        ...

    def fault(self, path: Path, code: str, fault: str, remedy: str) -> None:
        """Report a mistake at a place of the step."""
        ...


class Kind(Protocol):
    """Every file under `synthmon/steps/` (or an entry point `synthmon.steps`) has one, named `KIND`."""

    @property
    def word(self) -> str:
        """The key that chooses it: `http`."""
        ...

    @property
    def manual(self) -> str:
        """One sentence, a YAML sample that loads, the names that it offers: the docstring of its file."""
        ...

    @property
    def keys(self) -> type[BaseModel]:
        """Its own keys, the choosing one included; frozen, extra forbidden, a description on every field."""
        ...

    @property
    def offers(self) -> Mapping[str, str]:
        """The names for `expect` and `save` → their types (see `core.expressions`)."""
        ...

    def compile(self, keys: Any, make: Maker) -> Spec:
        """From checked keys to what a run needs."""
        ...

    async def perform(self, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        """Do it, through the door and nothing else. Never raises for what the target or the network does."""
        ...
