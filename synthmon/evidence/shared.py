"""What all runs of a daemon share: a log file is followed once, however many runs look for their lines in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Thing = TypeVar("Thing")


class Shared(Generic[Thing]):
    """One thing for each key, on one event loop: made when it is first taken, forgotten when it is dropped.

    It is all that a source keeps beyond a run, and it is empty while no run watches.
    """

    def __init__(self) -> None:
        self._things: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Thing]] = WeakKeyDictionary()

    def take(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """The thing of this key."""
        things = self._things.setdefault(asyncio.get_running_loop(), {})
        if key not in things:
            things[key] = make()
        return things[key]

    def drop(self, key: Hashable, thing: Thing) -> None:
        """Nobody needs this one any more; the next who takes gets a new one."""
        things = self._things.get(asyncio.get_running_loop(), {})
        if things.get(key) is thing:
            del things[key]
