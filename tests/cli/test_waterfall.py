"""What a person sees of one run in the terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from synthmon.cli.waterfall import draw
from synthmon.core.run import ODD_ORDER, Record
from tests.core.told import told


def seen(record: Record) -> str:
    page = StringIO()
    Console(file=page, width=200).print(draw(record))
    return page.getvalue()


def test_a_note_is_shown_and_evidence_that_is_gone_is_said() -> None:
    odd = replace(told("a b"), notes=(f"{ODD_ORDER}b came before a",))
    old = replace(told(""), evidence_forgotten=True)

    assert "note  odd order: b came before a" in seen(odd)
    assert "no longer kept" not in seen(odd)
    assert "Its evidence is no longer kept." in seen(old)
