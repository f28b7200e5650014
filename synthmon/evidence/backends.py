"""A back end that is asked over HTTP: where it is, what it is asked for, and what is said when it does not tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import HttpAnswer, Trouble
from synthmon.core.evidence import Blind, Tell, Wanted, Watermark, fields_of
from synthmon.core.foreign import decode, disarm
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.looking import Looking, every_s

LONGEST_PAUSE_S = 10.0  # between two looks at a back end that does not tell
MOST_MARK_CHARACTERS, LONGEST_MARK = 3000, 200  # of what one question names
SECRETS = frozenset(("token", "password"))
_SAID = 200


class Credentials(BaseModel):
    """Who we are at a back end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field("", description="The user to log in as.")
    password: str | None = Field(None, description="Its password, by reference: `env:LOGS_PASSWORD`.")
    token: str | None = Field(None, description="A token instead, by reference: `env:LOGS_TOKEN`.")


class CannotTell(Exception):
    """A back end did not tell everything that it was asked for: why, in words for a person."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class BackEnd:
    """The back end of one source, asked for one run; `name` is what it is: `Loki`."""

    def __init__(self, name: str, base: str, means: Means) -> None:
        self.where = f"{name} at {urlsplit(base).netloc}"
        self._means = means

    async def ask(self, method: str, path: str, params: Mapping[str, str], body: bytes | None = None) -> dict[str, Any]:
        """The object that it answered; `{}` for HTTP 404. Raises `CannotTell`."""
        match await self._means.ask(method, path, params, body):
            case Trouble(reason, detail):
                raise CannotTell(reason, detail)
            case HttpAnswer(status=404):
                return {}
            case HttpAnswer(status=200, content=content):
                found = fields_of(content.strip())
                if found is None:
                    raise CannotTell(Reason.BAD_ANSWER, f"{self.where} answered {path} with something that is no JSON")
                return found
            case answer:
                raise CannotTell(Reason.EVIDENCE, f"{self.where} answered HTTP {answer.status}{_meaning(answer)}")


class Reader:
    """Looks at a back end: `read` tells every record that is new, or raises `CannotTell`."""

    def __init__(self, source: Source, means: Means, tell: Tell, read: Callable[[], Awaitable[None]]) -> None:
        self._source, self._means, self._tell, self._read = source, means, tell, read
        self._failures = 0
        self._not_before_s = 0.0
        self._said = ""

    def begin(self, where: str) -> Looking:
        """Look again and again, from now on."""
        return Looking(self._source.name, where, every_s(self._source.lag_s), self.look, self._tell)

    async def look(self) -> None:
        """Look once; not at all for a while after it failed."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._not_before_s:
            return
        self._failures += 1  # until it has told everything: a look may also be broken off
        asked_ns = self._means.now_ns()
        pause_s = min(every_s(self._source.lag_s) * 2**self._failures, LONGEST_PAUSE_S)
        self._not_before_s = now_s + pause_s
        try:
            await self._read()
        except CannotTell as trouble:
            if trouble.detail != self._said:
                self._said = trouble.detail
                self._tell(Blind(self._source.name, trouble.reason, trouble.detail))
            return
        self._failures, self._not_before_s, self._said = 0, 0.0, ""
        self._tell(Watermark(self._source.name, asked_ns - round(self._source.lag_s * 1e9)))


def address(url: str) -> str:
    """The address of a back end, checked. Raises `ValueError` with words for a person."""
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fit = False
    if not fit:
        raise ValueError(f"`{disarm(url[:100])}` is no address of a back end: write http://host:port or https://host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("An address has neither user nor query; `user`, `password` and `token` are keys of their own")
    return url.rstrip("/")


def marks_to_ask_for(wanted: Wanted) -> tuple[str, ...]:
    """The marks of a run that a question can name: the first ones, for back ends refuse long questions."""
    found: list[str] = []
    room = MOST_MARK_CHARACTERS
    for mark in wanted.marks:
        if mark and len(mark) <= min(room, LONGEST_MARK):
            found.append(mark)
            room -= len(mark)
    return tuple(found)


def places(
    texts: Mapping[str, str], renamed: Mapping[str, str], usual: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Where each part of a record is: where `renamed` says, else the first of its usual names that is there."""
    found = {part: next((name for name in names if texts.get(name)), "") for part, names in usual.items()}
    return {part: name for part, name in found.items() if name} | dict(renamed)


def _meaning(answer: HttpAnswer) -> str:
    """What a person does about it, or what the back end said."""
    match answer.status:
        case 401 | 403:
            return ": it does not let us in; check `token`, or `user` and `password`"
        case 429:
            return ": it is asked more often than it allows"
    said = " ".join(_error(answer.content).split())
    return f": {said[:_SAID]}" if said else ""


def _error(content: bytes) -> str:
    """The message in an answer that is an error, however it is wrapped."""
    match fields_of(content.strip()):
        case {"error": {"reason": str(said)}} | {"error": {"message": str(said)}} | {"error": str(said)}:
            return disarm(said)
        case {"message": str(said)} | {"errors": [{"msg": str(said)}, *_]}:
            return disarm(said)
    return "" if content.lstrip().startswith((b"<", b"{")) else decode(content[: 4 * _SAID])
