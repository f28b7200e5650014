"""What comes in from outside while a run waits: calls on an address of its own, and what a system reports by OTLP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from synthmon.core.headers import why_not
from synthmon.core.telemetry import Log, Span

MOST_REFUSED = 100  # calls that are told of one address: whoever knows it may call for as long as it is open

_UNSAFE_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")  # RFC 9110 5.5


@dataclass(frozen=True, slots=True)
class Reply:
    """How a call is answered. Raises `ValueError` for what HTTP cannot say."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        """Refuse what would break the framing of the answer."""
        if not 200 <= self.status <= 599:
            raise ValueError(f"{self.status} is no final HTTP status: 200 to 599.")
        if self.body and self.status in (204, 205, 304):
            raise ValueError(f"an answer {self.status} has no body.")
        for name, text in self.headers.items():
            if fault := why_not(name):
                raise ValueError(f"the header {name!r} {fault}.")
            if _UNSAFE_VALUE.search(text):
                raise ValueError(f"the header {name} is not one line of Latin text.")


@dataclass(frozen=True, slots=True)
class Hook:
    """What is awaited on an address.

    `method`: the only one that is taken. `key`: with one, calls must be signed as Standard Webhooks say (see
    `core.signatures`). `replies`: the first call gets the first, the last one is repeated. After `expires_s` seconds
    the address is gone; after `most_calls` calls it takes no more.
    """

    method: str = "POST"
    key: bytes = field(default=b"", repr=False)
    replies: Sequence[Reply] = (Reply(),)
    expires_s: float = 3600.0
    most_calls: int = 100


@dataclass(frozen=True, slots=True)
class Address:
    """Where a hook is called: `token` cannot be guessed (190 bits), `url` is what the system under test is told."""

    token: str = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that came in, whole.

    `path` is what follows the address (`""`, or `/more`), `query` what follows the `?`; header names are lower-case,
    repeated ones are joined by `, `. `body` is as it came, not decompressed. `at_s` is the monotonic clock and `at`
    the wall clock when the last byte was here. `source` is the address of the caller (of the proxy, if there is one).
    `message_id` is the `webhook-id` of a call whose signature was good.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float
    at: datetime
    source: str
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What one OTLP request carried. `dropped` records were past the limit or not to be understood."""

    spans: Sequence[Span]
    logs: Sequence[Log]
    at_s: float
    at: datetime
    dropped: int = 0


Take = Callable[[Call], bool]
"""Hears of a call at once, on the loop, and must not wait; False: no room, the caller is told to come again (503)."""

Refuse = Callable[[str], None]
"""Hears at once why a call on an address was refused, in words that repeat nothing that the caller wrote."""

Hear = Callable[[Telemetry], bool]
"""Hears of telemetry at once, on the loop, and must not wait; False: no room, the sender is told to come again."""


def unheard(why: str) -> None:
    """Nobody asks which calls were refused."""


class Hooks(Protocol):
    """Who gives out addresses."""

    def open(self, hook: Hook, deliver: Take, refused: Refuse = unheard) -> Address:
        """Arm a hook; it takes calls from this moment on. Raises `Crowded` when too many are open, `NotListening`.

        `refused` hears of the first `MOST_REFUSED` calls that are not taken.
        """
        ...

    def close(self, address: Address) -> None:
        """Disarm it; closing twice is no fault."""
        ...


class Otlp(Protocol):
    """Who hands on what is reported by OTLP."""

    def subscribe(self, deliver: Hear) -> Callable[[], None]:
        """Hear of everything from now on; call what is answered to hear no more."""
        ...


class Crowded(Exception):
    """More hooks are open than can be."""


class NotListening(Exception):
    """Nothing listens for calls here; why, in words for a person."""


class Deaf:
    """`Hooks` where nothing listens, and why."""

    def __init__(self, why: str = "nothing listens for calls here: see `hooks:` in the settings") -> None:
        self._why = why

    def open(self, hook: Hook, deliver: Take, refused: Refuse = unheard) -> Address:
        """Raises `NotListening`."""
        raise NotListening(self._why)

    def close(self, address: Address) -> None:
        """There is none."""
