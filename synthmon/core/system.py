"""A system under test as the settings describe it: where it is, and what may be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tls:
    """Files (or `env:`/`file:` references) for a private CA and a client certificate."""

    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """Who is tested. `base` maps a location (`""` = any) to an absolute URL; hosts outside `allow` are refused."""

    name: str
    base: Mapping[str, str]
    allow: tuple[str, ...]
    allow_networks: tuple[str, ...] = ()  # CIDRs; without, an allowed name may resolve to public addresses only
    writes: bool | tuple[str, ...] = False  # or a list of "METHOD /path"
    rate_per_s: float | None = None
    concurrency: int | None = None
    budget_runs_per_h: int | None = None
    budget_creates_per_d: int | None = None
    budget_debts: int = 100  # with more open debts than these nothing is created here any more
    replay: bool = False
    propagate: bool = True
    tls: Tls = Tls()
    follow: bool = False
    auth: str = ""
    transport: str = "wire"  # or "stock"

    def base_at(self, location: str) -> str:
        """The base URL for a location."""
        return self.base.get(location) or self.base.get("") or next(iter(self.base.values()))


@dataclass(frozen=True, slots=True)
class Propagation:
    """Headers added to the default correlation stamps of every request; values are templates over `run.*`."""

    headers: Mapping[str, str] = field(default_factory=dict)
