"""A library of a broker that swallows a cancellation does not keep a run from ending."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from synthmon.core.acts import Act, Arm, Cancel, Seen, Wake
from synthmon.core.door import Door, Envelope, Hear, OpenEar
from synthmon.core.kinds import Kind
from synthmon.core.secrets import Vault
from synthmon.core.undo.debts import Clean
from synthmon.language.kinds import find_kinds
from synthmon.runtime.book import Book
from synthmon.runtime.instants import SteadyClock
from synthmon.runtime.perform import Performer
from synthmon.store.journal_memory import MemoryJournal


class Listener:
    """`core.door.OpenEar` that says when it was closed."""

    where = "nowhere"

    def __init__(self) -> None:
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


class Swallowing:
    """Begins to listen, and does not care that nobody wants it to any more."""

    def __init__(self) -> None:
        self.listener = Listener()

    async def listen(self, request: Any, door: Door, envelope: Envelope, hear: Hear) -> OpenEar:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return self.listener


class Core:
    """Arms one listener, and lets go of it and of the run as soon as it is told the time."""

    done = False

    def feed(self, seen: Seen) -> tuple[Act, ...]:
        self.done = True
        return (Cancel("told~ear"),)


async def test_a_listener_that_began_although_it_was_cancelled_is_closed() -> None:
    real = find_kinds()["receive"].kind
    swallowing = Swallowing()
    kind = type("SwallowingKind", (type(real),), {"listen": lambda self, *told: swallowing.listen(*told)})()
    clock = SteadyClock()
    book = Book(MemoryJournal(), "a" * 32, Vault({}))
    performer = Performer("a" * 32, "j", "", cast(Door, None), {"receive": cast(Kind, kind)}, book, clock)
    acts = (Arm("told~ear", "receive", None, "shop", 30.0), Wake("enough", clock.monotonic_s() + 0.05))

    async with asyncio.timeout(30):
        await performer.drive(cast(Clean, Core()), acts)

    assert swallowing.listener.closed
