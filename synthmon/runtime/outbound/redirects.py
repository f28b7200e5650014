"""Where a redirect leads, what may be taken along, and when it is not followed at all (RFC 9110 15.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx

from synthmon.core.headers import private
from synthmon.runtime.outbound.guard import Refused

MOST = 5
STATUSES = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the way, every secret opened. `secret` names the headers (lower-case) that held one."""

    method: str
    url: httpx.URL = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)
    secret: frozenset[str] = frozenset()
    secret_body: bool = False


class Astray(Exception):
    """The answer redirects in a way that cannot be followed."""


def next_hop(hop: Hop, status: int, location: str, holds_secret: Callable[[str], bool]) -> Hop:
    """The request that a redirect asks for.

    301 and 302 turn POST into GET, 303 everything but HEAD; the body then stays behind. To another origin no header
    goes that authenticates or held a secret; `http` to `https` on the same host is no other origin.
    Raises `Astray` for an unusable location, `Refused` when the body or the location itself would carry a secret away.
    """
    try:
        url = hop.url.join(location).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:
        raise Astray(f"it redirects to an unusable location: {error}") from error
    method = _method(hop.method, status)
    moved = replace(hop, method=method, url=url)
    if method != hop.method:
        kept = tuple((name, value) for name, value in hop.headers if not name.lower().startswith("content-"))
        moved = replace(moved, headers=kept, body=None, secret_body=False)
    if _same_origin(hop.url, url):
        return moved
    if moved.secret_body or holds_secret(location):
        raise Refused(f"the redirect from {hop.url.host} to {url.host} would carry a secret to another host")
    kept = tuple((name, value) for name, value in moved.headers if not _private(name.lower(), hop.secret))
    return replace(moved, headers=kept)


def _method(method: str, status: int) -> str:
    if (status in (301, 302) and method == "POST") or (status == 303 and method != "HEAD"):
        return "GET"
    return method


def _same_origin(here: httpx.URL, there: httpx.URL) -> bool:
    upgraded = (here.scheme, there.scheme) == ("http", "https") and (_port(here), _port(there)) == (80, 443)
    return here.raw_host == there.raw_host and (
        upgraded or (here.scheme == there.scheme and _port(here) == _port(there))
    )


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _private(name: str, secret: frozenset[str]) -> bool:
    """Whether a header is for the first host's eyes only."""
    return name in secret or private(name) or name.endswith("-authenticate")
