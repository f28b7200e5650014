"""`board` is a notice board: one line of JSON a notice, over TCP; and a `notebook` is the file in which it keeps them.

```yaml
connections:
  town: {board: "board.example.com:7000", writes: true}
```

A `send` names its corner as `topic`. A notice is sent once the board has written `ok` below it.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synthmon.connections.breaking import Breakable
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted, Watermark
from synthmon.core.fields import fields_of, from_fields
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.looking import Looking, every_s


class BoardKeys(BaseModel):
    """The keys of a `board` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    board: str = Field(description="Its address: `host:port`.")
    password: str = Field("", description="What it wants to hear first, by reference: `env:BOARD_PASSWORD`.")


class BoardLink(Breakable):
    """One connection to a board (`core.connections.Publishes`)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader, self._writer, self._turn = reader, writer, asyncio.Lock()

    async def publish(self, publication: Publication) -> None:
        notice = {**publication.to, "headers": dict(publication.headers), "body": publication.content.decode()}
        async with self._turn:
            self._writer.write(json.dumps(notice).encode() + b"\n")
            await self._writer.drain()
            if await self._reader.readline() != b"ok\n":
                self.break_off("the board does not answer")
                raise ConnectionTrouble(Reason.RESET, "the board did not take the notice")

    async def aclose(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        self.break_off("it was closed")


_MANUAL = __doc__


class BoardConnection:
    """The kind of connection that `board:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "board"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = BoardKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = {"topic": True}
    hears_at: Mapping[str, bool] = {}

    def hosts(self, keys: BoardKeys) -> Sequence[str]:
        host, _, port = keys.board.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"{keys.board!r} is not host:port")
        return (host,)

    async def open(self, keys: BoardKeys, outlet: Outlet) -> BoardLink:
        host, _, port = keys.board.rpartition(":")
        address = (await outlet.pinned(host, int(port)))[0]
        reader, writer = await asyncio.open_connection(address, int(port))
        if password := outlet.secret("password"):
            writer.write(f"{password}\n".encode())
        return BoardLink(reader, writer)


CONNECTION = BoardConnection()


class NotebookKeys(BaseModel):
    """The keys of a `notebook` source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notebook: str = Field(description="The file.")


class NotebookSource:
    """The kind of source that `notebook:` chooses (`core.sources.SourceKind`)."""

    word: str = "notebook"
    manual: str = "`notebook` is the file of a notice board: one JSON object a line."
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = NotebookKeys
    secrets: frozenset[str] = frozenset()
    counts: bool = False

    def base(self, keys: NotebookKeys) -> str:
        return ""

    def connection(self, keys: NotebookKeys) -> str:
        return ""

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        told = 0

        async def look() -> None:
            nonlocal told
            asked_ns = means.now_ns()
            lines = await asyncio.to_thread(_lines_of, source.keys.notebook)
            for line in lines[told:]:
                fields: Mapping[str, Any] = fields_of(line) or {}
                record = from_fields(source.name, fields, wanted, means.now_ns(), source.map)
                if record is not None:
                    tell(record)
            told = len(lines)
            tell(Watermark(source.name, asked_ns - round(source.lag_s * 1e9)))

        return Looking(source.name, source.keys.notebook, every_s(source.lag_s), look, tell)


SOURCE = NotebookSource()


def _lines_of(file: str) -> list[bytes]:
    try:
        return Path(file).read_bytes().splitlines()
    except FileNotFoundError:
        return []
