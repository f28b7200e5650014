"""The functions that synthmon adds to CEL, each by concrete types; `synthmon explain functions` prints them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid as uuids
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import re2

from synthmon.core import secrets


@dataclass(frozen=True, slots=True)
class Overload:
    """One form of a function: the types it takes and gives (the vocabulary of `core.expressions`)."""

    takes: tuple[str, ...]
    gives: str
    impl: Callable[..., Any]


def secret(text: str) -> str:
    """Hide a value that the run learnt: `save: {token: secret(body.access_token)}`."""
    return secrets.compose("new", text)


def basic(user: str, password: str) -> str:
    """An `Authorization` value (RFC 7617): `basic(identity.email, secret.password)`."""
    if secrets.sealed(user) or secrets.sealed(password):
        return secrets.compose("basic", user, password)
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def hmac_sha256(key: str, text: str) -> str:
    """HMAC-SHA256 (RFC 2104) as lower-case hex: `hmac_sha256(secret.signing_key, run.id)`."""
    if secrets.sealed(key) or secrets.sealed(text):
        return secrets.compose("hmac", key, text)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def sha256(text: str) -> str:
    """SHA-256 as lower-case hex; refuses a secret, whose digest could be guessed from."""
    if secrets.sealed(text):
        raise ValueError("sha256() of a secret is refused; use hmac_sha256()")
    return hashlib.sha256(text.encode()).hexdigest()


def find(text: str, pattern: str) -> str:
    """The first match of an RE2 pattern (or its first group), else an error: `find(text, "code: (\\d+)")`."""
    found = re2.search(pattern, text)
    if found is None:
        raise ValueError(f"not found: nothing matches {pattern}")
    return str(found[1] if found.re.groups else found[0])


def css(text: str, selector: str) -> str:
    """The text of the first element of an HTML page that a CSS selector finds, else an error."""
    from lxml import html  # 30 ms, and few journeys read pages

    found = html.document_fromstring(text).cssselect(selector) if text.strip() else []
    if not found:
        raise ValueError(f"not found: no element matches {selector}")
    return " ".join("".join(map(str, found[0].itertext())).split())


def uuid(seed: int, name: str) -> str:
    """A UUID (version 5, RFC 9562) for this run and name, the same in a replay: `uuid("order")`."""
    return str(uuids.uuid5(uuids.NAMESPACE_URL, f"synthmon:{seed}:{name}"))


def digits(seed: int, name: str, n: int) -> str:
    """`n` (1 to 64) decimal digits for this run and name, the same in a replay: `digits("account", 8)`."""
    if not 1 <= n <= 64:
        raise ValueError(f"digits() gives 1 to 64 digits, not {n}")
    number = int.from_bytes(hashlib.sha512(f"{seed}:{name}".encode()).digest())
    return str(number % 10**n).zfill(n)


def date(time: datetime, form: str, zone: str) -> str:
    """A timestamp as text in a zone, by strftime's letters: `date(run.started, "%Y-%m-%d", "Europe/Berlin")`."""
    try:
        return time.astimezone(ZoneInfo(zone)).strftime(form)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"there is no zone {zone!r}") from error


def days(n: int) -> timedelta:
    """A duration of whole days: `run.started + days(14)`."""
    return timedelta(days=n)


def plain(value: datetime | timedelta | Any) -> str:
    """A timestamp as RFC 3339 in UTC, a duration as `1.5s`: how they stand in a longer text."""
    match value:
        case datetime():
            text = value.astimezone(UTC).isoformat(timespec="microseconds" if value.microsecond else "seconds")
            return text.replace("+00:00", "Z")
        case timedelta():
            seconds = value.total_seconds()
            return f"{int(seconds) if seconds.is_integer() else seconds}s"
    return str(value)


SEEDED = re.compile(r"\b(digits|uuid)\(")
"""Calls that read `run.seed` without being told to; the compiler hands it in as their first argument."""

CATALOGUE: Mapping[str, tuple[Overload, ...]] = {
    "secret": (Overload(("string",), "string", secret),),
    "basic": (Overload(("string", "string"), "string", basic),),
    "hmac_sha256": (Overload(("string", "string"), "string", hmac_sha256),),
    "sha256": (Overload(("string",), "string", sha256),),
    "find": (Overload(("string", "string"), "string", find),),
    "css": (Overload(("string", "string"), "string", css),),
    "uuid": (Overload(("string",), "string", uuid), Overload(("int", "string"), "string", uuid)),
    "digits": (Overload(("string", "int"), "string", digits), Overload(("int", "string", "int"), "string", digits)),
    "date": (Overload(("timestamp", "string", "string"), "string", date),),
    "days": (Overload(("int",), "duration", days),),
}
