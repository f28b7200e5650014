"""A link is either open or nothing of it is left, whatever ends its opening."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar


class Closes(Protocol):
    """What can be half open."""

    async def aclose(self) -> None: ...


L = TypeVar("L", bound=Closes)


async def opened(link: L, opening: Awaitable[None]) -> L:
    """The link, once its opening is over; closed again if that fails or is cancelled."""
    try:
        await opening
    except BaseException:
        await link.aclose()
        raise
    return link
