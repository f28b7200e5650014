"""What the compilation of all files of a load shares, and what one journey gathers while it is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from synthmon.core.system import System
from synthmon.language.expressions import Shelf
from synthmon.language.kinds import Kinds
from synthmon.language.settings import Settings
from synthmon.language.sources import Sources


@dataclass(frozen=True, slots=True)
class Workshop:
    """Shared by all files of a load."""

    kinds: Kinds
    settings: Settings
    sources: Sources
    shelf: Shelf = field(default_factory=Shelf)
    given: bool = True  # whether there is a settings file at all

    @property
    def offers(self) -> frozenset[str]:
        """Every name that some kind of step offers to its checks."""
        return frozenset(name for forms in self.kinds.values() for name in forms.kind.offers)


@dataclass(slots=True)
class Progress:
    """One journey as far as it is compiled; `types` are its own names so far, called files included."""

    types: dict[str, str]
    system: str = ""
    auth: str = ""
    identity: str = ""
    sealed: frozenset[str] = frozenset()  # names of the identity that hold a secret of an account
    hidden: set[str] = field(default_factory=set)  # names that hold what secret(…) saved
    sent: set[str] = field(default_factory=set)  # ids of steps that surely left before the next one
    ids: set[str] = field(default_factory=set)
    systems: dict[str, System] = field(default_factory=dict)  # whom it talks to
    files: dict[str, str] = field(default_factory=dict)  # other files it is made of -> fingerprint
    implicit: System | None = None  # made from the one host of a journey without settings

    def local(self, prefix: str) -> Mapping[str, str]:
        """The names that a called file has under this prefix, as that file spells them → as the journey does."""
        own = {name[len(prefix) :]: name for name in self.types if name.startswith(prefix)}
        hooked = f"hook.{prefix}"
        return own | {f"hook.{n[len(hooked) :]}": n for n in self.types if n.startswith(hooked)}
