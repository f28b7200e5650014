"""Asks a running daemon for something, over its API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

ASK_S = 10.0


class Refusal(Exception):
    """The daemon did not do it, or was not there; the message says why."""


def switch(url: str, journeys: tuple[str, ...], word: str, token: str = "") -> None:
    """`pause` or `resume` these journeys of the daemon at `url`, all without a name. Raises `Refusal`."""
    for name in journeys or ("",):
        way = f"/api/v1/journeys/{quote(name, safe='/')}/{word}" if name else f"/api/v1/{word}"
        _post(url.rstrip("/") + way, token)


def _post(url: str, token: str) -> Any:
    headers = {"x-synthmon": "1"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        # no proxy, no netrc: a daemon is asked directly
        answer = httpx.post(url, json={}, headers=headers, timeout=ASK_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refusal(f"no daemon answers at {url}: {error or type(error).__name__}") from error
    if answer.is_success:
        return answer.json()
    raise Refusal(_words(answer))


def _words(answer: httpx.Response) -> str:
    try:
        told = answer.json()
        return f"{told['title']}. {told.get('detail', '')}".strip()
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answers {answer.status_code}; is it a synthmon?"
