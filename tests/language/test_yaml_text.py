"""Whatever is written as YAML is read back as the same values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.core.templates import split
from synthmon.imports.texts import Fill, Text, joined, written
from synthmon.language.documents import read
from synthmon.language.yaml_text import Noted, lines, scalar

TRAPS = st.text(alphabet="ab:# -?{}[]&*!|>'\"%@`,$\\\n\t.~=01yYnN<_/\x85\u2028\ufeff\ue000", max_size=12)
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
TREES = st.recursive(
    LEAVES | st.text() | TRAPS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | TRAPS, inner, max_size=4),
    max_leaves=12,
)


def read_back(text: str) -> Any:
    documents, problems = read("draft.yaml", text)
    assert not [problem for problem in problems if problem.level == "error"], (text, problems)
    return documents[0].tree


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_every_text_is_read_back(text: str) -> None:
    assert read_back(f"key: {scalar(text)}\n") == {"key": text}


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(TRAPS, TREES, min_size=1, max_size=4))
def test_every_tree_is_read_back(tree: dict[str, Any]) -> None:
    assert read_back("\n".join(lines(tree)) + "\n") == tree


@settings(max_examples=100, deadline=None)
@given(TRAPS, TRAPS, st.text())
def test_comments_never_change_what_is_read(above: str, beside: str, comment: str) -> None:
    tree = {"steps": [Noted({"id": above, "leaves": Noted(beside, (comment,), comment)}, (comment, above))]}
    assert read_back("\n".join(lines(tree)) + "\n") == {"steps": [{"id": above, "leaves": beside}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /orders/${order.id}", "GET /orders/${order.id}"),
        ('body.status == "placed"', 'body.status == "placed"'),
        ("10s after order", "10s after order"),
        ("5/s", "5/s"),
        ("NO", '"NO"'),
        ("12:30:45", '"12:30:45"'),
        ("2026-01-01", '"2026-01-01"'),
        ('body["a: b"] == 1', "'body[\"a: b\"] == 1'"),
        ("", '""'),
    ],
)
def test_only_what_needs_quotes_has_them(text: str, expected: str) -> None:
    assert scalar(text) == expected


def test_a_key_of_any_length_is_read_back() -> None:
    tree = {"k" * 1030: {"a": [1]}, "q" * 5000: "v"}
    assert read_back("\n".join(lines(tree)) + "\n") == tree


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet='ab${}"\\', max_size=6) | st.just(Fill("x.y")), max_size=5))
def test_a_plain_dollar_never_becomes_an_expression(parts: list[str | Fill]) -> None:
    value = joined(*parts)

    pieces = list(split(written(value)))

    shown = "".join(
        piece if not is_expression else "<x.y>" if piece == "x.y" else piece.strip('"')
        for _, piece, is_expression in pieces
    )
    assert shown == "".join(part if isinstance(part, str) else "<x.y>" for part in parts)
    assert isinstance(value, Text) == any(isinstance(part, Fill) for part in parts)
