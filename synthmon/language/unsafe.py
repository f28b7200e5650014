"""Keeps texts that may belong to a real person out of probes; the language's door to the rules of `identities`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from synthmon.identities.literals import find_unsafe_literals
from synthmon.language.faults import Faults
from synthmon.language.marks import Path


def say_unsafe(tree: Any, paths: Iterable[Path], owned: tuple[str, ...], faults: Faults) -> None:
    """Report every text below these paths that looks live: a card, an account, an address, a key."""
    leaves = [leaf for path in paths for leaf in _leaves(_at(tree, path), path)]
    if not find_unsafe_literals("\n".join(str(value) for _, value in leaves), owned):
        return
    for path, value in leaves:
        for unsafe in find_unsafe_literals(str(value), owned):
            fault = f"This looks like a live {unsafe.kind}: {unsafe.value_masked}."
            faults.say_inside(path, unsafe.at, "unsafe-literal", fault, unsafe.remedy)


def unsafe_fields(fields: tuple[str, ...], locale: str, domain: str) -> list[tuple[str, str, str]]:
    """What cannot be invented safely: (field or `locale`, fault, remedy)."""
    from synthmon.identities.invent import find_unsafe_fields  # imports Faker: 300 ms, and only who invents needs it

    return [
        (bad.field, f"{bad.field} cannot be invented for {bad.locale}: {bad.why}.", bad.remedy)
        for bad in find_unsafe_fields(fields, locale, domain)
    ]


def offered_names(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The names that `identity.` has for these fields."""
    from synthmon.identities.fields import offered

    return offered(fields)


def _leaves(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    match node:
        case str() | int() | float() if not isinstance(node, bool):
            yield path, node
        case list():
            for i, item in enumerate(node):
                yield from _leaves(item, (*path, i))
        case dict():
            for key, item in node.items():
                yield from _leaves(item, (*path, key))


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(step)
    return tree
