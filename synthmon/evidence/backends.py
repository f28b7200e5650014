"""A back end that is asked over HTTP: where it is, what it is asked for, and what is said when it does not tell."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from synthmon.core.door import HttpAnswer, Trouble
from synthmon.core.evidence import Blind, Tell, Wanted, Watermark
from synthmon.core.fields import fields_of
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


def bad_value(fault: str, remedy: str) -> PydanticCustomError:
    """What a key raises whose value cannot be meant, with words for a person."""
    return PydanticCustomError("bad-value", "{fault}", {"fault": fault, "remedy": remedy})


class AskedByHttp:
    """What kinds of sources have in common whose back end has an HTTP API (`core.sources.SourceKind`); the word of one
    is also its key for the address."""

    word: str
    extra: str = ""
    library: str = ""
    secrets: frozenset[str] = SECRETS
    counts: bool = False

    def base(self, keys: Any) -> str:
        """Where it is. Raises `ValueError`."""
        return address(getattr(keys, self.word))

    def connection(self, keys: Any) -> str:
        """It asks none."""
        return ""


class BackEnd:
    """The back end of one source, asked for one run; `name` is what it is: `Loki`."""

    known_by = "`token`, or `user` and `password`"

    def __init__(self, name: str, base: str, means: Means) -> None:
        self.where = f"{name} at {urlsplit(base).netloc}"
        self._means = means

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The object that it answered; `{}` for HTTP 404. Raises `CannotTell`."""
        match await self._means.ask(method, path, params, body, headers):
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
                raise self._refused(answer)

    def _refused(self, answer: HttpAnswer) -> CannotTell:
        return CannotTell(Reason.EVIDENCE, f"{self.where} answered HTTP {answer.status}{self._meaning(answer)}")

    def _meaning(self, answer: HttpAnswer) -> str:
        """What a person does about it, or what the back end said."""
        match answer.status:
            case 401 | 403:
                return f": it does not let us in; check {self.known_by}"
            case 429:
                return ": it is asked more often than it allows"
        said = " ".join(_error(answer.content).split())
        return f": {said[:_SAID]}" if said else ""


class Reader:
    """Looks at a back end: `read` tells every record that is new, or raises `CannotTell`; `learn` is told, between two
    looks, of the keys to ask for from then on."""

    def __init__(
        self,
        source: Source,
        means: Means,
        tell: Tell,
        read: Callable[[], Awaitable[None]],
        learn: Callable[[tuple[str, ...]], None] = lambda keys: None,
    ) -> None:
        self._source, self._means, self._tell, self._read, self._learn = source, means, tell, read, learn
        self._fresh: tuple[str, ...] = ()
        self._failures = 0
        self._not_before_s = 0.0
        self._said = ""

    def begin(self, where: str) -> Looking:
        """Look again and again, from now on."""
        return Looking(self._source.name, where, every_s(self._source.lag_s), self.look, self._tell, self.widen)

    def widen(self, keys: tuple[str, ...]) -> None:
        """See `core.sources.Widens`."""
        self._fresh += keys

    async def look(self) -> None:
        """Look once; not at all for a while after it failed."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._not_before_s:
            return
        self._failures += 1  # until it has told everything: a look may also be broken off
        asked_ns = self._means.now_ns()
        pause_s = min(every_s(self._source.lag_s) * 2**self._failures, LONGEST_PAUSE_S)
        self._not_before_s = now_s + pause_s
        if self._fresh:
            keys, self._fresh = self._fresh, ()
            self._learn(keys)
        try:
            await self._read()
        except CannotTell as trouble:
            if trouble.detail != self._said:
                self._said = trouble.detail
                self._tell(Blind(self._source.name, trouble.reason, trouble.detail))
            return
        self._failures, self._not_before_s, self._said = 0, 0.0, ""
        if not self._fresh:  # else it was asked without them
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
        raise ValueError("An address has neither user nor query; who we are is said by keys of its own")
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


def pattern_of(wanted: Wanted) -> str:
    """A regular expression (RE2 and ours) that finds a mark of the run, as it is or as JSON spells it."""
    marks = marks_to_ask_for(wanted)
    return "|".join(re.escape(form) for form in dict.fromkeys((*marks, *(json.dumps(mark)[1:-1] for mark in marks))))


def _error(content: bytes) -> str:
    """The message in an answer that is an error, however it is wrapped."""
    match fields_of(content.strip()):
        case {"error": {"reason": str(said)}} | {"error": {"message": str(said)}} | {"error": str(said)}:
            return disarm(said)
        case {"message": str(said)} | {"Message": str(said)} | {"errors": [{"msg": str(said)}, *_]}:
            return disarm(said)
    return "" if content.lstrip().startswith((b"<", b"{")) else decode(content[: 4 * _SAID])
