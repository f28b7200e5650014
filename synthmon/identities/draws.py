"""Numbers that depend on a run and a field alone: the same in every process, on every day."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


def digest(run_id: str, field: str) -> bytes:
    """32 bytes: HMAC-SHA256 with the run id as key and the field as message.

    Not a secret: whoever sees the run id (it travels as the trace id) can compute it.
    """
    return hmac.digest(run_id.encode(), field.encode(), sha256)


def seed(run_id: str, field: str) -> int:
    """A 64-bit seed for a generator of names or words."""
    return int.from_bytes(digest(run_id, field)[:8])


def number(run_id: str, field: str, below: int) -> int:
    """An integer from 0 to `below` - 1; `below` up to 2**128 keeps the bias under 2**-128."""
    return int.from_bytes(digest(run_id, field)) % below


def pick(run_id: str, field: str, choices: Sequence[T]) -> T:
    return choices[number(run_id, field, len(choices))]


def uuid(run_id: str, field: str) -> UUID:
    """A UUID that looks like version 4 (RFC 9562), so that every validator takes it."""
    return UUID(bytes=digest(run_id, field)[:16], version=4)


def hex_id(run_id: str) -> str:
    """The run id itself if it is 32 lower-case hex (as every run's is), else 32 hex made from it."""
    if len(run_id) == 32 and not run_id.strip("0123456789abcdef"):
        return run_id
    return sha256(run_id.encode()).hexdigest()[:32]
