"""Ids that the recorded client made up itself: a run has to make up its own, or every run would send the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

from synthmon.imports.exchanges import Exchange
from synthmon.imports.links import Links
from synthmon.imports.naming import unused, word_of
from synthmon.imports.sealing import covers
from synthmon.imports.texts import Path, Text, Value, fill, leaves, mapped, replaced
from synthmon.language.expressions import literal

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)

OwnIds = Mapping[str, tuple[str, Text]]
"""The recorded UUID → the name of a variable, and its value."""


def find_own_ids(exchanges: Sequence[Exchange], links: Links) -> OwnIds:
    """UUIDs that first appear in the body of a write, not learnt from an answer nor sent by an earlier request."""
    found: dict[str, tuple[str, Text]] = {}
    before = ""
    for exchange in exchanges:
        for path, leaf in leaves(exchange.body) if exchange.write else ():
            if not isinstance(leaf, str) or not _UUID.fullmatch(leaf) or leaf in found:
                continue
            if leaf not in links and leaf not in before and not covers(path):
                key = next((step for step in reversed(path) if isinstance(step, str)), "reference")
                name = unused(word_of(key, "reference"), [taken for taken, _ in found.values()])
                found[leaf] = (name, fill(f"uuid({literal(name)})"))
        answer = exchange.answer.text if exchange.answer else ""
        before += unquote("\n".join(map(str, (*exchange.path, exchange.params, exchange.body, answer)))) + "\n"
    return found


def with_own_ids(exchanges: Sequence[Exchange], own: OwnIds) -> list[Exchange]:
    """The exchanges with `${vars.<name>}` in the place of these ids."""

    def change(_: Path, leaf: Value) -> Value:
        made: str | Text = leaf
        for value, (name, _text) in own.items() if isinstance(leaf, str | Text) else ():
            made = replaced(made, value, fill(f"vars.{name}"))
        return made

    return [
        replace(
            one,
            path=tuple(change((), piece) for piece in one.path),
            params=mapped(dict(one.params), change),
            headers=mapped(dict(one.headers), change),
            body=mapped(one.body, change),
        )
        for one in exchanges
    ]
