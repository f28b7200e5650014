"""What a request carries: JSON, text, a file, a form; and the media type that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import orjson

from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.templates import Template, Tree
from synthmon.core.urls import pairs, query


@dataclass(frozen=True, slots=True, eq=False)
class JsonPayload:
    """A tree as JSON."""

    tree: Tree

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return self.tree.refs

    def render(self, scope: Scope) -> tuple[bytes, str]:
        """The body and its media type. Raises `ExpressionError`."""
        return dump_json(self.tree.render(scope)), "application/json"


@dataclass(frozen=True, slots=True)
class FixedPayload:
    """Bytes that are the same in every run."""

    content: bytes
    media_type: str
    refs: frozenset[str] = frozenset()

    def render(self, scope: Scope) -> tuple[bytes, str]:
        """The body and its media type."""
        return self.content, self.media_type


@dataclass(frozen=True, slots=True, eq=False)
class TextPayload:
    """A text with values in it, in UTF-8."""

    text: Template

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return self.text.refs

    def render(self, scope: Scope) -> tuple[bytes, str]:
        """The body and its media type. Raises `ExpressionError`."""
        return self.text.render_text(scope).encode(), "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a multipart form."""

    name: str
    file_name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, eq=False)
class FormPayload:
    """Fields as application/x-www-form-urlencoded; with files as multipart/form-data (RFC 7578)."""

    fields: Tree
    files: tuple[FilePart, ...] = ()

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return self.fields.refs

    def render(self, scope: Scope) -> tuple[bytes, str]:
        """The body and its media type. Raises `ExpressionError`."""
        found = pairs(self.fields.render(scope))
        if not self.files:
            return query(found, plus=True).encode(), "application/x-www-form-urlencoded"
        return _multipart(found, self.files)


Payload = JsonPayload | FixedPayload | TextPayload | FormPayload


def revealed(value: Any, reveal: Callable[[str], str]) -> Any:
    """JSON whose texts have their sealed handles opened, before it is written. Raises `SecretError`."""
    match value:
        case str():
            return reveal(value)
        case list():
            return [revealed(item, reveal) for item in value]
        case dict():
            return {key: revealed(item, reveal) for key, item in value.items()}
    return value


def dump_json(value: Any) -> bytes:
    """Compact JSON. Raises `ExpressionError` for what JSON has no word for."""
    try:
        dumped = orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise ExpressionError("json", f"cannot be written as JSON: {error}") from error
    if b"null" in dumped and _has_no_number(value):  # orjson writes NaN and Infinity as null
        raise ExpressionError("json", "holds NaN or Infinity, which JSON has no word for")
    return dumped


def _has_no_number(value: Any) -> bool:
    match value:
        case float():
            return not isfinite(value)
        case Mapping():
            return any(map(_has_no_number, value.values()))
        case list():
            return any(map(_has_no_number, value))
    return False


def _multipart(found: Iterable[tuple[str, str]], files: Iterable[FilePart]) -> tuple[bytes, str]:
    parts = [(f'form-data; name="{_quoted(name)}"', "", text.encode()) for name, text in found]
    parts += [
        (f'form-data; name="{_quoted(file.name)}"; filename="{_quoted(file.file_name)}"', file.media_type, file.content)
        for file in files
    ]
    # made from the content: the same request has the same bytes, and no part can hold it but by breaking SHA-256
    boundary = hashlib.sha256(b"\0".join(content for _, _, content in parts)).hexdigest()[:32]
    lines = []
    for disposition, media_type, content in parts:
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        head += f"Content-Type: {media_type}\r\n" if media_type else ""
        lines.append(head.encode() + b"\r\n" + content + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    """As browsers write it (WHATWG HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
