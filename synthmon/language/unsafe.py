"""Keeps texts that may belong to a real person out of probes; the language's door to the rules of `identities`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from synthmon.core.errors import Problem
from synthmon.identities.credentials import looks_secret
from synthmon.identities.literals import find_unsafe_literals
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.settings import Invented, Settings

_MOST_IN_A_FILE = 5
_SENT = frozenset({"headers", "json", "form", "query", "metadata", "vars"})
_SHORTEST_SECRET = 8  # characters; a shorter one cannot be masked anyhow


def owned_domains(settings: Settings) -> tuple[str, ...]:
    """Mail domains that the operator owns: those of the people that are invented."""
    return tuple(source.domain for source in settings.identities.values() if isinstance(source, Invented))


def say_unsafe(tree: Any, paths: Iterable[Path], owned: tuple[str, ...], faults: Faults) -> None:
    """Report every text below these paths, keys too, that looks live: a card, an account, an address, a key.

    Warn about one that is sent under a name such as `password`: anybody who reads the probe or its history sees it.
    """
    leaves = [leaf for path in paths for leaf in _leaves(_at(tree, path), path)]
    for path, value, is_key in leaves:
        if not is_key and isinstance(value, str) and _is_plain_secret(path, value):
            fault = f"`{path[-1]}` is written down here, and shown wherever the request is."
            remedy = "Write `${secret.NAME}`, and its place into the settings: `secrets: {NAME: env:NAME}`."
            faults.warn(path, "plain-secret", fault, remedy)
    if not find_unsafe_literals("\n".join(str(value) for _, value, _ in leaves), owned):
        return
    for path, value, is_key in leaves:
        say_unsafe_text(str(value), path, faults, owned, is_key=is_key)


def say_unsafe_text(
    text: str,
    path: Path,
    faults: Faults,
    owned: tuple[str, ...] = (),
    besides: tuple[str, ...] = (),
    is_key: bool = False,
) -> None:
    """Report what looks live in one text, `besides` these kinds."""
    for unsafe in find_unsafe_literals(text, owned):
        if unsafe.kind in besides:
            continue
        fault = f"This looks like a live {unsafe.kind}: {unsafe.value_masked}."
        if is_key:
            place = faults.marks.key(path, path[:-1])  # its path would show it
            faults.problems.append(Problem(place, "unsafe-literal", fault, unsafe.remedy))
        else:
            faults.say_inside(path, unsafe.at, "unsafe-literal", fault, unsafe.remedy)


def say_unsafe_file(file: str, content: bytes, path: Path, owned: tuple[str, ...], faults: Faults) -> None:
    """Report what looks live in a file that is sent as it is; one that is no text is not looked into."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    for unsafe in find_unsafe_literals(text, owned)[:_MOST_IN_A_FILE]:
        line = text.count("\n", 0, unsafe.at) + 1
        fault = f"{file}:{line} holds what looks like a live {unsafe.kind}: {unsafe.value_masked}."
        faults.say(path, "unsafe-literal", fault, unsafe.remedy)


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


def _leaves(node: Any, path: Path) -> Iterator[tuple[Path, Any, bool]]:
    """(where, text or number, whether it is a key)."""
    match node:
        case str() | int() | float() if not isinstance(node, bool):
            yield path, node, False
        case list():
            for i, item in enumerate(node):
                yield from _leaves(item, (*path, i))
        case dict():
            for key, item in node.items():
                yield (*path, key), key, True
                yield from _leaves(item, (*path, key))


def _is_plain_secret(path: Path, value: str) -> bool:
    *above, name = path
    if not isinstance(name, str) or not looks_secret(name) or _SENT.isdisjoint(above):
        return False
    return len(value) >= _SHORTEST_SECRET and "${" not in value


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(step)
    return tree
