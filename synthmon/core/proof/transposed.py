"""An answer to an earlier run as it would read had this run got it: its marks, what it was asked, its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from synthmon.core.door import HttpAnswer, HttpRequest
from synthmon.core.foreign import InvalidJson, decode, parse_json
from synthmon.core.proof.contents import content_of, with_content
from synthmon.core.run import Run

SHORTEST = 4  # of a text that is replaced


def transposed(answer: Any, then: tuple[Any, Run], now: tuple[Any, Run]) -> Any:
    """What was answered then, with the texts of the request and of the run of now. What the target made up stays."""
    texts = _told(then[0], now[0]) | {then[1].id: now[1].id, then[1].namespace: now[1].namespace}
    later = now[1].started - then[1].started
    content = content_of(answer)
    if content is not None:
        answer = with_content(answer, _transposed(content, texts, then[1].started, later))
    if not isinstance(answer, HttpAnswer):
        return answer
    headers = tuple((name, _text(value, texts)) for name, value in answer.headers)
    if content is not None:
        return replace(answer, headers=headers)
    return replace(answer, headers=headers, content=_text(decode(answer.content, "utf-8"), texts).encode())


def _transposed(value: Any, texts: Mapping[str, str], began: datetime, later: timedelta) -> Any:
    match value:
        case dict():
            return {key: _transposed(each, texts, began, later) for key, each in value.items()}
        case list():
            return [_transposed(each, texts, began, later) for each in value]
        case str():
            return _instant(value, began, later) or _text(value, texts)
    return value


def _instant(text: str, began: datetime, later: timedelta) -> str:
    """An instant of the earlier run, moved by as much as this one is later; empty for every other text."""
    try:
        moment = datetime.fromisoformat(text) if text[:1].isdigit() and "T" in text else None
    except ValueError:
        return ""
    if moment is None or moment.tzinfo is None or abs(moment - began) > timedelta(minutes=10):
        return ""
    return (moment + later).isoformat().replace("+00:00", "Z")


def _text(text: str, texts: Mapping[str, str]) -> str:
    for old in sorted(texts, key=len, reverse=True):
        text = text.replace(old, texts[old])
    return text


def _told(then: Any, now: Any) -> dict[str, str]:
    """The texts of one request that are others in the other."""
    if isinstance(then, HttpRequest):
        pairs = [*zip(_parts(then.url), _parts(now.url), strict=False), *_differing(_body(then), _body(now))]
    else:
        pairs = _differing(_plain(then), _plain(now))
    return {old: new for old, new in pairs if old != new and len(old) >= SHORTEST}


def _parts(url: str) -> list[str]:
    split = urlsplit(url)
    return [*split.path.split("/"), *(value for _, value in parse_qsl(split.query))]


def _body(request: HttpRequest) -> Any:
    try:
        return parse_json(request.body or b"")
    except InvalidJson:
        return dict(parse_qsl(decode(request.body or b"", "utf-8")))


def _plain(value: Any) -> Any:
    """A request as JSON, as far as it is."""
    match value:
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value


def _differing(then: Any, now: Any) -> list[tuple[str, str]]:
    match then, now:
        case dict(), dict():
            return [pair for key in then.keys() & now.keys() for pair in _differing(then[key], now[key])]
        case list(), list():
            return [pair for old, new in zip(then, now, strict=False) for pair in _differing(old, new)]
        case str(), str():
            return [(then, now)]
    return []
