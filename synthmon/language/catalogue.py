"""Everything that has a kind, in one list: what it is, in one line, and what it lacks on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from synthmon.core.kinds import Listens
from synthmon.core.plugins import Plugin
from synthmon.language.connections import find_connections
from synthmon.language.evidence import find_sources
from synthmon.language.kinds import STRUCTURE, find_kinds, lacking


@dataclass(frozen=True)
class Row:
    """One kind. `what` is `step`, `listening step`, `connection` or `source of evidence`; `extra` brings its library;
    `needs` is what to install here, empty when nothing is lacking."""

    word: str
    what: str
    about: str
    extra: str
    needs: str


def catalogue() -> list[Row]:
    """Every kind that is installed, steps first, by word."""
    rows = [Row(word, "step", _first(keys.__doc__ or ""), "", "") for word, keys in STRUCTURE.items()]
    rows += [_row(f.kind, "listening step" if isinstance(f.kind, Listens) else "step") for f in find_kinds().values()]
    rows += [_row(forms.kind, "connection") for forms in find_connections().values()]
    rows += [_row(forms.kind, "source of evidence") for forms in find_sources().values()]
    order = ("step", "listening step", "connection", "source of evidence")
    return sorted(rows, key=lambda row: (order.index(row.what), row.word))


def _row(kind: Plugin, what: str) -> Row:
    return Row(kind.word, what, _first(kind.manual), kind.extra, lacking(kind))


def _first(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split())
