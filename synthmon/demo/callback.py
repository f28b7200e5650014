"""Tells who ordered, on an address that came with the order: only on this machine."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from synthmon.demo.answers import Refused
from synthmon.demo.functions import Again

LONGEST_URL = 500
_LIMIT_S = 2.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def callback_of(body: Mapping[str, object]) -> str:
    """The address under `notify`, empty when there is none. Raises Refused for one that is not on this machine."""
    url = body.get("notify", "")
    if url == "":
        return ""
    if isinstance(url, str) and len(url) <= LONGEST_URL and _is_ours(url):
        return url
    raise Refused(400, "bad_request", "notify must be an http address of this machine: http://127.0.0.1:…")


async def call_back(url: str, told: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """POST it as JSON. Raises Again when nobody takes it (an answer of 2xx within two seconds)."""
    try:
        await asyncio.to_thread(_post, url, json.dumps(told).encode(), headers)
    except (OSError, ValueError) as exc:  # URLError and HTTPError are OSErrors
        raise Again(f"the call back was not taken: {exc}") from exc


class _Straight(urllib.request.HTTPRedirectHandler):
    """No redirect is followed: it may lead to another machine."""

    def redirect_request(self, *_: object) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Straight())


def _post(url: str, content: bytes, headers: Mapping[str, str]) -> None:
    kept = {**headers, "Content-Type": "application/json", "User-Agent": "synthmon-demo"}
    with _DIRECT.open(urllib.request.Request(url, content, kept, method="POST"), timeout=_LIMIT_S) as answer:
        answer.read(65_536)


def _is_ours(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.username is None
    except ValueError:
        return False
