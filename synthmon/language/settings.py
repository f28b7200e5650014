"""The settings of a daemon as they are meant: which systems, secrets, people and limits there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from synthmon.core.connections import Connection
from synthmon.core.journey import Alert, Step
from synthmon.core.sources import Source
from synthmon.core.system import Propagation, System, Tls
from synthmon.core.templates import Template


@dataclass(frozen=True, slots=True)
class Invented:
    """People made up for each run (`synthmon.identities.invent`)."""

    fields: tuple[str, ...]
    locale: str = "en_GB"
    domain: str = "synthetic.example.com"


@dataclass(frozen=True, slots=True)
class Accounts:
    """Test accounts that exist; each is leased to one run at a time. All have the same fields.

    `sealed` are the fields that are secret: in `accounts` each is a place (`env:NAME`) or the secret itself.
    """

    file: str
    cooldown_s: float
    max_use: int | None
    accounts: tuple[Mapping[str, str], ...] = field(repr=False)
    sealed: frozenset[str] = frozenset()


IdentitySource = Invented | Accounts


@dataclass(frozen=True, slots=True)
class Session:
    """A login that journeys share, one for each `identity` or one for the `daemon`.

    `headers` are added to every request that uses it.
    """

    name: str
    file: str
    keep_s: float
    per: str
    headers: tuple[tuple[str, Template], ...]
    steps: tuple[Step, ...]
    system: str = ""


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """A time in which these journeys (globs) do not start: from each slot of `cron` on, for `for_s`."""

    cron: str
    for_s: float
    journeys: tuple[str, ...] = ("*",)
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Default:
    """What journeys (globs) have if they say nothing of their own."""

    journeys: tuple[str, ...]
    owner: str = ""
    runbook: str = ""
    alert: Alert | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def meant_for(self, name: str) -> bool:
        """Whether a journey of this name gets it."""
        return any(fnmatchcase(name, glob) for glob in self.journeys)


@dataclass(frozen=True, slots=True)
class VaultServer:
    """A HashiCorp Vault, and how to log in there: with `token`, as AppRole `role_id`, or as Kubernetes `role`.

    `token`, `role_id`, `secret_id` and `jwt` are references; `mount` is where the method of the login is mounted.
    """

    address: str
    namespace: str = ""
    token: str = ""
    role_id: str = ""
    secret_id: str = ""
    role: str = ""
    jwt: str = ""
    mount: str = ""
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Inbound:
    """Where others call us: hooks and OTLP. `url` is what addresses of hooks begin with (default: where it listens);
    `token` is a reference, as in `Settings.secrets`."""

    listen: str
    url: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that journeys refer to by name, and how the daemon itself runs."""

    systems: Mapping[str, System] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    evidence: Mapping[str, Source] = field(default_factory=dict)
    identities: Mapping[str, IdentitySource] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # name -> env:, file:, exec: or vault: and what follows
    vault: VaultServer | None = None
    refresh_s: float = 300.0  # how often exec: and vault: are read again
    sessions: Mapping[str, Session] = field(default_factory=dict)
    propagation: Propagation = Propagation()
    defaults: tuple[Default, ...] = ()
    quiet: tuple[QuietWindow, ...] = ()
    store: str = "sqlite:///synthmon.db"
    listen: str = "127.0.0.1:9880"
    concurrency: int = 200  # runs at once, in the whole daemon
    grace_s: float = 30.0  # how long runs may go on after SIGTERM
    web_config: str = ""  # a file in the format of Prometheus' exporter toolkit
    web_token: str = ""  # a reference, as in `secrets`
    hooks: Inbound | None = None
    retention_s: float = 30 * 86400.0
    retention_failed_s: float = 90 * 86400.0
    keep_evidence: int = 200  # good runs of a journey and location that keep it; bad ones keep it always
    location: str = ""
    instance: str = ""  # a part of every namespace, so that what others made is never taken for ours
    debts: int = 500  # with more open debts than these nothing is created any more
    stop_file: str = ""  # while it exists everything is paused; empty: beside the store
    files: tuple[str, ...] = ()  # where they were read from, in order
