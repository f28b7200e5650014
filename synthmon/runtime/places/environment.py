"""`env:NAME`: a variable of the daemon's environment."""

from __future__ import annotations

import os


def read(rest: str) -> str:
    """The value of a variable. Raises `ValueError`."""
    if rest not in os.environ:
        raise ValueError(f"the environment has no {rest}")
    return os.environ[rest]
