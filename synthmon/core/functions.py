"""The functions that synthmon adds to CEL, each by concrete types; `synthmon explain functions` prints them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import re2

from synthmon.core import pages, secrets


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
    if len(pattern) > _LONGEST_PATTERN or len(text) > _LONGEST_SEARCHED:
        raise ValueError(
            f"find() takes patterns of {_LONGEST_PATTERN} and texts of {_LONGEST_SEARCHED} letters at most"
        )
    found = re2.search(pattern, text)
    if found is None:
        raise ValueError(f"not found: nothing matches {pattern}")
    return str(found[1] if found.re.groups else found[0])


def css(text: str, selector: str) -> str:
    """The text of the first element of an HTML page that a CSS selector finds, else an error."""
    found = pages.text_of(text, selector)
    if found is None:
        raise ValueError(f"not found: no element matches {selector}")
    return found


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
    if len(form) > _LONGEST_FORM or len(zone) > _LONGEST_FORM:
        raise ValueError(f"date() takes at most {_LONGEST_FORM} letters, and as many for the zone")
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


def replace(text: str, old: str, new: str) -> str:
    """CEL's own `replace`, as long as the result is no bomb."""
    times = text.count(old)
    if len(text) + times * (len(new) - len(old)) > MOST_LETTERS:
        raise ValueError(f"replace() would make a text of more than {MOST_LETTERS} letters")
    return text.replace(old, new)


def replace_some(text: str, old: str, new: str, times: int) -> str:
    """CEL's own `replace` of the first so many; a negative number means all."""
    if len(text) + max(0, min(text.count(old), times)) * (len(new) - len(old)) > MOST_LETTERS:
        raise ValueError(f"replace() would make a text of more than {MOST_LETTERS} letters")
    return replace(text, old, new) if times < 0 else text.replace(old, new, times)


def join(texts: Sequence[Any], between: str = "") -> str:
    """CEL's own `join`, as long as the result is no bomb."""
    parts = list(texts)
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("join() takes a list of texts")
    if sum(map(len, parts)) + len(between) * len(parts) > MOST_LETTERS:
        raise ValueError(f"join() would make a text of more than {MOST_LETTERS} letters")
    return between.join(parts)


def split(text: str, between: str) -> list[str]:
    """CEL's own `split`, as long as the result is no bomb."""
    if (text.count(between) if between else len(text)) > _MOST_PARTS:
        raise ValueError(f"split() would make more than {_MOST_PARTS} texts")
    return text.split(between) if between else list(text)


def split_some(text: str, between: str, most: int) -> list[str]:
    """CEL's own `split` into at most so many parts; a negative number means all."""
    if most < 0:
        return split(text, between)
    if most > _MOST_PARTS:
        raise ValueError(f"split() would make more than {_MOST_PARTS} texts")
    if between:
        return text.split(between, most - 1) if most else []
    return [*text[: most - 1], *filter(None, [text[most - 1 :]])] if most else []


MOST_LETTERS = 10 * 1024 * 1024  # of a text that is made here; no answer is longer
_MOST_PARTS = 50_000
_LONGEST_FORM = 200
_LONGEST_PATTERN = 1000
_LONGEST_SEARCHED = 2 * 1024 * 1024

SEEDED = frozenset(("digits", "uuid"))
"""Calls that read `run.seed` without being told to; the compiler hands it in as their first argument."""

BOUNDED: Mapping[str, tuple[Overload, ...]] = {
    "replace": (
        Overload(("string", "string", "string"), "string", replace),
        Overload(("string", "string", "string", "int"), "string", replace_some),
    ),
    "join": (Overload(("list",), "string", join), Overload(("list", "string"), "string", join)),
    "split": (
        Overload(("string", "string"), "list", split),
        Overload(("string", "string", "int"), "list", split_some),
    ),
}
"""Methods of CEL's that a few letters would make a bomb of; the compiler puts these in their place, with a `_` behind
their names."""

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
