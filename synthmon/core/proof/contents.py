"""What an answer says, as JSON, and the same answer saying something else, whatever kind of step was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import orjson

from synthmon.core.answers import headers_map, media_type, says_json
from synthmon.core.door import HttpAnswer, Rows
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.messages import Message
from synthmon.core.timing import Timing

ERROR_STATUS, ERROR_CONTENT = 500, b'{"error": "internal", "reason": "injected by synthmon prove"}'
INJECTED = "injected by synthmon prove"


@runtime_checkable
class Telling(Protocol):
    """An answer in a protocol of its own, of which other kinds than `http` and `query` make theirs."""

    @property
    def timing(self) -> Timing: ...

    @property
    def said(self) -> Mapping[str, Any]:
        """The parts that can be wrong, as JSON, by the names that checks use: `{"answers": ["192.0.2.1"]}`."""
        ...

    def saying(self, said: Mapping[str, Any]) -> Any:
        """The same answer with these parts."""
        ...

    def broken(self) -> Any:
        """What a target that is broken answers in its place; None where its protocol has no such answer."""
        ...


def content_of(answer: Any) -> Any:
    """The JSON of an answer or of a message, the rows of a query as a list; None when there is none."""
    match answer:
        case HttpAnswer():
            kind = media_type(headers_map(answer.headers))
            return _parsed(answer.content) if says_json(kind, "GET", answer.status, answer.content) else None
        case Message():
            return _parsed(answer.content)
        case Rows():
            return {"rows": [dict(row) for row in answer.rows]}
        case Telling():
            return dict(answer.said) or None
    return None


def with_content(answer: Any, content: Any) -> Any:
    """The same answer with other JSON in it."""
    match answer:
        case Rows():
            return replace(answer, rows=tuple(content["rows"]))
        case HttpAnswer() | Message():
            return replace(answer, content=orjson.dumps(content))
    return answer.saying(content)


def told_as(answer: Any, then: Any) -> Any:
    """An answer that says what another said then, and came when it came."""
    match answer:
        case HttpAnswer():
            return replace(answer, status=then.status, headers=then.headers, content=then.content)
        case Message():
            return replace(answer, headers=then.headers, content=then.content, facts=then.facts)
    return replace(then, timing=answer.timing)


def erroneous(answer: Any) -> Any:
    """What a broken target answers in its place; None where there is no such answer."""
    match answer:
        case HttpAnswer():
            headers = (("content-type", "application/json"),)
            return replace(answer, status=ERROR_STATUS, headers=headers, content=ERROR_CONTENT)
        case Telling():
            return answer.broken()
    return None


def _parsed(content: bytes) -> Any:
    try:
        return parse_json(content)
    except InvalidJson:
        return None
