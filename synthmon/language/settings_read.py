"""From settings files to `Settings`, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from synthmon.core.errors import Place, Problem
from synthmon.core.journey import Alert
from synthmon.core.system import Propagation, System, Tls
from synthmon.language.connections import find_connections, read_connections
from synthmon.language.evidence import find_sources, read_sources
from synthmon.language.expressions import Expressions, Shelf
from synthmon.language.faults import Faults, check_keys, keys_of
from synthmon.language.identity_sources import read_identity
from synthmon.language.marks import Path
from synthmon.language.names import RUN, Names
from synthmon.language.schedule import compile_cron
from synthmon.language.schema import NOT_YET, AlertKeys, JourneyKeys
from synthmon.language.secret_places import check_secret
from synthmon.language.settings import Default, IdentitySource, Inbound, QuietWindow, Settings
from synthmon.language.settings_schema import SettingsKeys, SystemKeys
from synthmon.language.sources import Sources, why
from synthmon.language.unsafe import owned_domains, say_unsafe
from synthmon.language.vaults import read_vault

_ELSEWHERE = dict.fromkeys(keys_of(JourneyKeys), "a journey, not of the settings")


class SettingsRead:
    """Settings files, one after the other; entries of a later one replace those of the same name."""

    def __init__(self, sources: Sources, environ: Mapping[str, str]) -> None:
        self.sources, self.environ = sources, environ
        self.problems: list[Problem] = []
        self.settings = Settings()
        self.auths: list[tuple[str, Path, Faults]] = []  # sessions that systems name
        self.session_keys: dict[str, tuple[Any, Faults]] = {}  # compiled when everything else is known
        self.budget_places: dict[str, Place] = {}
        self.files: dict[str, str] = {}

    def add(self, file: str) -> None:
        """Read one more file."""
        self.files[file] = self.sources.fingerprint(file)
        try:
            documents, problems = self.sources.documents(file)
        except OSError as error:
            fault = f"The settings cannot be read: {why(error)}."
            self.problems.append(
                Problem(Place(file), "unreadable-file", fault, "Correct the path given by --settings.")
            )
            return
        self.problems.extend(problems)
        for document in documents:
            faults = Faults(document.marks)
            keys = check_keys(SettingsKeys, document.tree, (), faults, NOT_YET["settings"], _ELSEWHERE, hollow=True)
            if keys is not None:
                self._merge(keys, document.tree, faults, file)
                sent = (("sessions",), ("propagation",))  # what requests carry
                say_unsafe(document.tree, sent, owned_domains(self.settings), faults)
            self.problems.extend(faults.problems)

    def _merge(self, keys: SettingsKeys, tree: dict[str, Any], faults: Faults, file: str) -> None:
        old = self.settings
        for name, reference in keys.secrets.items():
            check_secret(name, reference, ("secrets", name), self.environ, faults)
        for name, session in keys.sessions.items():
            self.session_keys[name] = (session, faults)
        connections = {**old.connections, **read_connections(keys.connections, find_connections(), faults)}
        limits, web, kept = keys.limits, keys.web, keys.retention
        self.settings = Settings(
            systems={**old.systems, **self._systems(keys.systems, faults)},
            connections=connections,
            evidence={**old.evidence, **read_sources(keys.evidence, find_sources(), connections, faults)},
            identities={**old.identities, **self._identities(keys, faults)},
            secrets={**old.secrets, **keys.secrets},
            vault=read_vault(keys.vault, faults) or old.vault,
            refresh_s=(limits and limits.refresh) or old.refresh_s,
            sessions=old.sessions,
            propagation=_propagation(keys, faults) or old.propagation,
            defaults=(*_defaults(keys), *old.defaults),
            quiet=_quiet(keys, faults) if "quiet" in tree else old.quiet,
            store=keys.store or old.store,
            listen=_listen(keys, faults) or old.listen,
            concurrency=(limits and limits.concurrency) or old.concurrency,
            grace_s=(limits and limits.grace) or old.grace_s,
            web_config=(web and web.config) or old.web_config,
            web_token=(web and web.token) or old.web_token,
            hooks=_hooks(keys, faults) or old.hooks,
            retention_s=(kept and kept.passed) or old.retention_s,
            retention_failed_s=(kept and kept.failed) or old.retention_failed_s,
            keep_evidence=old.keep_evidence if kept is None or kept.keep_evidence is None else kept.keep_evidence,
            location=keys.location or old.location,
            instance=keys.instance or old.instance,
            debts=old.debts if limits is None or limits.debts is None else limits.debts,
            stop_file=keys.stop_file or old.stop_file,
            files=(*old.files, file),
        )

    def _systems(self, keys: Mapping[str, SystemKeys], faults: Faults) -> dict[str, System]:
        made = {}
        for name, one in keys.items():
            path: Path = ("systems", name)
            made[name] = _system(name, one, path, faults)
            if one.auth:
                self.auths.append((one.auth, (*path, "auth"), faults))
            self.budget_places[name] = faults.marks.value((*path, "budget"))
        return made

    def _identities(self, keys: SettingsKeys, faults: Faults) -> dict[str, IdentitySource]:
        made = (
            (name, read_identity(one, ("identities", name), self.sources, self.files, faults))
            for name, one in keys.identities.items()
        )
        return {name: source for name, source in made if source is not None}


def _system(name: str, keys: SystemKeys, path: Path, faults: Faults) -> System:
    hosts = []
    for place, url in keys.base.items():
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            at: Path = (*path, "base", place) if place else (*path, "base")
            faults.say(at, "bad-base", f"{url!r} is not an absolute URL.", "Write https://host or https://host/path.")
            continue
        if parts.username or parts.password:
            at = (*path, "base", place) if place else (*path, "base")
            fault, remedy = "A user or a password stands in the address.", "Send `Authorization: ${basic(…)}` instead."
            faults.say(at, "bad-base", fault, remedy)
        if parts.hostname not in hosts:
            hosts.append(parts.hostname)
    writes = keys.writes if isinstance(keys.writes, bool) else tuple(keys.writes)
    return System(
        name=name,
        base=dict(keys.base),
        allow=tuple(keys.allow) or tuple(hosts),
        allow_networks=tuple(keys.networks),
        writes=writes,
        rate_per_s=keys.rate,
        concurrency=keys.concurrency,
        budget_runs_per_h=_whole(keys.budget.runs),
        budget_creates_per_d=_whole(keys.budget.creates),
        budget_debts=keys.budget.debts,
        replay=keys.replay == "allow",
        propagate=keys.propagate,
        tls=Tls(keys.tls.ca, keys.tls.cert, keys.tls.key),
        follow=keys.follow,
        auth=keys.auth,
        transport=keys.transport,
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else max(int(number), 1)


def _propagation(keys: SettingsKeys, faults: Faults) -> Propagation | None:
    if keys.propagation is None:
        return None
    expressions = Expressions(Shelf(), faults)
    for name, text in keys.propagation.headers.items():
        expressions.template(text, ("propagation", "headers", name), Names(RUN))
    return Propagation(dict(keys.propagation.headers))


def _defaults(keys: SettingsKeys) -> tuple[Default, ...]:
    return tuple(
        Default(tuple(one.journeys), one.owner, one.runbook, alert(one.alert), dict(one.labels))
        for one in keys.defaults
    )


def _quiet(keys: SettingsKeys, faults: Faults) -> tuple[QuietWindow, ...]:
    made = []
    for i, one in enumerate(keys.quiet):
        cron = compile_cron(one.cron, one.timezone, ("quiet", i, "cron"), ("quiet", i, "timezone"), faults)
        made.append(QuietWindow(cron.text, one.for_, tuple(one.journeys), cron.timezone))
    return tuple(made)


def _listen(keys: SettingsKeys, faults: Faults) -> str:
    if keys.listen is None:
        return ""
    _check_listen(keys.listen, ("listen",), "127.0.0.1:9880", faults)
    return keys.listen


def _hooks(keys: SettingsKeys, faults: Faults) -> Inbound | None:
    told = keys.hooks
    if told is None:
        return None
    _check_listen(told.listen, ("hooks", "listen"), "127.0.0.1:9881", faults)
    parts = urlsplit(told.url or "")
    if told.url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        fault, remedy = f"{told.url!r} is not an absolute URL.", "Write https://host or https://host/path."
        faults.say(("hooks", "url"), "bad-base", fault, remedy)
    return Inbound(told.listen, (told.url or "").rstrip("/"), told.token or "")


def _check_listen(listen: str, path: Path, such_as: str, faults: Faults) -> None:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        faults.say(path, "bad-listen", f"{listen!r} is not an address and a port.", f"Write {such_as}.")


def alert(keys: AlertKeys | None) -> Alert | None:
    """The alert that somebody asked for."""
    return Alert(keys.severity, keys.after, keys.locations) if keys else None


def settings_of(read: SettingsRead, files: Sequence[str]) -> Settings:
    """Read every file; the problems are in `read`."""
    for file in files:
        read.add(file)
    return read.settings
