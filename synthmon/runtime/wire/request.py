"""Writes one HTTP/1.1 request as the bytes that leave, and refuses what would not be exactly one request."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
ONE_HEAD = re.compile(
    TOKEN + rb" [\x21-\x7e\x80-\xff]+ HTTP/1\.1\r\n(?:" + TOKEN + rb": [\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # RFC 9110 §9.2.2


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as bytes; `closes` says that it asks the other side to close the connection behind the answer."""

    data: bytes
    closes: bool
    idempotent: bool


async def write_request(request: httpx.Request) -> Outgoing:
    """Head and body in one piece. A body that httpx streams is read to its end first and sent as one chunk if the
    headers say chunked. Raises `httpx.LocalProtocolError`; no header or target can add a line to the head
    (RFC 9112 §11.1)."""
    headers = request.headers.raw
    lines = [b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)]
    length: bytes | None = None
    chunked = closes = False
    for name, value in headers:
        lines.append(b"%s: %s\r\n" % (name, value))
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            length = value
        elif size == 17 and name.lower() == b"transfer-encoding":
            chunked = True
        elif size == 10 and name.lower() == b"connection":
            closes = b"close" in value.lower()
    lines.append(b"\r\n")
    head = b"".join(lines)
    if ONE_HEAD.fullmatch(head) is None or head.count(b"\n") != len(headers) + 2:
        raise httpx.LocalProtocolError("A header or the path holds a line break or another sign that HTTP forbids.")
    body = await _body_of(request)
    if chunked and length is None:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif chunked or (length or b"0") != b"%d" % len(body):
        raise httpx.LocalProtocolError(f"The request has a body of {len(body)} bytes and headers that say otherwise.")
    return Outgoing(head + body if body else head, closes, request.method in IDEMPOTENT)


async def _body_of(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return await request.aread()
