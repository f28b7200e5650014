"""What every kind of thing has that is one file and found by its word: steps, connections, sources of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pydantic import BaseModel


class Plugin(Protocol):
    """A file of its room, or an entry point of another package."""

    @property
    def word(self) -> str:
        """The key that chooses it: `http`, `nats`, `jsonl`."""
        ...

    @property
    def manual(self) -> str:
        """One sentence, a YAML sample that loads, what else there is to know: the docstring of its file."""
        ...

    @property
    def extra(self) -> str:
        """The extra of the package that brings its library, as in `pip install 'synthmon[grpc]'`; empty: none."""
        ...

    @property
    def library(self) -> str:
        """The module that must be there; it is imported when it is used, never on import. Empty: none."""
        ...

    @property
    def keys(self) -> type[BaseModel]:
        """Its own keys, the choosing one included; frozen, extra forbidden, a description on every field."""
        ...


@runtime_checkable
class NeedsProgram(Plugin, Protocol):
    """One that starts a program of this machine."""

    @property
    def programs(self) -> Sequence[str]:
        """Its names on the PATH; any of them will do."""
        ...

    @property
    def program_at(self) -> str:
        """The variable of the environment that names it instead."""
        ...
