"""Logins that journeys share: the steps that log in, and the headers that every request carries then."""

from __future__ import annotations

from typing import Any

from synthmon.language.calls import compile_call, read_called
from synthmon.language.expressions import Expressions
from synthmon.language.faults import Faults
from synthmon.language.identity_sources import identity_names, sealed_names
from synthmon.language.marks import Path
from synthmon.language.names import RUN, Names
from synthmon.language.settings import Session
from synthmon.language.settings_read import SettingsRead
from synthmon.language.settings_schema import SessionKeys
from synthmon.language.sources import beside
from synthmon.language.step_parts import Parts
from synthmon.language.steps import Steps
from synthmon.language.systems import say_unknown_system
from synthmon.language.words import meant
from synthmon.language.workshop import Progress, Workshop


def compile_sessions(reading: SettingsRead, shop: Workshop) -> dict[str, Session]:
    """Every session of the settings; problems and files are told to `reading`."""
    made: dict[str, Session] = {}
    for name, (keys, faults) in reading.session_keys.items():
        faults.problems.clear()  # told already
        session = compile_session(name, keys, faults, shop)
        reading.problems.extend(faults.problems)
        if session is not None:
            made[name] = session
            reading.files[session.file] = shop.sources.fingerprint(session.file)
    for asked, path, faults in reading.auths:
        if asked not in reading.session_keys:
            faults.problems.clear()
            remedy = meant(asked, reading.session_keys, "Add it to `sessions:`.")
            faults.say(path, "unknown-session", f"The settings have no session `{asked}`.", remedy)
            reading.problems.extend(faults.problems)
    return made


def compile_session(name: str, keys: SessionKeys, faults: Faults, shop: Workshop) -> Session | None:
    """One entry of `sessions:`; None after a fault. Its steps see run.*, secret.* and, per identity, identity.*."""
    path: Path = ("sessions", name)
    progress = Progress(dict(session_names(keys, shop)), system=keys.system or "", sealed=_sealed(keys, shop))
    if keys.system and keys.system not in shop.settings.systems:
        say_unknown_system(keys.system, (*path, "system"), shop, faults)
    parts = Parts(shop, progress, faults)
    file = beside(faults.marks.file, keys.call)
    found = read_called(file, (*path, "call"), parts, faults)
    if found is None:
        return None
    inner, called = found
    steps = Steps(Parts(shop, progress, inner), compile_call).compile(called.steps, ("steps",))
    faults.problems.extend(inner.problems)
    expressions = Expressions(shop.shelf, faults)
    names = Names(progress.types, hidden=frozenset(progress.hidden) | progress.sealed)
    headers = tuple(
        (word, expressions.template(text, (*path, "headers", word), names)) for word, text in keys.headers.items()
    )
    if any(problem.level == "error" for problem in faults.problems):
        return None
    system = keys.system or (progress.implicit.name if progress.implicit else "")
    return Session(name, file, keys.keep, keys.per, headers, steps, system)


def _sealed(keys: SessionKeys, shop: Workshop) -> frozenset[str]:
    sources = shop.settings.identities.values() if keys.per == "identity" else ()
    return frozenset(name for source in sources for name in sealed_names(source))


def session_names(keys: SessionKeys, shop: Workshop) -> dict[str, str]:
    """What the steps of a session may use before they saved anything."""
    names: dict[str, Any] = dict(RUN) | {f"secret.{secret}": "string" for secret in shop.settings.secrets}
    if keys.per == "identity":
        for source in shop.settings.identities.values():
            names.update(identity_names(source))
    return names
