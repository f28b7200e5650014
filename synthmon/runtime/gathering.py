"""What sources of evidence are lent: reads through the run's own door, telemetry as it comes in, our clock."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from synthmon.core.door import Door, Envelope, HttpAnswer, HttpRequest, OpenEar, Rows, Trouble
from synthmon.core.evidence import Blind, Report, Tell, Wanted, Watermark
from synthmon.core.inbound import Otlp, Telemetry
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Source, SourceKind, Widens

TIMEOUT_S = 10.0  # of one look at a back end


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Begins to watch a source for a run; one for all runs, until the settings change.

    `secret` opens a reference of a source: (source, key) → value. Raises `SecretError`.
    """

    kinds: Mapping[str, SourceKind]
    otlp: Callable[[], Otlp | None]
    secret: Callable[[str, str], str]

    async def watch(self, source: Source, wanted: Wanted, door: Door, journey: str, tell: Tell) -> OpenEar:
        """See `core.sources.SourceKind.watch`."""
        means = _Means(self, source, door, wanted.run_id, journey)
        return await self.kinds[source.word].watch(source, wanted, means, tell)


class Watching:
    """What is sought at one source for one run: keys may be learnt before its ear is open, and while it is.

    Until the ear knows them, its watermarks vouch for too little and are not passed on.
    """

    def __init__(self, source: Source, tell: Tell) -> None:
        self._source, self._tell = source, tell
        self._ear: OpenEar | None = None
        self._early: tuple[str, ...] = ()

    def tell(self, report: Report) -> None:
        """What the source tells."""
        if not (self._early and isinstance(report, Watermark)):
            self._tell(report)

    def begin(self, ear: OpenEar) -> None:
        """It is open from now on."""
        self._ear = ear
        self.widen(())

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these too. A source with a defect is blind, and costs no run."""
        self._early += keys
        if self._ear is None or not self._early:
            return
        keys, self._early = self._early, ()
        if not isinstance(self._ear, Widens):
            return
        try:
            self._ear.widen(keys)
        except Exception as error:  # noqa: BLE001  a defect of a kind costs one clause and not the run
            said = f"{type(error).__name__} in the source {self._source.word}"
            blind = Blind(self._source.name, Reason.BROKEN, said)
            asyncio.get_running_loop().call_soon(self._tell, blind)  # who asks for it is in the midst of other acts


class _Means:
    """`core.sources.Means` of one source and one run."""

    def __init__(self, gatherer: Gatherer, source: Source, door: Door, run_id: str, journey: str) -> None:
        self._gatherer, self._source, self._door = gatherer, source, door
        system = source.system.name if source.system else ""
        self._envelope = Envelope(run_id, journey, system, timeout_s=TIMEOUT_S)

    def now_ns(self) -> int:
        return time.time_ns()

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer | Trouble:
        url = f"{path}?{urlencode(params)}" if params else path
        sent = {"Accept": "application/json", **dict(self._authorization()), **dict(self._tenant())}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        return await self._door.http(HttpRequest(method, url, tuple(sent.items()), body), self._envelope)

    async def rows(self, sql: str, params: Mapping[str, Any]) -> Rows | Trouble:
        return await self._door.query(self._source.connection, sql, params, self._envelope)

    async def count(self, at: Mapping[str, str]) -> int | Trouble:
        return await self._door.count(self._source.connection, at, self._envelope)

    def hear_telemetry(self, deliver: Callable[[Telemetry], bool]) -> Callable[[], None]:
        otlp = self._gatherer.otlp()
        return otlp.subscribe(deliver) if otlp is not None else lambda: None

    def secret(self, name: str) -> str:
        return self._gatherer.secret(self._source.name, name) if name in self._source.references else ""

    def _authorization(self) -> list[tuple[str, str]]:
        if token := self.secret("token"):
            return [("Authorization", f"{getattr(self._source.keys, 'scheme', 'Bearer')} {token}")]
        if password := self.secret("password"):
            user = getattr(self._source.keys, "user", "")
            return [("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())]
        return []

    def _tenant(self) -> list[tuple[str, str]]:
        tenant = getattr(self._source.keys, "tenant", "")
        return [("X-Scope-OrgID", tenant)] if tenant else []  # what Loki, Tempo and Mimir ask of each request
