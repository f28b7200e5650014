"""From a recording of a browser (HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/) to a draft of a probe."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from synthmon.core.errors import Invalid, Place, Problem
from synthmon.core.foreign import InvalidJson, decode, parse_json
from synthmon.imports.draft import Draft
from synthmon.imports.drafting import Extras, drafted
from synthmon.imports.exchanges import (
    LARGEST_BODY,
    METHODS,
    Answer,
    BadUrl,
    Exchange,
    body_of,
    gathered,
    json_of,
    taken_apart,
)
from synthmon.imports.noise import counts_visitors, is_asset, meant_headers
from synthmon.imports.texts import Value

LARGEST_BYTES = 64 << 20
MOST_STEPS = 40
LARGEST_ANSWER = 2_000_000  # characters; more is not looked into


def from_har(text: str, only: Collection[str] = ()) -> Draft:
    """The draft of one journey: the calls of a recording in the order of time.

    `only` names hosts (and what is below them) that are taken; without it all but those that count visitors. Pictures,
    styles, scripts and fonts are left out. Raises `Invalid` if it is no HAR or nothing is left of it.
    """
    entries = sorted(filter(None, map(_entry, _entries(text))), key=lambda entry: entry.at_s)
    if not entries:
        raise _refused("har-empty", "The recording has no entries.", "Record again, with the network panel open.")
    kept = [entry for entry in entries if _wanted(entry, only)]
    if not kept:
        fault = "Nothing in the recording is a call to " + (", ".join(sorted(only)) or "an API or a page") + "."
        raise _refused(
            "har-nothing",
            fault,
            f"Its hosts are {_listed(entry.exchange.host for entry in entries)}: choose one with `only`.",
        )
    calls = _polled(kept)
    notes = [*_notes(calls, entries), *(note for entry in calls[:MOST_STEPS] for note in entry.notes)]
    calls = calls[:MOST_STEPS]
    comments = {i: _comments(entry) for i, entry in enumerate(calls)}
    return drafted([entry.exchange for entry in calls], list(dict.fromkeys(notes)), Extras(comments))


@dataclass(frozen=True, slots=True)
class _Entry:
    exchange: Exchange
    at_s: float
    resource: str  # what the browser calls it: document, xhr, image; empty if it does not say
    media: str
    status: int
    times: int = 1
    notes: tuple[str, ...] = field(default=())


def _entries(text: str) -> Sequence[Any]:
    if len(text) > LARGEST_BYTES:
        raise _refused(
            "har-too-large", f"The recording is larger than {LARGEST_BYTES >> 20} MB.", "Record a shorter journey."
        )
    try:
        tree = parse_json(text.encode("utf-8", "replace"))
    except InvalidJson as error:
        raise _refused("har-json", f"The recording is not valid JSON: {error}.", "Save it again as HAR.") from None
    log = tree.get("log") if isinstance(tree, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise _refused(
            "har-shape", "This is no HAR: it has no log.entries.", "In the network panel choose `Save all as HAR`."
        )
    return entries


def _entry(raw: Any) -> _Entry | None:
    """One entry; None for what no probe can ask for, such as `data:` URLs and requests that were never answered."""
    request, response = _map(raw, "request"), _map(raw, "response")
    method, status = str(request.get("method", "")).upper(), response.get("status")
    if method not in METHODS or not isinstance(status, int) or not 100 <= status <= 599:
        return None
    try:
        origin, path, params, _ = taken_apart(str(request.get("url", "")))
    except BadUrl:
        return None
    content = _map(response, "content")
    media = str(content.get("mimeType") or "").partition(";")[0].strip().lower()
    headers = _headers(request)
    word, body, implied, notes = _body(_map(request, "postData"), path)
    meant = meant_headers(headers)
    if implied or not word:
        meant = {name: value for name, value in meant.items() if name.lower() != "content-type"}
    exchange = Exchange(method, origin, path, params, meant, word, body, _answer(status, response, content, media))
    return _Entry(exchange, _instant(raw), str(raw.get("_resourceType") or ""), media, status, 1, notes)


def _wanted(entry: _Entry, only: Collection[str]) -> bool:
    exchange = entry.exchange
    if exchange.method in ("OPTIONS", "TRACE") or entry.status < 200:
        return False
    if is_asset(entry.media, entry.resource, "/".join(map(str, exchange.path))):
        return False
    if only:
        return any(
            exchange.host == host or exchange.host.endswith(f".{host}") for host in (name.lower() for name in only)
        )
    return not counts_visitors(exchange.host)


def _polled(entries: Sequence[_Entry]) -> list[_Entry]:
    """GETs of one URL without a write in between are one step that asks again; its answer is the last one."""
    made: list[_Entry] = []
    for entry in entries:
        twin = next(_twins(entry, made), None)
        if twin is None:
            made.append(entry)
            continue
        first = made[twin]
        exchange = replace(
            first.exchange,
            answer=entry.exchange.answer,
            polled_s=max(entry.at_s - first.at_s, 0.0),
            began_as=first.exchange.began_as or first.exchange.answer,
        )
        made[twin] = replace(first, exchange=exchange, times=first.times + 1)
    return made


def _twins(entry: _Entry, before: Sequence[_Entry]) -> Iterator[int]:
    one = entry.exchange
    for i in range(len(before) - 1, -1, -1):
        other = before[i].exchange
        if other.write:
            return
        if not one.write and (one.method, one.origin, one.path, one.params) == (
            other.method,
            other.origin,
            other.path,
            other.params,
        ):
            yield i


def _comments(entry: _Entry) -> tuple[str, ...]:
    if entry.times > 1:
        return (f"Asked {entry.times} times in the recording: it waits here until every check holds.",)
    return ()


def _notes(calls: Sequence[_Entry], entries: Sequence[_Entry]) -> Iterator[str]:
    hosts = list(dict.fromkeys(entry.exchange.host for entry in calls))
    left = sorted({entry.exchange.host for entry in entries} - set(hosts))
    if len(hosts) > 1:
        yield f"It talks to {_listed(hosts)}: leave out with `only` who is not yours."
    if left:
        yield f"Left out: {_listed(left)}."
    if len(calls) > MOST_STEPS:
        yield f"Only the first {MOST_STEPS} of {len(calls)} calls were taken: record a shorter journey."
    sealed = any(
        entry.exchange.headers.keys() & {"Authorization", "authorization", "Cookie", "cookie"} for entry in calls
    )
    if not sealed and any(entry.status in (401, 403) or entry.exchange.write for entry in calls):
        yield "The recording has no cookies and no Authorization: if it needs them, save the HAR with sensitive data."


def _headers(message: Mapping[str, Any]) -> dict[str, Value]:
    """The headers of a request; those that stand several times are joined, cookies by `; `."""
    found = gathered(
        (str(one.get("name", "")), str(one.get("value", "")))
        for one in _list(message, "headers")
        if isinstance(one, dict)
    )
    return {
        name: ("; " if name.lower() == "cookie" else ", ").join(v) if isinstance(v, list) else v
        for name, v in found.items()
    }


def _body(post: Mapping[str, Any], path: Sequence[str]) -> tuple[str, Value, bool, tuple[str, ...]]:
    """What was sent: (word, value, whether the word implies the media type, notes)."""
    kind = str(post.get("mimeType") or "")
    where = "/" + "/".join(path)
    if kind.startswith("multipart/"):
        parts = [one for one in _list(post, "params") if isinstance(one, dict)]
        plain = [(str(one.get("name", "")), str(one.get("value", ""))) for one in parts if not one.get("fileName")]
        if len(plain) == len(parts) and plain:
            return "form", gathered(plain), True, ()
        return "", None, True, (f"A file was sent to {where}: add it to `form:` as {{file: path, type: media/type}}.",)
    text = post.get("text")
    if not text and (pairs := [one for one in _list(post, "params") if isinstance(one, dict)]):
        return "form", gathered((str(one.get("name", "")), str(one.get("value", ""))) for one in pairs), True, ()
    if not isinstance(text, str) or not text:
        return "", None, False, ()
    if len(text) > LARGEST_BODY:
        return "", None, False, (f"The body that was sent to {where} is too large: add it as `body: {{file: path}}`.",)
    return *body_of(text, kind), ()


def _answer(status: int, response: Mapping[str, Any], content: Mapping[str, Any], media: str) -> Answer:
    headers: dict[str, str] = {}
    for one in _list(response, "headers"):
        if isinstance(one, dict):
            name = str(one.get("name", "")).lower()
            headers[name] = ", ".join(filter(None, (headers.get(name, ""), *str(one.get("value", "")).split("\n"))))
    headers.setdefault("content-type", media)
    text = content.get("text")
    text = text if isinstance(text, str) else ""
    if content.get("encoding") == "base64":
        try:
            text = decode(base64.b64decode(text, validate=True))
        except binascii.Error:
            text = ""
    if len(text) > LARGEST_ANSWER:
        text = ""
    json = json_of(text) if media.endswith("json") and text else None
    return Answer(status, headers, text, json)


def _instant(raw: Mapping[str, Any]) -> float:
    """Seconds since 1970, of the start of a request; 0 if the recording does not say."""
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", str(raw.get("startedDateTime") or ""))
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _map(raw: Any, key: str) -> Mapping[str, Any]:
    found = raw.get(key) if isinstance(raw, dict) else None
    return found if isinstance(found, dict) else {}


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    found = raw.get(key)
    return found if isinstance(found, list) else []


def _listed(words: Any, most: int = 8) -> str:
    known = list(dict.fromkeys(words))
    return ", ".join(known[:most]) + (", …" if len(known) > most else "")


def _refused(code: str, fault: str, remedy: str) -> Invalid:
    return Invalid([Problem(Place("har"), code, fault, remedy)])
