"""Which address is awaited, by whom, and whether a call on it is to be believed."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from synthmon.core.inbound import MOST_REFUSED, Address, Call, Crowded, Hook, Refuse, Reply, Take, unheard
from synthmon.core.signatures import Stamp, flaw, is_signed, read_stamp

MOST_HOOKS = 20_000
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN_CHARS = 32  # of 62: 190 bits

NOT_SIGNED = Reply(401, body=b"The signature is missing, wrong or out of date.\n")
SEEN_BEFORE = Reply(409, body=b"A call with this webhook-id was taken already.\n")
ENOUGH = Reply(429, body=b"No more calls are taken here.\n")
NO_ROOM = Reply(503, {"retry-after": "1"}, b"No room at the moment: come again.\n")


@dataclass(slots=True)
class Line:
    """One armed address, and what came in on it."""

    hook: Hook
    deliver: Take
    refused: Refuse
    until_s: float
    taken: int = 0
    turned_away: int = 0
    ids: set[str] = field(default_factory=set)


class Switchboard:
    """The open addresses of one process. All methods are called on the event loop.

    `base` is what addresses begin with, `https://hooks.example.com`; `refused` hears of every call that was not
    taken, with one of the words method, unsigned, replayed, too_many, too_large, cut_short, no_room.
    """

    def __init__(
        self,
        base: str = "",
        refused: Callable[[str], None] = lambda word: None,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base = base
        self._refused = refused
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        self._key = os.urandom(32)
        self._lines: dict[bytes, Line] = {}

    def open(self, hook: Hook, deliver: Take, refused: Refuse = unheard) -> Address:
        """Arm a hook. Raises `Crowded`."""
        now_s = self._monotonic_s()
        if len(self._lines) >= MOST_HOOKS:
            self._forget(now_s)
        if len(self._lines) >= MOST_HOOKS:
            raise Crowded(f"{MOST_HOOKS} addresses are open already.")
        token = "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_CHARS))
        self._lines[self._name(token)] = Line(hook, deliver, refused, now_s + hook.expires_s)
        return Address(token, f"{self.base}/h/{token}")

    def close(self, address: Address) -> None:
        """Disarm it."""
        self._lines.pop(self._name(address.token), None)

    def find(self, token: str) -> Line | None:
        """The open line of a token; None, after the same work, for one that never was, is closed or expired."""
        name = self._name(token)
        line = self._lines.get(name)  # keyed by a hash that nobody outside can aim: its timing tells nothing
        if line is not None and line.until_s <= self._monotonic_s():
            del self._lines[name]
            return None
        return line

    def precheck(self, line: Line, headers: Mapping[str, str]) -> Stamp | Reply | None:
        """Before a byte of the body is read: the stamp of a signed call (None: none is asked for), or the refusal."""
        if line.taken >= line.hook.most_calls:
            return self._one_too_many(line)
        if not line.hook.key:
            return None
        now_s = self._wall_s()
        stamp = read_stamp(headers, now_s)
        if stamp is None:
            return self.refuse(line, "unsigned", f"unsigned ({flaw(headers, now_s)})", NOT_SIGNED)
        return self._seen_before(line) if stamp.message_id in line.ids else stamp

    def take(
        self,
        line: Line,
        stamp: Stamp | None,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        source: str,
    ) -> Reply:
        """The call is whole: hand it on if it is to be believed; answers what to say."""
        hook = line.hook
        if stamp is not None and not is_signed(stamp, body, hook.key):
            return self.refuse(line, "unsigned", "unsigned (bad signature)", NOT_SIGNED)
        # again: others may have come while this body was on its way
        if stamp is not None and stamp.message_id in line.ids:
            return self._seen_before(line)
        if line.taken >= hook.most_calls:
            return self._one_too_many(line)
        call = Call(
            method,
            path,
            query,
            headers,
            body,
            self._monotonic_s(),
            datetime.fromtimestamp(self._wall_s(), UTC),
            source,
            stamp.message_id if stamp else "",
        )
        if not line.deliver(call):
            return self.refuse(line, "no_room", "no room for it", NO_ROOM)
        reply = hook.replies[min(line.taken, len(hook.replies) - 1)]
        line.taken += 1
        # a sender that was told to try again does so with the same id
        if stamp is not None and 200 <= reply.status < 300:
            line.ids.add(stamp.message_id)
        return reply

    def refuse(self, line: Line, word: str, why: str, reply: Reply) -> Reply:
        """A call on this line is not taken: whoever counts hears the word, who waits there hears why."""
        self._refused(word)
        if line.turned_away < MOST_REFUSED:
            line.turned_away += 1
            line.refused(why)
        return reply

    def _one_too_many(self, line: Line) -> Reply:
        return self.refuse(line, "too_many", f"at most {line.hook.most_calls} are taken", ENOUGH)

    def _seen_before(self, line: Line) -> Reply:
        return self.refuse(line, "replayed", "replayed (its webhook-id was taken already)", SEEN_BEFORE)

    def _forget(self, now_s: float) -> None:
        for name in [name for name, line in self._lines.items() if line.until_s <= now_s]:
            del self._lines[name]

    def _name(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode("utf-8", "surrogateescape"), hashlib.sha256)
