"""What can be wrong with an answer, as values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmon.core.door import HttpAnswer, HttpRequest, Rows
from synthmon.core.messages import Message
from synthmon.core.proof.contents import content_of
from synthmon.core.proof.mutations import (
    Change,
    How,
    apply,
    changed,
    fields_of,
    of_another_type,
    other,
    values_at,
)
from synthmon.core.proof.transposed import transposed
from synthmon.core.run import Run
from synthmon.core.timing import Timing

ROWS = [{"id": "a", "n": 1}, {"id": "b", "n": 2}]
BODY: dict[str, Any] = {"count": 2, "rows": ROWS, "state": {"paid": True, "none": None}}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def answer(value: Any, kind: str = "application/json") -> HttpAnswer:
    return HttpAnswer(200, (("content-type", kind),), json.dumps(value).encode(), Timing())


def test_every_value_and_every_list_has_a_path_and_entries_share_theirs() -> None:
    values, lists = fields_of(BODY)

    assert values == [
        ("count",),
        ("rows", "[]", "id"),
        ("rows", "[]", "n"),
        ("state", "paid"),
        ("state", "none"),
    ]
    assert lists == [("rows",)]
    assert values_at(BODY, ("rows", "[]", "id")) == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (Change(("rows", "[]", "n"), How.CHANGED), {"rows": [{"id": "a", "n": 2}, {"id": "b", "n": 3}]}),
        (Change(("rows", "[]", "n"), How.MISSING), {"rows": [{"id": "a"}, {"id": "b"}]}),
        (Change(("rows", "[]", "n"), How.TYPE), {"rows": [{"id": "a", "n": "1"}, {"id": "b", "n": "2"}]}),
        (Change(("rows",), How.EMPTY), {"rows": [], "count": 0}),
        (Change(("rows",), How.TWICE), {"rows": ROWS + ROWS[-1:], "count": 3}),
        (Change(("count",), How.CHANGED, distinct=True), {"count": 10**12 + 2}),
        (Change(("state", "paid"), How.CHANGED), {"state": {"paid": False, "none": None}}),
        (Change(("nothing", "here"), How.CHANGED), {}),
    ],
)
def test_one_thing_is_wrong_and_a_count_beside_a_list_goes_along(change: Change, wrong: dict[str, Any]) -> None:
    assert apply(BODY, change) == {**BODY, **wrong}
    assert content_of(changed(answer(BODY), change)) == {**BODY, **wrong}


@pytest.mark.parametrize("text", ["", "25.00", "placed", "abba", "2026-01-02T03:04:05Z", "o-00ff", "é"])
def test_another_text_is_another_and_a_number_stays_one(text: str) -> None:
    assert other(text) != text
    assert isinstance(other(text), str)
    assert other("25.00") == "36.11"
    assert datetime.fromisoformat(other("2026-01-02T03:04:05Z")) == NOW - timedelta(days=1)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(), st.lists))
def test_what_is_made_is_never_what_it_was(value: Any) -> None:
    if not isinstance(value, list):
        assert other(value) != value
        assert type(of_another_type(value)) is not type(value)


def test_a_text_that_is_no_json_has_other_digits_but_for_the_marks_of_the_run() -> None:
    mail = Message("Your order", (), b"syn-12: 2 mugs, 25.00 EUR", 1.0, facts={"html": "<b>25.00</b>", "to": []})

    made = changed(mail, Change((), How.CHANGED), keep=("syn-12",))

    assert made.content == b"syn-12: 3 mugs, 36.11 EUR"
    assert made.facts == {"html": "<b>36.11</b>", "to": []}


def test_rows_of_a_query_are_changed_like_a_list() -> None:
    rows = Rows(({"n": 1}, {"n": 2}), Timing())

    assert changed(rows, Change(("rows", "[]", "n"), How.CHANGED)).rows == ({"n": 2}, {"n": 3})
    assert changed(rows, Change(("rows",), How.EMPTY)).rows == ()


def test_an_answer_without_json_is_left_alone() -> None:
    page = answer(BODY, "text/html")

    assert changed(page, Change(("count",), How.CHANGED)) is page


def test_an_earlier_answer_reads_as_this_run_would_have_got_it() -> None:
    then, now = (Run(run_id * 32, "j", "v", NOW, at) for run_id, at in (("a", NOW), ("b", NOW + timedelta(minutes=2))))
    asked = [
        HttpRequest(
            "POST", f"/orders/{n}", (), json.dumps({"email": f"{n}@example.com", "tag": run.namespace}).encode()
        )
        for n, run in (("alice", then), ("bob12", now))
    ]
    told = answer(
        {
            "id": "o-1",
            "for": "alice@example.com",
            "tag": then.namespace,
            "trace": then.id,
            "at": "2026-01-02T03:04:06Z",
            "epoch": "1970-01-01T00:00:00Z",
        }
    )

    made = content_of(transposed(told, (asked[0], then), (asked[1], now)))

    assert made == {
        "id": "o-1",
        "for": "bob12@example.com",
        "tag": now.namespace,
        "trace": now.id,
        "at": "2026-01-02T03:06:06Z",
        "epoch": "1970-01-01T00:00:00Z",
    }
