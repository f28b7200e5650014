"""Keeps values that may belong to a real person from leaving, also those that exist only once a run computed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import unquote

from synthmon.core.secrets import masked
from synthmon.identities.literals import find_unsafe_literals
from synthmon.language.settings import Settings
from synthmon.language.unsafe import owned_domains

LONGEST = 16_384  # characters of a request that are read: the loop must not be held by a body of a megabyte

Inspect = Callable[[Any], str]
"""A rendered request → why it may not leave; empty if it may."""


def inspector(settings: Settings, names: Callable[[], Mapping[str, Any]]) -> Inspect:
    """Looks through the requests of one run; `names` are all that it knows by now.

    A value that the target itself gave, or that stands in the file of a test account, may go back where it belongs;
    one that the journey wrote or put together may not.
    """
    owned = owned_domains(settings)
    return lambda request: find_living(request, owned, names)


def find_living(request: Any, owned: Iterable[str], names: Callable[[], Mapping[str, Any]]) -> str:
    """Why the request may not leave, without the value; empty if it may."""
    text = masked("\n".join(_texts(request))[:LONGEST])
    if "%" in text:
        text = f"{text}\n{unquote(text)}"
    found = find_unsafe_literals(text, owned)
    if not found:
        return ""
    given = [str(value) for name, value in names().items() if not name.startswith(("vars.", "case."))]
    for unsafe in found:
        value = text[unsafe.at : unsafe.end]
        if not any(value in one for one in given):
            return f"the request holds what looks like a live {unsafe.kind}: {unsafe.value_masked}. {unsafe.remedy}"
    return ""


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case None:
            return
        case bytes():
            yield value[:LONGEST].decode(errors="replace")
        case tuple() | list():
            for each in value:
                yield from _texts(each)
        case Mapping():
            for key, each in value.items():
                yield from _texts(key)
                yield from _texts(each)
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from _texts(getattr(value, field.name))
