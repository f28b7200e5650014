"""Bodies of requests, never more of them at once than there is room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


class BodyTooLarge(Exception):
    """More bytes than are taken."""


class NoRoom(Exception):
    """The others who are sending fill the room: come again."""


class Gone(Exception):
    """The client left before its body was whole, or was cut for being slow."""


class Room:
    """`size_bytes` for all bodies that are on their way or being read, together."""

    def __init__(self, size_bytes: int) -> None:
        self.left_bytes = size_bytes

    @asynccontextmanager
    async def body(self, request: Request, most_bytes: int) -> AsyncIterator[bytes]:
        """A whole body, for as long as the block lasts. Raises `BodyTooLarge`, `NoRoom` or `Gone`."""
        declared = request.headers.get("content-length", "0")
        if not declared.isdecimal() or len(declared) > 18 or int(declared) > most_bytes:
            raise BodyTooLarge
        parts = bytearray()
        try:
            async for part in request.stream():
                if len(parts) + len(part) > most_bytes:
                    raise BodyTooLarge
                if len(part) > self.left_bytes:
                    raise NoRoom
                self.left_bytes -= len(part)
                parts += part
            yield bytes(parts)
        except ClientDisconnect as error:
            raise Gone from error
        finally:
            self.left_bytes += len(parts)
