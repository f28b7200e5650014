"""What a list of steps tells of itself before any of them is compiled: their ids, and the names that each saves."""

from __future__ import annotations

from typing import Any


def saved(raw: list[Any]) -> dict[str, tuple[str, ...]]:
    """What each step saves, by its id; of a `call` that is not known yet."""
    found: dict[str, tuple[str, ...]] = {}
    for i, one in enumerate(raw):
        if not isinstance(one, dict):
            continue
        if isinstance(one.get("together"), list):
            found |= saved(one["together"])
        save = one.get("save")
        if "call" not in one:
            found[id_of(one, f"step_{i + 1}")] = tuple(save) if isinstance(save, dict) else ()
    return found


def ids(raw: list[Any], default: str = "step_") -> list[str]:
    """The id of each step, those side by side included."""
    found = []
    for i, one in enumerate(raw):
        found.append(id_of(one, f"{default}{i + 1}"))
        if isinstance(one, dict) and isinstance(one.get("together"), list):
            found.extend(ids(one["together"], f"{default}{i + 1}_"))
    return found


def id_of(raw: Any, default: str) -> str:
    """The id that a step gives itself, else this one."""
    asked = raw.get("id") if isinstance(raw, dict) else None
    return asked if isinstance(asked, str) and asked else default
