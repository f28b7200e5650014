"""Finds out which values of a recording were learnt from an earlier answer, so that a run learns its own.

A value counts as learnt when an earlier answer gave it, no request before that answer had sent it, and it looks like an
id: at least six characters with a digit among them, or sixteen of any kind, and no date, amount or sentence. Shorter
ids count where they follow the path that gave them: `POST /orders` → 42 → `GET /orders/42`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from synthmon.core.expressions import KEYWORDS
from synthmon.imports.exchanges import Answer, Exchange
from synthmon.imports.naming import singular, unused, word_of
from synthmon.imports.sealing import SECRET_HEADER, covers
from synthmon.imports.texts import Path, Text, Value, fill, joined, leaves, mapped, replaced
from synthmon.language.expressions import literal

LONGEST = 4096
SHORTEST_SECRET = 8  # `secret(…)` refuses shorter ones


@dataclass(frozen=True, slots=True)
class Learnt:
    """Where a value came from: the exchange, the expression that saves it, its name, whether it was a number."""

    index: int
    expression: str
    name: str
    number: bool = False
    hidden: bool = False


Links = Mapping[str, Learnt]
"""The value as it was recorded, or a short one behind the segment before it (`carts/42`) → where it came from."""


def in_place(path: Sequence[Value], at: int) -> str:
    """A segment of a path as short ids are kept: `carts/42`."""
    return f"{path[at - 1] if at else ''}/{unquote(str(path[at]))}"


def find_links(exchanges: Sequence[Exchange]) -> Links:
    """Every value that a request took from an earlier answer."""
    offered: dict[str, Learnt] = {}
    links: dict[str, Learnt] = {}
    sent: set[str] = set()
    for i, exchange in enumerate(exchanges):
        for where, text in _sent(exchange):
            for token in _tokens(text):
                learnt = offered.get(token) or _in_a_page(token, where, exchanges[:i])
                if learnt and learnt.index < i:
                    hidden = learnt.hidden or (
                        where == "secret" and len(token) >= SHORTEST_SECRET and not learnt.number
                    )
                    links[token] = replace(links.get(token, learnt), hidden=hidden or links.get(token, learnt).hidden)
                sent.add(token)
        for place, learnt in _short_ids(exchange, exchanges[:i], links):
            links.setdefault(place, learnt)
        for value, learnt in _given(exchange.answer, i):
            if value not in sent:
                offered.setdefault(value, learnt)
    return links


def linked(
    exchanges: Sequence[Exchange], links: Links, ids: Sequence[str]
) -> tuple[list[Exchange], list[dict[str, str]]]:
    """The exchanges with `${step.name}` for what they learnt, and what each step has to save."""
    saves: list[dict[str, str]] = [{} for _ in exchanges]
    names: dict[str, tuple[str, Learnt]] = {}
    saved: dict[tuple[int, str], str] = {}
    for value, learnt in links.items():
        source = (learnt.index, learnt.expression)
        if source not in saved:
            saved[source] = unused(learnt.name, saves[learnt.index])
        hidden = learnt.hidden or saves[learnt.index].get(saved[source], "").startswith("secret(")
        saves[learnt.index][saved[source]] = f"secret({learnt.expression})" if hidden else learnt.expression
        names[value] = (f"{ids[learnt.index]}.{saved[source]}", learnt)
    return [_filled(exchange, i, names) for i, exchange in enumerate(exchanges)], saves


def selected(path: Path, root: str = "body") -> str:
    """A place in a JSON value as an expression: `body.items[0]["x-id"]`."""
    made = root
    for step in path:
        if isinstance(step, int):
            made += f"[{step}]"
        else:
            made += (
                f".{step}"
                if re.fullmatch(r"[A-Za-z_]\w*", step, re.ASCII) and step not in KEYWORDS
                else f"[{literal(step)}]"
            )
    return made


def _sent(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Every text of a request; `secret` where secrets stand."""
    for piece in exchange.path:
        yield "path", unquote(str(piece))
    for path, leaf in (*leaves(dict(exchange.params)), *leaves(exchange.body)):
        if isinstance(leaf, str | int) and not isinstance(leaf, bool):
            yield "secret" if covers(path) else "body", str(leaf)
    for name, value in exchange.headers.items():
        yield "secret" if SECRET_HEADER.search(name) else "header", str(value)


