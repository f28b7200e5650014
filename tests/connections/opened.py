"""A link as a run gets it: opened by the pool, through the guard."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from synthmon.core.connections import Connection
from synthmon.language.connections import find_connections
from synthmon.runtime.outbound.links import Links
from synthmon.runtime.outbound.names import Names


@asynccontextmanager
async def opened(word: str, allow: tuple[str, ...] = ("127.0.0.1",), **keys: Any) -> AsyncIterator[Any]:
    """The link of one connection of this kind."""
    kind = find_connections()[word].kind
    connection = Connection("bus", word, kind.keys(**keys), writes=True, allow=allow)
    names = Names(threads=1)
    links = Links(names.look_up, lambda tls: ssl.create_default_context())
    links.serve({"bus": connection}, {word: kind}, lambda name, key: "")
    try:
        yield await links.get("bus")
    finally:
        await links.aclose()
        names.close()
