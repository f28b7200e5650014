"""Fisher's exact test of a two-by-two table: how likely chance alone is to bring one so uneven.

R. A. Fisher, "On the interpretation of χ² from contingency tables, and the calculation of P", J. R. Stat. Soc. 85
(1922). With the margins fixed, the number in the first cell is hypergeometric; sums are exact, in whole numbers.
"""

from __future__ import annotations

from math import comb


def exact_p(a: int, b: int, c: int, d: int) -> float:
    """Two-sided, for the rows (a, b) and (c, d): all tables that are no likelier than this one."""
    ways, first = _ways(a, b, c, d)
    return sum(way for way in ways if way <= ways[a - first]) / sum(ways)


def directed_p(a: int, b: int, c: int, d: int) -> float:
    """One-sided, for a question that was asked beforehand: all tables in which the first row has as much of the first
    column as here, or more."""
    ways, first = _ways(a, b, c, d)
    return sum(ways[a - first :]) / sum(ways)


def _ways(a: int, b: int, c: int, d: int) -> tuple[list[int], int]:
    """In how many ways each table with these margins comes about, by its first cell, and the least that cell can be.

    Raises `ValueError` for a negative number.
    """
    if min(a, b, c, d) < 0:
        raise ValueError(f"a table of counts has no negative number: {a}, {b}, {c}, {d}")
    upper, lower, left = a + b, c + d, a + c
    first, last = max(0, left - lower), min(upper, left)
    return [comb(upper, x) * comb(lower, left - x) for x in range(first, last + 1)], first
