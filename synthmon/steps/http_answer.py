"""What an HTTP answer offers to checks, and how it and its request are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from synthmon.core.answers import charset, headers_map, media_type, says_json
from synthmon.core.door import HttpAnswer, HttpRequest
from synthmon.core.foreign import InvalidJson, decode, parse_json
from synthmon.core.secrets import masked

EXCERPT_BYTES = 4096  # of a body, in what is kept of a step that failed

OFFERS: Mapping[str, str] = MappingProxyType(
    {
        "status": "int",
        "headers": "text_map",
        "body": "dyn",
        "text": "string",
        "bytes": "bytes",
        "elapsed": "duration",
        "phase.dns": "duration",
        "phase.connect": "duration",
        "phase.tls": "duration",
        "phase.wait": "duration",
        "phase.read": "duration",
        "tls.expires_in": "duration",
    }
)
"""The names, and the word for the type of each."""


def offered(request: HttpRequest, answer: HttpAnswer) -> Mapping[str, Any]:
    """The values of `OFFERS`. Without `body` when the answer says JSON and is none."""
    headers = headers_map(answer.headers)
    timing = answer.timing
    text = decode(answer.content, charset(headers.get("content-type", "")))
    seen = {
        "status": answer.status,
        "headers": headers,
        "text": text,
        "bytes": answer.content,
        "elapsed": timedelta(milliseconds=timing.total_ms),
        "phase.dns": timedelta(milliseconds=timing.dns_ms),
        "phase.connect": timedelta(milliseconds=timing.connect_ms),
        "phase.tls": timedelta(milliseconds=timing.tls_ms),
        "phase.wait": timedelta(milliseconds=timing.wait_ms),
        "phase.read": timedelta(milliseconds=timing.read_ms),
    }
    if timing.tls_expires_in_s is not None:
        seen["tls.expires_in"] = timedelta(seconds=timing.tls_expires_in_s)
    kind = media_type(headers)
    if not says_json(kind, request.method, answer.status, answer.content):
        seen["body"] = text
        if kind or not answer.content:
            return seen
    with suppress(InvalidJson):  # `fault_of_body` tells why; a body that is not there fails every check on it
        seen["body"] = parse_json(answer.content)
    return seen


def fault_of_body(request: HttpRequest, answer: HttpAnswer) -> str:
    """What is wrong with a body that says it is JSON; empty when nothing is."""
    if not says_json(media_type(headers_map(answer.headers)), request.method, answer.status, answer.content):
        return ""
    try:
        parse_json(answer.content)
    except InvalidJson as error:
        return f"its body is not valid JSON: {error}"
    return ""


def on_the_wire(first: str, headers: Iterable[tuple[str, str]], body: bytes) -> str:
    """As it stands on the wire behind its first line: the body cut, the handles of secrets masked."""
    lines = [first, *(f"{name}: {text}" for name, text in headers), ""]
    text = body[:EXCERPT_BYTES].decode("utf-8", "replace")
    more = f"\n… {len(body)} bytes in all" if len(body) > EXCERPT_BYTES else ""
    return masked("\n".join(lines) + "\n" + text + more)
