"""A record as it is stored: a head that lists need, and the detail of its steps; its evidence is stored apart."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from synthmon.core.run import Record
from synthmon.store.nouns import microseconds, packed, read, unpacked

_DETAIL = ("steps", "verify", "clauses", "undo")
_HEAD = tuple(f.name for f in fields(Record) if f.name not in (*_DETAIL, "evidence"))
_WORTH_SQUEEZING_BYTES = 2048
_WINDOW_BITS = 13  # half the work of zlib's own choice, for texts of a few kB


def head_of(record: Record) -> str:
    """Everything but steps, verify, clauses, evidence and undo, as JSON.

    Raises `ValueError` for an instant without a time zone.
    """
    for at in (record.slot, record.started, record.ended):
        if at is not None:
            microseconds(at)
    return packed({name: getattr(record, name) for name in _HEAD}).decode()


def detail_of(record: Record) -> bytes | None:
    """steps, verify, clauses and undo as JSON, above 2 kB squeezed by zlib; None when there are none."""
    detail = {name: getattr(record, name) for name in _DETAIL}
    if not any(detail.values()):
        return None
    document = packed(detail)
    return zlib.compress(document, 1, _WINDOW_BITS) if len(document) > _WORTH_SQUEEZING_BYTES else document


def record_from(head: str | bytes, detail: bytes | None = None) -> Record:
    """The record again, without its evidence; without detail its steps are empty too.

    Raises `ValueError` when a document is damaged.
    """
    document: dict[str, Any] = unpacked(head)
    if detail is not None:
        document |= _opened(detail)
    return read(Record, document)


def _opened(detail: bytes) -> Mapping[str, Any]:
    document = detail if detail[:1] in (b"{", b" ") else _unsqueezed(detail)
    found: Mapping[str, Any] = unpacked(document)
    return found


def _unsqueezed(detail: bytes) -> bytes:
    try:
        return zlib.decompress(detail)
    except zlib.error as error:
        raise ValueError(f"The detail of a stored record is damaged: {error}.") from error
