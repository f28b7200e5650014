"""Fisher's exact test against published values, and against sums made the slow way."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmon.core.finding.fisher import directed_p, exact_p

COUNT = st.integers(0, 25)


@pytest.mark.parametrize(
    ("table", "two_sided"),
    [
        ((3, 1, 1, 3), 0.4857142857142857),  # the lady tasting tea (Fisher, The Design of Experiments, 1935)
        ((10, 2, 3, 15), 0.000536724119143435),  # Fisher's twins (Agresti, Categorical Data Analysis); R: 0.0005367
        ((8, 2, 1, 5), 0.03496503496503495),  # scipy.stats.fisher_exact's own example
        ((5, 0, 0, 5), 2 / 252),
        ((0, 0, 0, 0), 1.0),
        ((4, 0, 6, 0), 1.0),
    ],
)
def test_published_tables_have_their_published_p(table: tuple[int, int, int, int], two_sided: float) -> None:
    assert exact_p(*table) == pytest.approx(two_sided, rel=1e-9)


def test_five_of_five_against_none_of_five_is_one_in_252_when_the_question_had_a_direction() -> None:
    assert directed_p(5, 0, 0, 5) == pytest.approx(1 / 252)
    assert exact_p(5, 0, 0, 5) == pytest.approx(2 / 252)


@given(COUNT, COUNT, COUNT, COUNT)
def test_both_are_the_sums_of_the_formula_with_factorials(a: int, b: int, c: int, d: int) -> None:
    chances = {x: _chance(x, a + b - x, a + c - x, d - a + x) for x in range(a + b + 1) if _fits(x, a, b, c, d)}

    assert exact_p(a, b, c, d) == pytest.approx(float(sum(p for p in chances.values() if p <= chances[a])))
    assert directed_p(a, b, c, d) == pytest.approx(float(sum(p for x, p in chances.items() if x >= a)))


@given(COUNT, COUNT, COUNT, COUNT)
def test_a_direction_and_its_opposite_share_the_table_between_them(a: int, b: int, c: int, d: int) -> None:
    assert directed_p(a, b, c, d) + directed_p(c, d, a, b) >= 1.0 - 1e-12
    assert exact_p(a, b, c, d) == pytest.approx(exact_p(c, d, a, b))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        exact_p(1, -1, 2, 3)


def _fits(x: int, a: int, b: int, c: int, d: int) -> bool:
    return min(a + b - x, a + c - x, d - a + x) >= 0


def _chance(a: int, b: int, c: int, d: int) -> Fraction:
    above = factorial(a + b) * factorial(c + d) * factorial(a + c) * factorial(b + d)
    return Fraction(above, factorial(a + b + c + d) * factorial(a) * factorial(b) * factorial(c) * factorial(d))
