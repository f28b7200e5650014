"""What marks every request as synthetic and as this run's: trace context, baggage, ids, the user agent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from synthmon import __version__

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Marks:
    """Who asks: a run (32 hex digits, the W3C trace id), its journey, headers that the settings add, what is in the
    baggage beside the marks (its members as they travel)."""

    run_id: str
    journey: str
    headers: Mapping[str, str]
    more: str = ""
    agent: str = field(init=False)
    baggage: str = field(init=False)

    def __post_init__(self) -> None:
        name = quote(self.journey, safe="/")
        baggage = f"synthetic_request=true,synthmon.run={self.run_id},synthmon.journey={name}"
        baggage = _joined(baggage, self.more, ",")
        object.__setattr__(self, "agent", f"synthmon/{__version__} (synthetic; {self.journey})")
        object.__setattr__(self, "baggage", baggage)

    def put_on(self, headers: Iterable[tuple[str, str]], nth: int, key: str | None, propagate: bool) -> Headers:
        """The headers of the run's nth request: the writer's own, then the marks.

        The writer's headers win, except that `baggage` and `tracestate` are joined with ours and our product stays in
        `user-agent`. Without `propagate` only the user agent goes out, and a write's key as a digest that tells a
        stranger nothing about the run.
        """
        headers = list(headers)
        theirs = {name.lower(): value for name, value in headers}
        ours: dict[str, str] = {"user-agent": _joined(theirs.get("user-agent"), self.agent, " ")}
        if propagate:
            ours["traceparent"] = f"00-{self.run_id}-{span_id(self.run_id, nth)}-01"
            ours["tracestate"] = _joined(f"synthmon={self.run_id}", theirs.get("tracestate"), ",")
            ours["baggage"] = _joined(theirs.get("baggage"), self.baggage, ",")
            ours["x-correlation-id"] = self.run_id
            ours.update((name.lower(), value) for name, value in self.headers.items())
        if key is not None:
            ours["idempotency-key"] = key if propagate else hashlib.sha256(key.encode()).hexdigest()[:32]
        kept = [(name, value) for name, value in headers if name.lower() not in _JOINED]
        return kept + [(name, value) for name, value in ours.items() if name in _JOINED or name not in theirs]


def span_id(run_id: str, nth: int) -> str:
    """The span id of a run's nth request: 16 hex digits, the same in every replay of the run's transcript."""
    return hashlib.sha256(f"{run_id}:{nth}".encode()).hexdigest()[:16]


def _joined(first: str | None, second: str | None, by: str) -> str:
    return by.join(part for part in (first, second) if part)


_JOINED = frozenset(("user-agent", "tracestate", "baggage"))
