"""One request as it was captured, with its answer if there was one: what curl and HAR have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlencode, urlsplit

from synthmon.core.foreign import InvalidJson, disarm, parse_json
from synthmon.imports.texts import Value, leaves

READS = ("GET", "HEAD", "OPTIONS", "TRACE")
METHODS = (*READS, "POST", "PUT", "PATCH", "DELETE")

DEEPEST_JSON = 30  # of the 40 levels that a probe may have
MOST_VALUES = 5_000
LARGEST_INT = 2**63 - 1
LARGEST_BODY = 200_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `json` is None without a JSON body; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    json: Any = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request taken apart. `origin` is `https://host`, `path` its segments, percent-encoded where they are plain
    texts; `word` says what the body is: json, body or form."""

    method: str
    origin: str
    path: tuple[Value, ...]
    params: Mapping[str, Value] = field(default_factory=dict)
    headers: Mapping[str, Value] = field(default_factory=dict)
    word: str = ""
    body: Value = None
    answer: Answer | None = None
    polled_s: float | None = None  # for how long it was asked again, if it was
    began_as: Answer | None = None  # the first answer then

    @property
    def write(self) -> bool:
        """Whether it may change something."""
        return self.method not in READS

    @property
    def host(self) -> str:
        """The host without its port."""
        return urlsplit(self.origin).hostname or ""


class BadUrl(ValueError):
    """A URL that a probe cannot ask for; the message says why."""


def taken_apart(url: str) -> tuple[str, tuple[str, ...], dict[str, Value], str]:
    """Origin, path segments, query, `user:password`. Raises `BadUrl`."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadUrl(f"it cannot be read ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise BadUrl("it is not http or https")
    if not host or re.search(r"[^\w.:-]", host):
        raise BadUrl("it names no host" if not host else f"{host!r} is no host name")
    bare = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{bare}" + (f":{port}" if port else "")
    path = tuple(quote(piece, safe="%:@!&'(),;=~+-._$") for piece in (parts.path or "/").split("/")[1:])
    if any(unquote(piece) in (".", "..") for piece in path):
        raise BadUrl("its path climbs with `.` or `..`")
    user = unquote(parts.netloc.rpartition("@")[0])
    return origin, path, pairs_of(parts.query), disarm(user)


def pairs_of(query: str) -> dict[str, Value]:
    """A query or a form as a map; a name that stands several times has a list."""
    return gathered((disarm(name), disarm(value)) for name, value in parse_qsl(query, keep_blank_values=True))


def gathered(found: Any) -> dict[str, Value]:
    """Pairs as a map; a name that stands several times has a list."""
    made: dict[str, Value] = {}
    for name, value in found:
        if name in made:
            made[name] = [*(made[name] if isinstance(made[name], list) else [made[name]]), value]
        else:
            made[name] = value
    return made


def body_of(text: str, kind: str) -> tuple[str, Value, bool]:
    """A body as (word, value, whether the word implies its media type `kind`)."""
    media = kind.partition(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        form = pairs_of(text)
        again = urlencode(form, doseq=True)
        if form and unquote_to_bytes(again.replace("+", " ")) == unquote_to_bytes(text.strip().replace("+", " ")):
            return "form", form, True
        return "body", disarm(text), False
    parsed = json_of(text) if media in ("", "application/json") or media.endswith("+json") else None
    if parsed is not None and fits(parsed):
        return "json", parsed, media in ("", "application/json")
    return "body", disarm(text), False


def json_of(text: str) -> Any:
    """The value of a JSON text; None if it is none."""
    try:
        return parse_json(text.encode("utf-8", "replace"))
    except InvalidJson:
        return None


def fits(value: Any) -> bool:
    """Whether a JSON value can stand in a probe as it is."""
    found = list(leaves(value))
    if len(found) > MOST_VALUES or any(len(path) > DEEPEST_JSON for path, _ in found):
        return False
    return not any(isinstance(leaf, int) and abs(leaf) > LARGEST_INT for _, leaf in found)


def write_rules(method: str, path: Sequence[Value]) -> str:
    """The narrowest entry of `writes:` for a request: `DELETE /orders/*`."""
    return f"{method} /" + "/".join(piece if isinstance(piece, str) and "*" not in piece else "*" for piece in path)