def _tokens(text: str) -> Iterator[str]:
    """A text, and the words in it that could be ids."""
    yield text
    if len(text) <= LONGEST * 4:
        for pattern in _WORDS:
            yield from pattern.findall(text)


def _given(answer: Answer | None, index: int) -> Iterator[tuple[str, Learnt]]:
    """What an answer teaches: from its JSON, its cookies and its Location."""
    if answer is None:
        return
    found = [(path, leaf) for path, leaf in leaves(answer.json) if _eligible(leaf)]
    for path, leaf in sorted(found, key=lambda each: (sum(isinstance(step, int) for step in each[0]), len(each[0]))):
        hidden = covers(path) and isinstance(leaf, str) and len(leaf) >= SHORTEST_SECRET
        yield str(leaf), Learnt(index, selected(path), _name(path), isinstance(leaf, int), hidden)
    for name, value in re.findall(r"(?:^|, ?)([\w!#$%&'*+.^`|~-]+)=([^;,]*)", answer.headers.get("set-cookie", "")):
        if len(value) >= SHORTEST_SECRET:
            pattern = literal(f"{re.escape(name)}=([^;,]+)")
            yield value, Learnt(index, f'find(headers["set-cookie"], {pattern})', word_of(name, "cookie"), hidden=True)
    place = unquote(answer.headers.get("location", "").partition("?")[0].rstrip("/").rpartition("/")[2])
    if _eligible(place):
        yield place, Learnt(index, 'find(headers["location"], "([^/?#]+)/?$")', "id")


def _in_a_page(token: str, where: str, before: Sequence[Exchange]) -> Learnt | None:
    """A hidden field of an earlier HTML page, such as a CSRF token, found by what stands in front of it."""
    if where not in ("body", "secret") or not 16 <= len(token) <= 512 or not _eligible(token):
        return None
    for i, exchange in reversed(tuple(enumerate(before))):
        answer = exchange.answer
        if answer is not None and answer.json is None and answer.text.count(token) == 1:
            at = answer.text.index(token)
            front = answer.text[max(0, at - 80) : at]
            front = front[max(front.rfind("<"), front.rfind("\n") + 1, 0) :]
            pattern = re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", front) + (
                "([^'<>]+)" if front.endswith("'") else '([^"<>]+)'
            )
            found = re.search(pattern, answer.text) if front and front.isprintable() else None
            if found and found[1] == token:
                name = re.search(r"""name=["']([\w-]+)""", front)
                return Learnt(i, f"find(text, {literal(pattern)})", word_of(name[1] if name else "token"), hidden=True)
    return None


def _short_ids(exchange: Exchange, before: Sequence[Exchange], links: Links) -> Iterator[tuple[str, Learnt]]:
    """Ids of any length that follow the path which gave them; `carts/42`, since 42 may stand for anything."""
    for at in range(1, len(exchange.path)):
        value = unquote(str(exchange.path[at]))
        if value in links or not re.fullmatch(r"\d+|(?=.*\d)[\w-]{2,}", value):
            continue
        if found := next(_ids_of_the_same(value, exchange, at, before), None):
            yield in_place(exchange.path, at), found


def _ids_of_the_same(value: str, exchange: Exchange, at: int, before: Sequence[Exchange]) -> Iterator[Learnt]:
    for i, one in enumerate(before):
        follows = one.path == exchange.path[:at] and one.origin == exchange.origin
        for path, leaf in leaves(one.answer.json) if one.answer else ():
            same = str(leaf) == value and not isinstance(leaf, bool)
            if same and _names_id_of(path, follows, str(exchange.path[at - 1])):
                yield Learnt(i, selected(path), _name(path), isinstance(leaf, int))


