"""A journey's request as it leaves: its secrets opened, each written as its surroundings demand, its URL whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import quote

import httpx

from synthmon.core.door import HttpRequest
from synthmon.core.headers import why_not
from synthmon.core.secrets import Vault, seal, sealed
from synthmon.runtime.outbound.redirects import Hop
from synthmon.runtime.outbound.trouble import Unfit


def opened(request: HttpRequest, base: str, vault: Vault) -> Hop:
    """The first hop of a request.

    A relative URL is put behind the base, path behind path (it does not replace the base's path). An opened secret is
    percent-encoded in a URL and in a form body, escaped in a JSON body, and stands as it is in a header and any other
    body. Raises `SecretError` for a handle that cannot be opened, `Unfit` for what HTTP cannot carry.
    """
    url = _url(_joined(base, request.url), vault)
    secret = frozenset(name.lower() for name, value in request.headers if sealed(value))
    headers = tuple((name, _header(name, vault.reveal(value) if secret else value)) for name, value in request.headers)
    if request.body is None or _OPENING not in request.body:
        return Hop(request.method, url, headers, request.body, secret)
    body = opened_content(request.body, headers, vault)
    return Hop(request.method, url, headers, body, secret, secret_body=True)


def _joined(base: str, url: str) -> str:
    if _ABSOLUTE.match(url):
        return url
    return base.rstrip("/") + (url if url.startswith(("/", "?")) or not url else f"/{url}")


def _url(text: str, vault: Vault) -> httpx.URL:
    try:
        if sealed(text):  # what is opened is not kept
            return httpx.URL(_HANDLE.sub(lambda found: quote(vault.reveal(found[0]), safe=""), text))
        return _parsed(text)
    except httpx.InvalidURL as error:
        raise Unfit(f"the URL cannot be sent: {error}") from error


@lru_cache(maxsize=1024)
def _parsed(text: str) -> httpx.URL:
    """Parsing takes long, and a poll asks the same URL again and again."""
    return httpx.URL(text)


def _header(name: str, value: str) -> str:
    if why := why_not(name):
        raise Unfit(f"the header {name!r} {why}")
    if _LINE_BREAK.search(value):
        raise Unfit(f"the value of the header {name} holds a line break or another control character")
    return value.strip(" \t")


def opened_content(content: bytes, headers: Sequence[tuple[str, str]], vault: Vault) -> bytes:
    """A body or message with its secrets opened, each escaped as the content type demands. Raises `SecretError`."""
    escape = _escape_for(_content_type(headers))
    return _HANDLE_BYTES.sub(lambda found: escape(vault.reveal(found[0].decode())).encode(), content)


def _escape_for(content_type: str) -> Callable[[str], str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return lambda value: json.dumps(value, ensure_ascii=False)[1:-1]
    if kind == "application/x-www-form-urlencoded":
        return lambda value: quote(value, safe="")
    return str


def _content_type(headers: Sequence[tuple[str, str]]) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "")


_FIRST, _LAST = tuple(seal(""))
_HANDLE = re.compile(f"{_FIRST}[^{_LAST}]*{_LAST}")
_OPENING, _CLOSING = _FIRST.encode(), _LAST.encode()
_HANDLE_BYTES = re.compile(_OPENING + b"(?:(?!" + _CLOSING + b").)*" + _CLOSING, re.DOTALL)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LINE_BREAK = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
