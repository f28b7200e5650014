"""What the shop asks of a message bus: durable consumers that ack, nak and see a message again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

SUBJECTS = ("orders.>", "signups.>")
MAX_AGE_S = 3600.0
MAX_MESSAGES = 50_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a consumer may sit on a message, and how often it gets the same one."""

    ack_wait_s: float = 2.0
    max_deliver: int = 20


class BusTrouble(OSError):
    """The bus did not take or give a message; trying again later may help."""


class Delivery(Protocol):
    """One message in one attempt; ``attempt`` counts from 1."""

    @property
    def subject(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def message_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...

    async def ack(self) -> None: ...
    async def nak(self, delay_s: float = 0.0) -> None:
        """Give it back: it comes again after ``delay_s``, unless it came too often."""

    async def still_working(self) -> None:
        """Start the ack wait anew."""


class Subscription(Protocol):
    """One reader of a durable consumer. Closing it keeps what was not acknowledged for the next reader."""

    async def next(self, limit_s: float) -> Delivery | None: ...
    async def close(self) -> None: ...


class Bus(Protocol):
    """Publish and consume. ``name`` says which kind it is; ``alive`` whether it answers."""

    name: str

    def alive(self) -> bool: ...
    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str], message_id: str) -> bool:
        """Store a message; False when this message id was stored within the last two minutes."""

    async def subscribe(self, durable: str, subject: str, patience: Patience) -> Subscription:
        """Create the durable consumer if it is new, from the first stored message on, and read from it."""
