"""Frames of a WebSocket over an open line: the library's protocol (RFC 6455), which does no input or output itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synthmon.core.door import Line
from synthmon.core.messages import Message
from synthmon.core.payload import dump_json

if TYPE_CHECKING:
    from websockets.client import ClientProtocol

MOST_BYTES = 1024 * 1024  # of one message
_MUTE = logging.Logger("websockets", logging.CRITICAL + 1)  # else the library writes headers down, secrets and all


class Ended(Exception):
    """The other side does not go on; the message says how."""


class Frames:
    """Frames over a line: the library's protocol without any input or output of its own (RFC 6455)."""

    def __init__(self, line: Line, subprotocols: Sequence[str]) -> None:
        from websockets.client import ClientProtocol
        from websockets.typing import Subprotocol
        from websockets.uri import parse_uri

        scheme, _, rest = line.url.partition("://")
        uri = parse_uri(f"{'wss' if scheme in ('https', 'wss') else 'ws'}://{rest}")
        offered = [Subprotocol(name) for name in subprotocols] or None
        self.line = line
        self._protocol: ClientProtocol = ClientProtocol(uri, subprotocols=offered, max_size=MOST_BYTES, logger=_MUTE)
        self._parts: list[bytes] = []
        self._subject = ""

    async def shake_hands(self) -> None:
        """Raises `Ended` when the server does not want to, `OSError` for the network."""
        from websockets.exceptions import InvalidStatus

        request = self._protocol.connect()
        for name, value in self.line.headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        await self.flush()
        while self._protocol.state.name == "CONNECTING" and self._protocol.handshake_exc is None:
            data = await self.line.read()
            if not data:
                raise Ended("it closed the connection in the middle of the handshake")
            self._protocol.receive_data(data)
        match self._protocol.handshake_exc:
            case InvalidStatus() as refusal:
                raise Ended(f"it answered {refusal.response.status_code} to the handshake, not 101")
            case Exception() as error:
                raise Ended(f"the handshake failed: {error}")

    async def read(self) -> list[Message]:
        """What comes next: maybe a part of a message only. Raises `Ended` when nothing more can come."""
        messages = self._taken()  # behind the handshake something may have come already
        if messages:
            return messages
        await self.flush()
        if self._protocol.state.name in ("CLOSING", "CLOSED"):
            raise Ended(self._why())
        data = await self.line.read()
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        messages = self._taken()
        await self.flush()
        if not messages and self._protocol.state.name in ("CLOSING", "CLOSED"):
            raise Ended(self._why())
        return messages

    async def say(self, what: Any) -> None:
        """A text as it is, anything else as JSON."""
        self._protocol.send_text(what.encode() if isinstance(what, str) else dump_json(what))
        await self.flush()

    async def ping(self) -> None:
        self._protocol.send_ping(b"synthmon")
        await self.flush()

    async def close(self) -> None:
        """Say goodbye, if it is open still."""
        if self._protocol.state.name == "OPEN":
            self._protocol.send_close(1000)
            await self.flush()

    async def flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                await self.line.write(data)

    def _taken(self) -> list[Message]:
        from websockets.frames import Frame, Opcode

        made: list[Message] = []
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            if event.opcode is not Opcode.CONT:
                self._parts, self._subject = [], "text" if event.opcode is Opcode.TEXT else "binary"
            self._parts.append(bytes(event.data))
            if event.fin:
                made.append(Message(self._subject, (), b"".join(self._parts), 0.0))
        return made

    def _why(self) -> str:
        theirs, ours = self._protocol.close_rcvd, self._protocol.close_sent
        close = theirs or ours
        if close is None:
            return "the connection was lost without a close"
        said = f"{'it was closed with' if theirs else 'we closed it with'} {close.code}"
        return f"{said}: {close.reason}" if close.reason else said
