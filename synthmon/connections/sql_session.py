"""What one session with a database can do, whichever database it is."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from synthmon.connections.sql_names import Dialect

LONGEST_S = 60  # the database itself ends a query then, also when we are gone
CONNECT_S = 5
CANCEL_S = 2


@dataclass(frozen=True, slots=True)
class Target:
    """An address as the settings give it; `path` is the database, or the file of SQLite. `secure`: with TLS."""

    dialect: Dialect
    host: str = ""
    port: int = 0
    path: str = ""
    user: str = ""
    secure: bool = False
    cert: str = ""  # files of a client's certificate, for a library that takes no context
    key: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to open a session with a target: a numeric address that may be dialled, password, certificates."""

    address: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None


class Session(Protocol):
    """A session that blocks: used by one thread at a time, but for `cancel` and `sever`."""

    @property
    def broken(self) -> bool:
        """Whether it is of no more use."""
        ...

    def query(self, sql: str, params: Mapping[str, Any], limit: int) -> list[Mapping[str, Any]]:
        """Ask, and take back whatever it may have done. Raises `ConnectionTrouble` and nothing else."""
        ...

    def cancel(self) -> None:
        """From another thread: have the database end the query. May raise; takes up to twice `CANCEL_S`."""
        ...

    def sever(self) -> None:
        """From another thread: cut it, so that a thread that waits for a mute server comes free. Never raises."""
        ...

    def close(self) -> None:
        """Let go. Never raises."""
        ...


Dial = Callable[[Target, Access], Session]
"""Opens a session; blocks up to about `CONNECT_S`. Raises `ConnectionTrouble` and nothing else."""


def cut(handle: socket.socket) -> None:
    """End a connection by a second handle of its socket: whoever reads from it comes free at once."""
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is not connected any more
