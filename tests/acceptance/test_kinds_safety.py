"""No kind without its row: marked, kept inside, and silent about secrets. The table: `python -m …kinds_safety`."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.kinds_rows import CONNECTIONS, STEPS, WIRE, Row
from tests.acceptance.kinds_safety import (
    ROOT,
    Heard,
    Shown,
    forms_of,
    leaks,
    marked,
    named_by,
    rows,
    show,
    stayed_out,
    without_a_row,
)

ROWS = rows()
RUN = sorted(name for name, row in ROWS.items() if row.steps)


def test_every_kind_of_step_and_of_connection_has_a_row() -> None:
    assert without_a_row() == set()


@pytest.mark.parametrize("name", RUN)
async def test_it_leaves_only_for_where_it_may_and_tells_no_secret(name: str) -> None:
    row = ROWS[name]

    inside, outside = await show(row, allowed=True), await show(row, allowed=False)

    assert stayed_out(outside) == ""
    assert inside.heard.connections >= 1, inside.record.message  # that the line above can fail
    assert leaks(inside, row) + leaks(outside, row) == []
    if row.marks == WIRE:
        assert marked(inside) == ""
    if row.secrets == WIRE:
        assert any(form.encode() in inside.heard.all for form in forms_of("Zq7w+open/sesame").values())


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_tests_that_it_names_are_there(name: str) -> None:
    for one in named_by(ROWS[name]):
        file, *_, test = one.split("::")
        places = [ROOT / file, ROOT / "tests/connections/scenarios.py"]
        assert any(re.search(rf"def {test}\b", place.read_text()) for place in places), one
    assert all(
        shown == WIRE or shown.startswith("no: ") or "::" in shown
        for shown in (ROWS[name].marks, ROWS[name].guard, ROWS[name].secrets)
    )


async def test_a_secret_that_slipped_out_is_seen_in_every_form() -> None:
    shown = await show(STEPS["http"], allowed=True)

    for name, form in forms_of('Zq7w+open/sesame %20&<"é').items():
        assert name in leaks(Shown(Heard(), shown.record, f"it said {form} once"), STEPS["http"])
    assert marked(Shown(Heard(), shown.record, "")) != ""
    assert stayed_out(shown) != ""


def test_a_row_is_for_a_kind() -> None:
    assert all(isinstance(row, Row) for row in (*STEPS.values(), *CONNECTIONS.values()))
