"""Logins that runs share: made when first needed, kept in memory, made anew when the target has forgotten them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from synthmon.core.door import Door, Trouble
from synthmon.core.errors import Place
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Every, Journey
from synthmon.core.kinds import Kind
from synthmon.core.outcomes import Outcome, Reason, outcome_of
from synthmon.core.run import Run, run_names
from synthmon.core.secrets import SecretError, Vault
from synthmon.core.transact.transaction import Transaction
from synthmon.core.transact.verdict import record
from synthmon.core.undo.intents import Journal
from synthmon.language.settings import Session, Settings
from synthmon.runtime.book import Book
from synthmon.runtime.instants import Clock
from synthmon.runtime.perform import Performer

LOGIN_S = 30.0
MOST_ANEW, ANEW_S = 3, 60.0  # logins in the place of one that the target no longer knows
FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0  # after a login that was refused

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Login:
    """A login that holds: its headers with sealed secrets, and what the seals stand for."""

    headers: Headers
    learned: Mapping[str, str] = field(repr=False)
    until_s: float


@dataclass(frozen=True, slots=True)
class _Refused:
    """A login that did not come about, and until when nobody tries again."""

    trouble: Trouble
    rest_s: float
    until_s: float


class Sessions:
    """The logins of a daemon. One at a time is made for the same session and person.

    However many runs meet a 401 at once, the first to tell has the login made anew and the others use that one; a
    target that answers 401 whatever it is shown is asked for `MOST_ANEW` new logins in `ANEW_S` seconds, no more, and
    one that refuses the login is left alone for longer and longer. `remember` hears of every secret that a login
    brought.
    """

    def __init__(self, remember: Callable[[Iterable[str]], None] = lambda values: None) -> None:
        self._remember = remember
        self._kept: dict[str, _Login] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._anew: dict[str, deque[float]] = {}
        self._refused: dict[str, _Refused] = {}

    def kept(self, key: str, now_s: float) -> _Login | None:
        """A login that still holds."""
        login = self._kept.get(key)
        return login if login is not None and now_s < login.until_s else None

    def keep(self, key: str, login: _Login) -> None:
        """Keep a login until its time is over."""
        self._kept[key] = login
        self._refused.pop(key, None)
        self._remember(login.learned.values())

    def refused(self, key: str, now_s: float) -> Trouble | None:
        """Why there is no login, while it is too early to ask again."""
        refused = self._refused.get(key)
        return refused.trouble if refused is not None and now_s < refused.until_s else None

    def refuse(self, key: str, trouble: Trouble, now_s: float) -> None:
        """The target refused the login."""
        before = self._refused.get(key)
        rest_s = FIRST_REST_S if before is None else min(before.rest_s * 2, LONGEST_REST_S)
        self._refused[key] = _Refused(trouble, rest_s, now_s + rest_s)

    def renew(self, key: str, used: Headers, now_s: float) -> bool:
        """The target answered 401 to these headers: forget that login, unless it has a successor already. False when
        another would not help."""
        login = self._kept.get(key)
        if login is None or login.headers is not used:
            return True
        times = self._anew.setdefault(key, deque(maxlen=MOST_ANEW))
        if len(times) == MOST_ANEW and now_s - times[0] < ANEW_S:
            return False
        times.append(now_s)
        del self._kept[key]
        return True

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

    def renew(self, auth: str, system: str, used: Headers) -> bool:
        key = self._key(self.settings.sessions[self._name(auth, system)])
        return self.sessions.renew(key, used, self.clock.monotonic_s())

    async def headers(self, auth: str, system: str, clean_up: bool = False) -> Headers | Trouble:
        session = self.settings.sessions[self._name(auth, system)]
        key = self._key(session)
        async with self.sessions.turn(key):
            login = self.sessions.kept(key, self.clock.monotonic_s())
            if login is None:
                if (refused := self.sessions.refused(key, self.clock.monotonic_s())) is not None:
                    return refused
                with self.vault.noting() as words:
                    made = await self._log_in(session, clean_up)
                if isinstance(made, Trouble):
                    if outcome_of(made.reason) is Outcome.FAILED:
                        self.sessions.refuse(key, made, self.clock.monotonic_s())
                    return made
                learned = {word: value for word, value in self.vault.learned().items() if word in words}
                login = _Login(made, learned, self.clock.monotonic_s() + session.keep_s)
                self.sessions.keep(key, login)
        self.vault.adopt(login.learned)
        return login.headers

    async def _log_in(self, session: Session, clean_up: bool) -> Headers | Trouble:
        """Run the steps of the session as a small transaction of its own: the headers that requests carry then."""
        journey = Journey(
            self.run.journey, Place(session.file), "", Every(60.0), LOGIN_S, session.system, session.steps
        )
        core = Transaction(journey, self.run, self.names, self.vault, self.clock.monotonic_s())
        book = Book(self.journal, f"{self.run.id}-{session.name}", self.vault, lambda: core.opened(""))
        performer = Performer(
            self.run.id,
            self.run.journey,
            self.run.location,
            self.door,
            self.kinds,
            book,
            self.clock,
            clean_up=clean_up,
        )
        await performer.drive(core, core.start())
        told = record(core)
        if told.outcome not in (Outcome.PASSED, Outcome.FLAKY):
            reason, said = told.reason or Reason.EXPRESSION, self.vault.redact(told.message)
            return Trouble(reason, f"the login {session.name} did not come about: {said}", sent=False)
        try:
            scope = Scope({**run_names(self.run), **core.names})
            return tuple((name, self.vault.keep(text.render_text(scope))) for name, text in session.headers)
        except (ExpressionError, SecretError) as error:
            return Trouble(Reason.EXPRESSION, f"the headers of {session.name}: {error}", sent=False)

    def _name(self, auth: str, system: str) -> str:
        known = self.settings.systems.get(system)
        return auth or (known.auth if known is not None else "")

    def _key(self, session: Session) -> str:
        if session.per != "identity":
            return session.name
        person = {name: value for name, value in self.names.items() if name.startswith("identity.")}
        return f"{session.name} {hashlib.sha256(json.dumps(person, sort_keys=True).encode()).hexdigest()}"
