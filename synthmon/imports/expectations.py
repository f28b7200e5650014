"""What a recorded answer lets a step expect: its status, and one value that tells right from wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from synthmon.identities.literals import find_unsafe_literals
from synthmon.imports.exchanges import Answer, Exchange
from synthmon.imports.links import selected
from synthmon.imports.sealing import covers
from synthmon.imports.texts import Path, constant, leaves

_TELLING = re.compile(r"status|state|phase|outcome|result|ok|success|type|kind|currency", re.IGNORECASE)
LONGEST_VALUE = 40


def expected(exchange: Exchange) -> tuple[str, ...]:
    """The checks of a step."""
    answer = exchange.answer
    if answer is None:
        if exchange.write:
            return ("status >= 200 && status < 300",)
        return ("status == 200",)
    status = 200 if answer.status == 304 else answer.status
    value = next(_values(exchange, answer), "") if status < 300 or exchange.polled_s is not None else ""
    return (f"status == {status}", *filter(None, (value,)))


def _values(exchange: Exchange, answer: Answer) -> Iterator[str]:
    """Checks of one value each, the most telling first."""
    yield from _changed(exchange, answer)
    yield from _telling(answer.json)
    yield from _echoed(exchange, answer)
    match answer.json:
        case list() if answer.json:
            yield "size(body) > 0"
        case dict():
            for key, item in answer.json.items():
                if isinstance(item, list) and item:
                    yield f"size({selected((key,))}) > 0"
            for key, item in answer.json.items():
                if item is not None and (place := selected((key,))).startswith("body."):
                    yield f"has({place})"
    if exchange.method != "HEAD" and answer.json is None and "html" in answer.headers.get("content-type", ""):
        title = re.search(r"<title[^>]*>\s*([^<&]{3,80}?)\s*</title>", answer.text, re.IGNORECASE)
        if title and _may_stand(" ".join(title[1].split()), ("title",)):
            yield f'css(text, "title") == {constant(" ".join(title[1].split()))}'


def _changed(exchange: Exchange, answer: Answer) -> Iterator[str]:
    """What a poll waited for: a short value that is another in its last answer than in its first."""
    if exchange.began_as is None:
        return
    before = dict(leaves(exchange.began_as.json))
    changed = [
        (p, v) for p, v in leaves(answer.json) if p not in before or before[p] != v or type(before[p]) is not type(v)
    ]
    for path, value in sorted(changed, key=lambda each: (not _TELLING.search(str(each[0][-1:])), len(each[0]))):
        if _may_stand(value, path) and not _of_a_moment(value):
            yield f"{selected(path)} == {constant(value)}"


def _telling(json: Any) -> Iterator[str]:
    for path, value in leaves(json):
        if 0 < len(path) <= 2 and isinstance(path[-1], str) and _TELLING.fullmatch(path[-1]):
            word = isinstance(value, str) and _may_stand(value, path) and not _of_a_moment(value)
            if word or isinstance(value, bool):
                yield f"{selected(path)} == {constant(value)}"


def _echoed(exchange: Exchange, answer: Answer) -> Iterator[str]:
    """Values that the answer repeats from the request."""
    if exchange.word != "json" or not isinstance(exchange.body, dict) or not isinstance(answer.json, dict):
        return
    for key, sent in exchange.body.items():
        got = answer.json.get(key)
        if type(got) is type(sent) and got == sent and _may_stand(got, (key,)) and got not in ("", True, False):
            yield f"{selected((key,))} == {constant(sent)}"


def _may_stand(value: Any, path: Path) -> bool:
    """Whether a recorded value may be written into a probe."""
    if value is None or isinstance(value, dict | list) or covers(path):
        return False
    text = str(value)
    return len(text) <= LONGEST_VALUE and text.isprintable() and not find_unsafe_literals(text)


def _of_a_moment(value: Any) -> bool:
    """A time, an id, a large number: another in every run."""
    if isinstance(value, int | float):
        return abs(value) > 1000
    return bool(re.search(_TIME, str(value)) or re.fullmatch(_LIKE_AN_ID, str(value)))


_TIME = r"\d{4}-\d\d-\d\d|\d\d:\d\d"
_LIKE_AN_ID = r"(?=.*\d)[\w-]{12,}|[0-9a-f]{16,}"
