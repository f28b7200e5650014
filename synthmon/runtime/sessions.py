"""Logins that runs share: made when first needed, kept in memory, made anew when the target has forgotten them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthmon.core.door import Door, Trouble
from synthmon.core.errors import Place
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.intents import Journal
from synthmon.core.journey import Every, Journey
from synthmon.core.kinds import Kind
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Run, run_names
from synthmon.core.secrets import SecretError, Vault
from synthmon.core.transact import Transaction
from synthmon.core.verdict import record
from synthmon.language.settings import Session, Settings
from synthmon.runtime.book import Book
from synthmon.runtime.instants import Clock
from synthmon.runtime.perform import Performer

LOGIN_S = 30.0

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Login:
    """A login that holds: its headers with sealed secrets, and what the seals stand for."""

    headers: Headers
    learned: Mapping[str, str] = field(repr=False)
    until_s: float


class Sessions:
    """The logins of a daemon. One at a time is made for the same session and person."""

    def __init__(self) -> None:
        self._kept: dict[str, _Login] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def kept(self, key: str, now_s: float) -> _Login | None:
        """A login that still holds."""
        login = self._kept.get(key)
        return login if login is not None and now_s < login.until_s else None

    def keep(self, key: str, login: _Login) -> None:
        """Keep a login until its time is over."""
        self._kept[key] = login

    def drop(self, key: str) -> None:
        """Forget a login."""
        self._kept.pop(key, None)

    def turn(self, key: str) -> asyncio.Lock:
        """Held while a login is made."""
        return self._turns.setdefault(key, asyncio.Lock())


@dataclass(frozen=True, slots=True)
class RunSigner:
    """The sessions as one run uses them (`runtime.perform.Signer`): through its own door, for its own person."""

    sessions: Sessions
    settings: Settings
    kinds: Mapping[str, Kind]
    door: Door
    journal: Journal
    clock: Clock
    run: Run
    names: Mapping[str, Any]
    vault: Vault

    def wanted(self, auth: str, system: str) -> bool:
        return bool(self._name(auth, system))

    def drop(self, auth: str, system: str) -> None:
        self.sessions.drop(self._key(self.settings.sessions[self._name(auth, system)]))

    async def headers(self, auth: str, system: str) -> Headers | Trouble:
        session = self.settings.sessions[self._name(auth, system)]
        key = self._key(session)
        async with self.sessions.turn(key):
            login = self.sessions.kept(key, self.clock.monotonic_s())
            if login is None:
                made = await self._log_in(session)
                if isinstance(made, Trouble):
                    return made
                self.sessions.keep(key, made)
                login = made
        self.vault.adopt(login.learned)
        return login.headers

    async def _log_in(self, session: Session) -> _Login | Trouble:
        """Run the steps of the session as a small transaction of its own."""
        before = self.vault.learned().keys()
        journey = Journey(
            self.run.journey, Place(session.file), "", Every(60.0), LOGIN_S, session.system, session.steps
        )
        core = Transaction(journey, self.run, self.names, self.vault, self.clock.monotonic_s())
        book = Book(self.journal, f"{self.run.id}-{session.name}", lambda: core.opened(""))
        performer = Performer(self.run.id, self.run.journey, self.run.location, self.door, self.kinds, book, self.clock)
        await performer.drive(core, core.start())
        told = record(core)
        if told.outcome not in (Outcome.PASSED, Outcome.FLAKY):
            reason = told.reason or Reason.EXPRESSION
            return Trouble(reason, f"the login {session.name} did not come about: {told.message}", sent=False)
        try:
            scope = Scope({**run_names(self.run), **core.names})
            headers = tuple((name, self.vault.keep(text.render_text(scope))) for name, text in session.headers)
        except (ExpressionError, SecretError) as error:
            return Trouble(Reason.EXPRESSION, f"the headers of {session.name}: {error}", sent=False)
        learned = {word: value for word, value in self.vault.learned().items() if word not in before}
        return _Login(headers, learned, self.clock.monotonic_s() + session.keep_s)

    def _name(self, auth: str, system: str) -> str:
        known = self.settings.systems.get(system)
        return auth or (known.auth if known is not None else "")

    def _key(self, session: Session) -> str:
        if session.per != "identity":
            return session.name
        person = {name: value for name, value in self.names.items() if name.startswith("identity.")}
        return f"{session.name} {hashlib.sha256(json.dumps(person, sort_keys=True).encode()).hexdigest()}"