def _names_id_of(path: Path, follows: bool, segment: str) -> bool:
    """Whether a place in an answer is called the id of what a segment of a path holds: `user.id` or `userId` of
    `users`; after the path that gave it any id is."""
    words = [word_of(step) for step in path if isinstance(step, str)]
    if not words or not re.fullmatch(r"(.+_)?id", words[-1]):
        return False
    thing = singular(word_of(segment))
    return (
        follows or words[-1] == f"{thing}_id" or (words[-1] == "id" and words[-2:-1] in ([thing], [word_of(segment)]))
    )


def _filled(exchange: Exchange, index: int, names: Mapping[str, tuple[str, Learnt]]) -> Exchange:
    known = {value: full for value, (full, learnt) in names.items() if learnt.index < index}
    hidden = {value for value, (_, learnt) in names.items() if learnt.hidden}
    numbers = {value for value, (_, learnt) in names.items() if learnt.number}

    def fill_leaf(_: Path, leaf: Value) -> Value:
        if isinstance(leaf, bool) or not isinstance(leaf, str | int):
            return leaf
        if str(leaf) in known and _whole(str(leaf)):
            full = known[str(leaf)]
            if isinstance(leaf, int):
                return fill(full if str(leaf) in numbers or str(leaf) in hidden else f"int({full})")
            return fill(f"string({full})" if str(leaf) in numbers else full)
        return _inside(leaf, known) if isinstance(leaf, str) else leaf

    def fill_segment(at: int) -> Value:
        piece = exchange.path[at]
        full = known.get(unquote(str(piece))) or known.get(in_place(exchange.path, at))
        return fill(full) if full else _inside(piece, known)

    headers = {
        name: _cookies(v, known) if name.lower() == "cookie" else _inside(v, known)
        for name, v in exchange.headers.items()
    }
    return replace(
        exchange,
        path=tuple(map(fill_segment, range(len(exchange.path)))),
        params=mapped(dict(exchange.params), fill_leaf),
        body=mapped(exchange.body, fill_leaf) if exchange.word else None,
        headers=headers,
    )


def _inside(text: Value, known: Mapping[str, str]) -> Value:
    """A text with the long ids in it filled; a short one could be part of anything."""
    if not isinstance(text, str):
        return text
    made: str | Text = text
    for token in sorted(
        {t for t in _tokens(text) if t in known and (len(t) >= 12 or t == text)}, key=len, reverse=True
    ):
        made = replaced(made, token, fill(known[token]))
    return made


def _cookies(value: Value, known: Mapping[str, str]) -> Value:
    """The cookies that an earlier answer set; the others are left out, unless none was learnt."""
    pieces = [piece.strip().partition("=") for piece in str(value).split(";")]
    learnt = [joined(f"{name}=", fill(known[text])) for name, _, text in pieces if text in known]
    if not learnt:
        return value
    return joined(*(part for i, one in enumerate(learnt) for part in (("; ", one) if i else (one,))))


def _whole(value: str) -> bool:
    return len(value) >= 6


def _name(path: Path) -> str:
    return word_of(next((step for step in reversed(path) if isinstance(step, str)), "value"))


def _eligible(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value)
    if not 6 <= len(text) <= LONGEST or re.search(r"\s|^https?:", text) or _NO_ID.fullmatch(text):
        return False
    return len(text) >= 16 or any(char.isdigit() for char in text)


_WORDS = (
    re.compile(r"[\w~-]{6,}"),
    re.compile(r"[\w~.-]{6,}"),
    re.compile(r"[\w~.+/=-]{6,}"),
    re.compile(r"[^\s;,=]{6,}"),
)
_NO_ID = re.compile(r"\d{4}-\d\d-\d\d.*|[-+]?\d*[.,]\d+|[^@]+@[^@]+|\d\d:\d\d.*|v?\d+(\.\d+)+")
