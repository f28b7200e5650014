"""Asks a running daemon for something, over its API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

ASK_S = 10.0
PREPARE_S = 60.0  # what a replay would send is found out before it is answered


class Refusal(Exception):
    """The daemon did not do it, or was not there (`status` 0); the message says why, `title` in short."""

    def __init__(self, said: str, status: int = 0, title: str = "") -> None:
        super().__init__(said)
        self.status, self.title = status, title


class Daemon:
    """The one at `url`. Everything raises `Refusal`."""

    def __init__(self, url: str, token: str = "") -> None:
        self._base = url.rstrip("/") + "/api/v1/"
        self._headers = {"x-synthmon": "1"} | ({"authorization": f"Bearer {token}"} if token else {})

    def get(self, way: str) -> Any:
        """What the API answers, parsed."""
        return self._ask("GET", way, None, ASK_S)

    def post(self, way: str, body: Any = None, limit_s: float = ASK_S) -> Any:
        """Ask for something to be done."""
        return self._ask("POST", way, {} if body is None else body, limit_s)

    def _ask(self, method: str, way: str, body: Any, limit_s: float) -> Any:
        url = self._base + way
        try:
            # no proxy, no netrc: a daemon is asked directly
            answer = httpx.request(method, url, json=body, headers=self._headers, timeout=limit_s, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Refusal(f"no daemon answers at {url}: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer.json()
        raise _refusal(answer)


def switch(url: str, journeys: tuple[str, ...], word: str, token: str = "") -> None:
    """`pause` or `resume` these journeys of the daemon at `url`, all without a name. Raises `Refusal`."""
    for name in journeys or ("",):
        Daemon(url, token).post(f"journeys/{path(name)}/{word}" if name else word)


def path(name: str) -> str:
    """The name of a journey in an address."""
    return quote(name, safe="/")


def _refusal(answer: httpx.Response) -> Refusal:
    try:
        told = answer.json()
        return Refusal(f"{told['title']}. {told.get('detail', '')}".strip(), answer.status_code, told["title"])
    except (ValueError, KeyError, TypeError):
        return Refusal(f"{answer.url} answers {answer.status_code}; is it a synthmon?", answer.status_code)
