"""A broker, database or mailbox as the settings name it, and what each kind of them must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason
from synthmon.core.plugins import Plugin
from synthmon.core.system import Tls


@dataclass(frozen=True, slots=True)
class Connection:
    """One entry of `connections:`. `word` chose its kind; `keys` are that kind's own, checked.

    `watches`: it is itself under test, so that its failures are the target's and not ours.
    """

    name: str
    word: str
    keys: Any
    watches: bool = False
    writes: bool = False  # whether messages may be sent there
    allow: tuple[str, ...] = ()  # hosts; without, those of its address
    allow_networks: tuple[str, ...] = ()  # CIDRs that they may resolve to; without, public ones only
    propagate: bool = True
    tls: Tls = Tls()
    references: Mapping[str, str] = field(default_factory=dict)  # `password` → `env:BUS_PASSWORD`


class ConnectionTrouble(Exception):
    """A connection could not do what was asked. `reason` is as it is told of a target; `sent`: it may have left."""

    def __init__(self, reason: Reason, detail: str, sent: bool = True) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.sent = reason, detail, sent


class Outlet(Protocol):
    """What the shell lends a connection: guarded addresses, secrets, certificates."""

    async def pinned(self, host: str, port: int) -> Sequence[str]:
        """The numeric addresses that may be dialled for a host. Raises `ConnectionTrouble`."""
        ...

    def secret(self, name: str) -> str:
        """The value of one of `Connection.references`; empty where the settings name none. Raises `SecretError`."""
        ...

    def tls(self) -> Any:
        """An `ssl.SSLContext` for a client that verifies; share it."""
        ...


class Link(Protocol):
    """An open connection, shared by all runs. It need not mend itself: one that broke is opened anew."""

    @property
    def broken(self) -> bool:
        """Whether it is of no more use."""
        ...

    async def until_broken(self) -> str:
        """Waits until it is; answers why, for a person."""
        ...

    async def aclose(self) -> None:
        """Let go. Never raises."""
        ...


@runtime_checkable
class Publishes(Link, Protocol):
    """A link that messages can be sent over."""

    async def publish(self, publication: Publication) -> None:
        """Until the broker has it. Raises `ConnectionTrouble`, or what its library raises."""
        ...


@runtime_checkable
class Hears(Link, Protocol):
    """A link on which messages can be heard without taking any from somebody else."""

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        """Bound when it answers: everything that is published from then on is heard, until the link breaks (the door
        binds it again then). Raises `ConnectionTrouble`, or what its library raises."""
        ...


@runtime_checkable
class Resumes(Hears, Protocol):
    """A link to a broker that keeps what was published: it hears on from where a listener stopped when a link broke."""

    async def resume(self, to: Mapping[str, str], hear: Hear, stopped: OpenEar) -> OpenEar:
        """As `listen`, and what came since `stopped` (an ear of an earlier link of its kind) is heard as well, as far
        as the broker still has it."""
        ...


@runtime_checkable
class Answers(Link, Protocol):
    """A link to a database that can be asked and not changed."""

    async def query(self, sql: str, params: Mapping[str, Any], limit: int) -> Sequence[Mapping[str, Any]]:
        """At most `limit` rows, values as JSON has them. Raises `ConnectionTrouble`, or what its library raises."""
        ...


@runtime_checkable
class Counts(Link, Protocol):
    """A link that can tell how many messages wait somewhere, without touching them."""

    async def count(self, at: Mapping[str, str]) -> int:
        """How many. Raises `ConnectionTrouble`, or what its library raises."""
        ...


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a place cannot be one: the word that is wrong, what is wrong with it, what to do."""

    word: str
    fault: str
    remedy: str


@runtime_checkable
class Particular(Protocol):
    """A kind of connection that can tell by its words that a place cannot be one, before anything is sent or heard."""

    def objections(self, place: Mapping[str, str], heard: bool) -> Sequence[Objection]:
        """What is wrong; `place` has the texts as they are written, `${…}` in them. `heard`: a `receive` listens there,
        else a `send` sends there."""
        ...


@runtime_checkable
class Asks(Protocol):
    """A kind of connection whose links are `Answers`: a `query` may name it."""

    def parameters(self, keys: Any, sql: str) -> Sequence[str]:
        """The names that a query wants values for (`:reference`), each once. Raises `ValueError` with words for a
        person when it cannot be read."""
        ...


class ConnectionKind(Plugin, Protocol):
    """Every file under `synthmon/connections/` (or an entry point `synthmon.connections`) has one, named `CONNECTION`.

    Its library is imported in `open`, never on import of the file: `extra` names what to install for it.
    """

    @property
    def secrets(self) -> frozenset[str]:
        """Those of its keys whose values are references to secrets: `password` (`env:BUS_PASSWORD`)."""
        ...

    @property
    def sends_to(self) -> Mapping[str, bool]:
        """Which of the words of a place (`subject`, `exchange`, `key`, …) a `send` takes → whether it must be there;
        empty: nothing can be sent."""
        ...

    @property
    def hears_at(self) -> Mapping[str, bool]:
        """The same for `receive`."""
        ...

    def hosts(self, keys: Any) -> Sequence[str]:
        """The hosts of its address, for the allow-list. Raises `ValueError` with the words for a person when the
        address cannot be one."""
        ...

    async def open(self, keys: Any, outlet: Outlet) -> Link:
        """Connect. Raises `ConnectionTrouble`, or what its library raises."""
        ...
