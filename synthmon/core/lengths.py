"""A length of time as a journey would write it: `1h`."""

from __future__ import annotations


def written(seconds: float) -> str:
    """In the largest unit that says it without a rest: `90s`, `2m`, `1d`, `250ms`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"
