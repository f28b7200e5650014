"""Where evidence comes from: logs, spans, rows and queues of the systems under test, one kind of source each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from synthmon.core.door import HttpAnswer, OpenEar, Rows, Trouble
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.inbound import Telemetry
from synthmon.core.plugins import Plugin
from synthmon.core.system import System

DEFAULT_SKEW_S = 0.01


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of `evidence:`. `word` chose its kind; `keys` are that kind's own, checked.

    `lag_s` is how long after something happened the source may still not tell of it; `map` says where a record keeps a
    part (see `fields.FIELDS`). `system` is where a back end with an HTTP API is, guarded like any other; `connection`
    names one of the settings. `references` are secrets by key.
    """

    name: str
    word: str
    keys: Any
    lag_s: float = 2.0
    map: Mapping[str, str] = field(default_factory=dict)
    skew_s: float = DEFAULT_SKEW_S  # how far the clocks of its records may be apart while nothing better is known
    vouched: bool = False  # whether somebody said so, so that it holds beside what is learnt
    exclusive: bool = False  # of a count: nobody else's messages go there
    system: System | None = None
    connection: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


class Means(Protocol):
    """What the shell lends a source for one run; everything leaves through the run's door."""

    def now_ns(self) -> int:
        """Unix nanoseconds, by our clock."""
        ...

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer | Trouble:
        """One read at the back end of the source, `path` behind its base; a secret `token` or `password` of the source
        goes along by itself: `Authorization: Bearer …` (or what its keys name as `scheme`), or Basic with their `user`;
        so does their `tenant`, as `X-Scope-OrgID`. A body is JSON unless `headers` says another `Content-Type`."""
        ...

    async def rows(self, sql: str, params: Mapping[str, Any]) -> Rows | Trouble:
        """One query over the source's connection."""
        ...

    async def count(self, at: Mapping[str, str]) -> int | Trouble:
        """How many messages wait at a place of the source's connection, without touching them."""
        ...

    def hear_telemetry(self, deliver: Callable[[Telemetry], bool]) -> Callable[[], None]:
        """Hear of everything that comes in by OTLP; call what is answered to hear no more."""
        ...

    def secret(self, name: str) -> str:
        """The value of one of `Source.references`; empty where there is none."""
        ...


class SourceKind(Plugin, Protocol):
    """Every file under `synthmon/evidence/` (or an entry point `synthmon.evidence`) has one, named `SOURCE`."""

    @property
    def secrets(self) -> frozenset[str]:
        """Those of its keys whose values are references to secrets."""
        ...

    @property
    def counts(self) -> bool:
        """Whether it tells how many things wait somewhere, and no records: what `empty` is judged by."""
        ...

    def base(self, keys: Any) -> str:
        """The absolute URL of its back end; empty when it has none. Raises `ValueError` with words for a person."""
        ...

    def connection(self, keys: Any) -> str:
        """The connection of the settings that it asks; empty when it asks none."""
        ...

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Tell, until closed, of every record of this run: each once, whatever comes in its way (pages, order, what
        the back end's filter lets through). Between two looks it tells a `Watermark`: everything that happened until
        then was told, by the lag that the settings promise. While it cannot look it tells `Blind`; once it has caught
        up, a `Watermark` again. Never raises for what the back end does.

        What is answered may be a `Widens` too: then it learns the ids that steps save. One that is none goes on with
        the keys that it was given."""
        ...


@runtime_checkable
class Widens(OpenEar, Protocol):
    """A watch that can be told, while it lasts, of more keys by which records are this run's."""

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these too: in what comes, and in all that came since the run began, for a record may be older than
        the answer that told us its id. Tells nothing before it returns. From then on a `Watermark` vouches for these
        keys as well: a look that began without them gives none. What came and can no longer be looked through is told
        as `Blind`, and no `Watermark` follows."""
        ...
