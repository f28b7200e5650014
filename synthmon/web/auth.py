"""Who may come in: a bearer token, a user with a bcrypt password, or anybody where only this machine can knock."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import bcrypt

from synthmon.core.errors import Invalid, Place, Problem

SHORTEST_TOKEN = 16
_REMEMBERED = 256
_MOST_WAITING = 32
_LONGEST_PASSWORD = 72  # bytes that bcrypt looks at


@dataclass(frozen=True, slots=True)
class Access:
    """Tokens in plain text, and users with bcrypt hashes; neither: anybody may come in."""

    tokens: tuple[str, ...] = field(default=(), repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def anonymous(self) -> bool:
        """Whether nobody is asked."""
        return not self.tokens and not self.users


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check(host: str, access: Access, place: Place, certified: bool = False) -> None:
    """Raise `Invalid` when anybody on the network could come in, or when a token is short enough to be guessed.

    `certified`: TLS lets nobody in without a client certificate that was verified.
    """
    problems = []
    if access.anonymous and not certified and not is_loopback(host):
        fault = f"listens on {host}, and nobody is asked who they are."
        remedy = "Listen on 127.0.0.1, or give a token or a web config file with basic_auth_users."
        problems.append(Problem(place, "open-door", fault, remedy))
    if any(len(token) < SHORTEST_TOKEN for token in access.tokens):
        fault, remedy = "a token is too short.", f"Use at least {SHORTEST_TOKEN} characters: `openssl rand -hex 24`."
        problems.append(Problem(place, "short-token", fault, remedy))
    if problems:
        raise Invalid(problems)


class Crowded(Exception):
    """Too many passwords are being checked already."""


class Doorkeeper:
    """Judges the Authorization header of every request.

    bcrypt is slow on purpose (60 ms and more): it runs in a thread, one at a time, so that guessing never takes more
    than one core, and its answers are remembered under a keyed hash, as the Prometheus exporter-toolkit does; the right
    ones apart from the wrong ones, so that guessing does not drive them out. With 32 waiting the others are sent away.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._key = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._nobody = bcrypt.hashpw(os.urandom(16).hex().encode(), _like(access.users)) if access.users else b""

    @property
    def asks_for(self) -> str:
        """The `WWW-Authenticate` header of a refusal."""
        ways = (["Basic"] if self._access.users else []) + (["Bearer"] if self._access.tokens else [])
        return ", ".join(f'{way} realm="synthmon"' for way in ways)

    async def admits(self, authorization: str) -> bool:
        """Whether a request with this header may come in. Raises `Crowded`."""
        if self._access.anonymous:
            return True
        scheme, _, given = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                return self._is_token(given.strip())
            case "basic":
                return await self._is_user(given.strip())
        return False

    def _is_token(self, given: str) -> bool:
        hashed = self._hash(given)
        # every token is looked at, so that the time tells nothing
        return sum(hmac.compare_digest(hashed, self._hash(token)) for token in self._access.tokens) > 0

    async def _is_user(self, given: str) -> bool:
        try:
            name, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            return False
        if not self._access.users or not colon or len(password.encode()) > _LONGEST_PASSWORD or "\0" in password:
            return False
        hashed = self._hash(given)
        if (known := self._remembered(hashed)) is not None:
            return known
        if self._waiting >= _MOST_WAITING:
            raise Crowded
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                if (known := self._remembered(hashed)) is not None:
                    return known
                return self._remember(hashed, await asyncio.to_thread(self._verify, name, password))
        finally:
            self._waiting -= 1

    def _remembered(self, hashed: bytes) -> bool | None:
        for answers, right in ((self._right, True), (self._wrong, False)):
            if hashed in answers:
                answers.move_to_end(hashed)
                return right
        return None

    def _remember(self, hashed: bytes, right: bool) -> bool:
        answers = self._right if right else self._wrong
        answers[hashed] = None
        if len(answers) > _REMEMBERED:
            answers.popitem(last=False)
        return right

    def _verify(self, name: str, password: str) -> bool:
        hashed = self._access.users.get(name)
        # an unknown name takes as long as a known one
        matches = bcrypt.checkpw(password.encode(), hashed.encode() if hashed else self._nobody)
        return matches and hashed is not None

    def _hash(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _like(users: Mapping[str, str]) -> bytes:
    """A salt as costly as that of the first user."""
    cost = int(next(iter(users.values())).split("$")[2])
    return bcrypt.gensalt(min(cost, 14))
