"""Puts the house of a daemon together, lets it live there, and closes it in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from synthmon.language.load import Loader
from synthmon.runtime.daemon import Daemon, Wishes, tell_problems
from synthmon.runtime.front import open_front
from synthmon.runtime.house import open_house
from synthmon.runtime.inbound import open_inbound
from synthmon.runtime.sole import hold_alone


async def serve(wishes: Wishes, told: Callable[[str], None]) -> int:
    """Run until SIGTERM or SIGINT (a second one lets go at once); 0, or 3 when nothing can be run.

    `told` hears the address once everything is ready.
    """
    loader = Loader(wishes.paths, wishes.settings_files)
    loaded = loader.load()
    tell_problems(loaded.problems)
    settings = loaded.settings
    settings = replace(settings, listen=wishes.listen or settings.listen, store=wishes.store or settings.store)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(settings.store))
        daemon = Daemon(house, loader, loaded, wishes)
        stack.enter_context(hold_alone(house.beside))
        daemon.inbound = await stack.enter_async_context(open_inbound(settings, daemon.own.refused))
        if daemon.inbound is not None:
            house.doors.hooks, house.doors.otlp = daemon.inbound.hooks, daemon.inbound.otlp
        address = await stack.enter_async_context(open_front(daemon.desk, daemon.board, daemon.own, settings))
        await daemon.begin()
        told(address)
        try:
            await daemon.live()
        finally:
            await daemon.end()
    return 0
