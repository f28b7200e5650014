"""How the gateway reads a request and words its answers."""

from __future__ import annotations

import hashlib
import json
from asyncio import Lock
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from synthmon.demo.rows import Memory

MAX_BODY_BYTES = 64 * 1024
MAX_KEY_CHARACTERS = 255


class Refused(Exception):
    """The request is not served; answered as ``{"error": code, "reason": text}``."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason


def refusal(status: int, code: str, reason: str) -> JSONResponse:
    return JSONResponse({"error": code, "reason": reason}, status)


def asked(request: Request, name: str) -> str:
    """A query parameter that must be there."""
    value = request.query_params.get(name, "").strip()
    if not value:
        raise Refused(400, "bad_request", f"ask with ?{name}=…")
    return value


async def read_bytes(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise Refused(413, "too_large", f"the body is longer than {MAX_BODY_BYTES} bytes")
    return body


def read_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as exc:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Refused(400, "bad_request", f"the body is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise Refused(400, "bad_request", "the body must be a JSON object")
    return value


def text_of(body: dict[str, Any], name: str, limit: int = 120, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise Refused(400, "bad_request", f"{name} must be a text of 1 to {limit} characters")
    return value


def email_of(body: dict[str, Any]) -> str:
    value = text_of(body, "email", 254)
    if value.count("@") != 1 or value.startswith("@") or value.endswith("@"):
        raise Refused(400, "bad_request", "email must be an address such as ann@example.com")
    return value


@dataclass(slots=True)
class _Remembered:
    fingerprint: str
    answered: Lock = field(default_factory=Lock)
    answer: tuple[int, bytes, dict[str, str]] | None = None


class OnceOnly:
    """``Idempotency-Key`` on POST: the same key and request get the same answer, and one effect.

    Kept for an hour. Another request under a used key is refused with 422, refusals (4xx, 5xx) are not kept
    (draft-ietf-httpapi-idempotency-key-header). DELETE is idempotent by itself (RFC 9110, 9.2.2).
    """

    def __init__(self) -> None:
        self._kept: Memory[_Remembered] = Memory()

    async def answer(self, request: Request, body: bytes, make: Callable[[], Awaitable[Response]]) -> Response:
        key = request.headers.get("idempotency-key", "").strip()
        if not key:
            return await make()
        if len(key) > MAX_KEY_CHARACTERS:
            raise Refused(400, "bad_request", f"Idempotency-Key is longer than {MAX_KEY_CHARACTERS} characters")
        fingerprint = hashlib.sha256(f"{request.method} {request.url.path} ".encode() + body).hexdigest()
        kept = self._kept.get(key)
        if kept is None:
            kept = _Remembered(fingerprint)
            self._kept.put(key, kept)
        if kept.fingerprint != fingerprint:
            raise Refused(422, "key_reused", "this Idempotency-Key was used for another request")
        async with kept.answered:  # two at once: the second waits for the first one's answer
            if kept.answer is not None:
                status, content, headers = kept.answer
                return Response(content, status, {**headers, "idempotency-replayed": "true"})
            try:
                answer = await make()
            except Refused:
                self._kept.drop(key)
                raise
            kept.answer = (answer.status_code, bytes(answer.body), dict(answer.headers))
            return answer
