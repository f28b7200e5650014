"""What every request passes first: the right host, the right person, no page of somebody else's, safe headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synthmon.web.answers import ProblemJson
from synthmon.web.auth import Access, Crowded, Doorkeeper, is_loopback

OPEN_PATHS = frozenset({"/healthz"})
"""Answered to anybody: they say only that the process lives."""

SAFETY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Doors:
    """How the doors are kept. `local_only`: bound to loopback, so only names of this machine are answered
    (a page of somebody else's may point its own name at 127.0.0.1: DNS rebinding). `headers` replace ours."""

    access: Access = Access()
    local_only: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


class Entrance:
    """The doors as they are kept now; they can be changed while people come in."""

    def __init__(self, doors: Doors) -> None:
        self.change(doors)

    def change(self, doors: Doors) -> None:
        """Keep them like this from the next request on."""
        self.doors = doors
        self.doorkeeper = Doorkeeper(doors.access)
        self.headers = SAFETY_HEADERS | {name.lower(): text for name, text in doors.headers.items()}


class Gate:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            add_headers(message, self._entrance.headers)
            await send(message)

        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_safely)

    async def _refusal(self, scope: Scope) -> ProblemJson | None:
        headers, doorkeeper = Headers(scope=scope), self._entrance.doorkeeper
        if self._entrance.doors.local_only and not is_loopback(host_of(headers.get("host", ""))):
            return ProblemJson(421, "Wrong host", "Only names of this machine are answered here: use 127.0.0.1.")
        if scope["path"] in OPEN_PATHS and scope["method"] in _SAFE_METHODS:
            return None
        try:
            admitted = await doorkeeper.admits(headers.get("authorization", ""))
        except Crowded:
            answer = ProblemJson(503, "Too many at the door", "Many passwords are being checked: come again.")
            answer.headers["retry-after"] = "5"
            return answer
        if not admitted:
            answer = ProblemJson(401, "Who are you?", "Send a bearer token, or a user name and a password.")
            answer.headers["www-authenticate"] = doorkeeper.asks_for
            return answer
        if scope["method"] not in _SAFE_METHODS and (fault := _foreign(headers)):
            return ProblemJson(403, "Not from this page", fault)
        return None


def add_headers(message: Message, wanted: Mapping[str, str]) -> None:
    """Put headers on an answer that begins, where it has none of that name, and keep it out of caches."""
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, text in wanted.items():
            headers.setdefault(name, text)
        headers.setdefault("cache-control", "no-store")


def _foreign(headers: Headers) -> str:
    """Why a request that changes something may come from somebody else's page (CSRF); empty when it does not.

    A foreign page can send a form, but no header of its own and no JSON type without asking first (CORS), and we
    never agree. See the Fetch standard on CORS-safelisted requests.
    """
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin")
    if site not in ("same-origin", "none") or (origin and urlsplit(origin).netloc != headers.get("host")):
        return "This request comes from another origin."
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if headers.get("x-synthmon") != "1" and kind != "application/json":
        return "Send the header `X-Synthmon: 1`."
    return ""


def host_of(text: str) -> str:
    """The host of a Host header, its port left out."""
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.rpartition(":")[0] if ":" in text else text
