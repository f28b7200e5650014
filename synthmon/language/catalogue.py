"""Everything that has a kind, in one list: what it is, in one line, and what it lacks on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from synthmon.core.kinds import Listens
from synthmon.core.plugins import Plugin
from synthmon.language import connections, evidence, kinds
from synthmon.language.connections import find_connections
from synthmon.language.evidence import find_sources
from synthmon.language.kinds import STRUCTURE, find_kinds
from synthmon.language.plugins import OURS, Origin, find, lacking, missing_program

STEP, LISTENING, CONNECTION, SOURCE = "step", "listening step", "connection", "source of evidence"


class _Forms(Protocol):
    @property
    def kind(self) -> Plugin: ...
    @property
    def origin(self) -> Origin: ...


@dataclass(frozen=True)
class Row:
    """One kind. `what` is `step`, `listening step`, `connection` or `source of evidence`; `extra` brings its library;
    `needs` is what to install here, empty when nothing is lacking; `origin` is the package that brings it, empty for
    our own; `unusable` says why it is there and cannot be used."""

    word: str
    what: str
    about: str
    extra: str
    needs: str
    origin: str = ""
    unusable: str = ""


def catalogue() -> list[Row]:
    """Every kind that is installed, steps first, by word."""
    rows = [Row(word, STEP, _first(keys.__doc__ or ""), "", "") for word, keys in STRUCTURE.items()]
    rows += [_row(forms, LISTENING if isinstance(forms.kind, Listens) else STEP) for forms in find_kinds().values()]
    rows += [_row(forms, CONNECTION) for forms in find_connections().values()]
    rows += [_row(forms, SOURCE) for forms in find_sources().values()]
    for room, what in ((kinds.ROOM, STEP), (connections.ROOM, CONNECTION), (evidence.ROOM, SOURCE)):
        rows += [Row(one.word, what, "", "", "", str(one.origin), f"{one.why}") for one in find(room).unusable]
    order = (STEP, LISTENING, CONNECTION, SOURCE)
    return sorted(rows, key=lambda row: (order.index(row.what), row.word, row.unusable, row.origin))


def _row(forms: _Forms, what: str) -> Row:
    kind, origin = forms.kind, forms.origin
    needs = lacking(kind, origin) or missing_program(kind)
    brought_by = "" if origin.package == OURS else str(origin)
    return Row(kind.word, what, _first(kind.manual), kind.extra, needs, brought_by)


def _first(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split())
