"""What a kind of step is: one file that knows its keys, its manual, what it sends and what its answer offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from synthmon.core.connections import Connection, ConnectionKind
from synthmon.core.door import Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.expressions import Expression
from synthmon.core.journey import Spec
from synthmon.core.plugins import Plugin
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

    def truth(self, text: str, path: Path, names: Mapping[str, str]) -> Expression | None:
        """Compile a check that may also use these names (→ types); None after a fault."""
        ...

    def read(self, file: str, path: Path) -> bytes:
        """The content of a file, relative to the probe, at most 1 MiB."""
        ...

    def connection(self, name: str, path: Path) -> tuple[Connection, ConnectionKind] | None:
        """A connection of the settings, and what its kind can do; None after a fault."""
        ...

    def fault(self, path: Path, code: str, fault: str, remedy: str) -> None:
        """Report a mistake at a place of the step."""
        ...


class Kind(Plugin, Protocol):
    """Every file under `synthmon/steps/` (or an entry point `synthmon.steps`) has one, named `KIND`.

    It either performs (`Performs`) or listens (`Listens`).
    """

    @property
    def offers(self) -> Mapping[str, str]:
        """The names for `expect` and `save` → their types (see `core.expressions`)."""
        ...

    @property
    def via(self) -> Literal["system", "connection", "nothing"]:
        """What the choosing key leads to: a place at a system, a connection of the settings, or nothing outside."""
        ...

    def compile(self, keys: Any, make: Maker) -> Spec:
        """From checked keys to what a run needs."""
        ...


@runtime_checkable
class Performs(Kind, Protocol):
    """A kind that does one thing and has one answer."""

    async def perform(self, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        """Do it, through the door and nothing else. Never raises for what the target or the network does."""
        ...


@runtime_checkable
class Roams(Kind, Protocol):
    """A kind whose target decides what is sent: which of a system's `writes` it needs is known only in the run."""

    @property
    def roams(self) -> bool:
        """Always true."""
        ...


@runtime_checkable
class Listens(Kind, Protocol):
    """A kind that begins to listen before the run begins to act, and hears any number of messages."""

    @property
    def addressed(self) -> bool:
        """Whether all that it hears is the run's, because nobody else knows the address."""
        ...

    async def listen(self, request: Any, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        """Begin to listen, through the door and nothing else; answers when everything from now on is heard."""
        ...
