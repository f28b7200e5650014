"""Server-Sent Events over an open line: HTTP/1.1 by h11, the stream as the HTML standard (WHATWG, 9.2) reads it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from synthmon.core.answers import media_type
from synthmon.core.door import Line
from synthmon.core.messages import Message
from synthmon.core.outcomes import Reason

MOST_LETTERS = 1024 * 1024  # of one event
FIRST_RETRY_S, MOST_RETRY_S = 1.0, 30.0


class Ended(Exception):
    """The other side does not go on; the message says how."""

    def __init__(self, said: str, reason: Reason = Reason.BAD_ANSWER) -> None:
        super().__init__(said)
        self.reason = reason


@dataclass(slots=True)
class Memory:
    """What outlives one connection."""

    last_id: str = ""
    retry_s: float = FIRST_RETRY_S


class EventStream:
    """One answer that does not end."""

    def __init__(self, line: Line, memory: Memory) -> None:
        self.line = line
        self._http = h11.Connection(h11.CLIENT)
        self._parser = Parser(memory)

    async def ask(self) -> None:
        """Send the request, read the head of the answer. Raises `Ended`, `OSError`."""
        parts = urlsplit(self.line.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        headers = [("Host", host), *self.line.headers]
        try:
            request = h11.Request(method="GET", target=target, headers=[(n.encode(), v.encode()) for n, v in headers])
            sent = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise Ended(f"it could not be asked for: {error}", Reason.EXPRESSION) from error
        await self.line.write(sent)
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                break
        named = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        if event.status_code != 200 or media_type(named) != "text/event-stream":
            kind = media_type(named) or "no media type"
            raise Ended(f"it answered {event.status_code} and {kind}, not 200 and text/event-stream")

    async def read(self) -> list[Message]:
        """The next events: maybe a part of one only. Raises `Ended` when nothing more comes, `OSError`."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return self._parser.take(bytes(event.data))
        raise Ended("the server ended it", Reason.NO_ANSWER)

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        try:
            while True:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event  # type: ignore[return-value]  # the other sentinel is left out just above
                self._http.receive_data(await self.line.read())
        except h11.RemoteProtocolError as error:
            raise Ended(f"it sent no whole answer of HTTP: {error}", Reason.BAD_ANSWER) from error


class Parser:
    """Text in, events out; a line may end in CR LF, LF or CR, and a piece anywhere."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._rest = ""
        self._event, self._data = "", list[str]()

    def take(self, piece: bytes) -> list[Message]:
        """The events that are whole now. Raises `Ended` for one that is too large."""
        lines = _LINE_END.split(self._rest + self._decode(piece))
        self._rest = lines.pop()
        made = [message for line in lines if (message := self._line(line)) is not None]
        if len(self._rest) + sum(map(len, self._data)) > MOST_LETTERS:
            raise Ended(f"an event has more than {MOST_LETTERS >> 20} MiB", Reason.TOO_LARGE)
        return made

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._whole()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._memory.last_id = value
            case "retry" if value.isascii() and value.isdigit():
                self._memory.retry_s = min(MOST_RETRY_S, int(value[:9]) / 1e3)
        return None

    def _whole(self) -> Message | None:
        event, data, self._event, self._data = self._event, self._data, "", []
        if not data:
            return None
        return Message(event or "message", (), "\n".join(data).encode(), 0.0, facts={"id": self._memory.last_id})


_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")  # a CR at the very end may be the first half of CR LF
