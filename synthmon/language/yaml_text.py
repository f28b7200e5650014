"""Plain values as YAML text that reads back as the same values: here by `language.documents`, elsewhere by YAML 1.1."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_SIMPLE_KEY = 1000  # YAML allows 1024 characters for a key in one line (YAML 1.2.2, 7.4.2)


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with comments: lines `above` it, and one `beside` it."""

    value: Any
    above: tuple[str, ...] = ()
    beside: str = ""


def lines(value: Any) -> Iterator[str]:
    """A map, a list or a scalar in block style, one line after the other, without line ends."""
    match value:
        case Noted(value=inner):
            yield from comments(value.above)
            yield from lines(inner)
        case Mapping() if value:
            for key, item in value.items():
                yield from _entry(key, item)
        case list() | tuple() if value:
            for item in value:
                yield from _item(item)
        case _:
            yield inline(value)


def scalar(text: str) -> str:
    """A text as one YAML scalar in one line. A lone surrogate, which no file can hold, becomes U+FFFD."""
    text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    if _PLAIN.fullmatch(text) and not _MEANS_ELSE.fullmatch(text) and ": " not in text and " #" not in text:
        return text
    if ('"' in text or "\\" in text) and "'" not in text and text.isprintable():
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def comments(texts: Sequence[str], indent: str = "") -> Iterator[str]:
    """Comment lines; a line break inside a text begins a new one."""
    for text in texts:
        for line in text.splitlines() or [""]:
            yield f"{indent}# {_harmless(line)}".rstrip()


def inline(value: Any) -> str:
    """A scalar, or an empty map or list."""
    match value:
        case Noted():
            return inline(value.value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return scalar(value)
        case int() | float():
            return repr(value)
        case Mapping():
            return "{}"
    return "[]"


def _entry(key: str, item: Any) -> Iterator[str]:
    value, above, beside = _parts(item)
    yield from comments(above)
    name = scalar(key)
    if len(name) > LONGEST_SIMPLE_KEY:
        yield f"? {name}"
        name = ""
    nested = isinstance(value, Mapping | list | tuple) and bool(value)
    if not nested:
        yield f"{name}: {inline(value)}{beside}"
        return
    yield f"{name}:{beside}" if name else ":"
    yield from (f"  {line}" for line in lines(value))


def _item(item: Any) -> Iterator[str]:
    value, above, beside = _parts(item)
    yield from comments(above)
    head, *rest = lines(value)
    if head.startswith("#"):
        head, rest = "", [head, *rest]
    yield f"- {head}{beside}".rstrip()
    yield from (f"  {line}" for line in rest)


def _parts(item: Any) -> tuple[Any, tuple[str, ...], str]:
    if isinstance(item, Noted):
        return item.value, item.above, f"  # {_harmless(item.beside)}" if item.beside else ""
    return item, (), ""


def _harmless(text: str) -> str:
    """A comment without characters that would end it or that YAML refuses."""
    return "".join(char if char.isprintable() else " " for char in text)


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN = re.compile(
    r"(?:[A-Za-z/_(]|\$\{)"  # what may begin a text without quotes
    r"""(?:[\w ./$(){}\[\]=<>!&|+*,"'@%?:;#~^`-]*[\w./$(){}\[\]=<>!&|+*,"'%?-])?"""
    r"|\d+(?:ms|s|m|h|d|/[smhd])(?: after \w+)?",
    re.ASCII,
)
_MEANS_ELSE = re.compile(r"null|true|false|y|n|yes|no|on|off|\.inf|\.nan", re.IGNORECASE)  # in YAML 1.1 or 1.2
