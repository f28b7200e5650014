"""The customers' mailbox: what the shop mails, on a real IMAP server in this process; one mailbox for all addresses."""

from __future__ import annotations

import asyncio
import secrets
import socket
import uuid
from argparse import Namespace
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from importlib.util import find_spec
from typing import TYPE_CHECKING

from synthmon.demo.rows import Row
from synthmon.demo.serving import listen

if TYPE_CHECKING:
    from pymap.backend.dict.mailbox import MailboxData as Mailbox
    from pymap.imap import IMAPServer

USER = "shop"
KEEP = 1_000  # mails; the oldest go first
_PRUNED = 100
_BACKLOG = 10_000
_CLOSE_S = 2.0


class Postbox:
    """Takes what the shop mails; `port` and `password` are those of the server that delivers it.

    Nobody waits for a delivery. What does not fit into a backlog of 10,000 is left out and counted.
    """

    def __init__(self) -> None:
        self.port = 0
        self.password = secrets.token_urlsafe(18)
        self.dropped = 0
        self._mails: asyncio.Queue[Row] = asyncio.Queue(_BACKLOG)

    @property
    def url(self) -> str:
        """Where the mails are, empty while there is no server."""
        return f"imap://127.0.0.1:{self.port}" if self.port else ""

    def wrote(self, kind: str, row: Row) -> None:
        """Send a mail; other rows are none."""
        if kind != "mail" or not self.port:
            return
        try:
            self._mails.put_nowait(row)
        except asyncio.QueueFull:
            self.dropped += 1

    def removed(self, kind: str, rows: Sequence[Row]) -> None:
        """What was delivered stays."""

    async def next(self) -> Row:
        """Wait for the next mail that is to be delivered."""
        return await self._mails.get()


def is_there() -> bool:
    """Whether the library of the server is installed: the extra `demo` brings it."""
    return find_spec("pymap") is not None


@asynccontextmanager
async def delivering(postbox: Postbox, port: int) -> AsyncIterator[None]:
    """Serve the mailbox by IMAP on a loopback port (0: a free one) and deliver into it. Raises `PortTaken`."""
    from pymap.backend.dict import DictBackend
    from pymap.imap import IMAPServer

    listening = listen(port, "--imap-port")
    try:
        backend, config = await DictBackend.init(_told(postbox.password))
        config.apply_context()  # for the tasks of its connections, which are begun from here
        identity = backend.login.demo_user_identity
        async with identity.new_session() as session:
            inbox = await session.mailbox_set.get_mailbox("INBOX")
            async with _accepting(IMAPServer(backend.login, config), listening):
                carrier = asyncio.create_task(_deliver(postbox, inbox), name="demo-mail")
                postbox.port = listening.getsockname()[1]
                try:
                    yield
                finally:
                    postbox.port = 0
                    carrier.cancel()
                    await asyncio.wait({carrier})
    finally:
        listening.close()


@asynccontextmanager
async def _accepting(serve: IMAPServer, listening: socket.socket) -> AsyncIterator[None]:
    """Each connection is a task that ends with the shop."""
    from proxyprotocol.result import ProxyResultLocal
    from proxyprotocol.sock import SocketInfo

    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await serve(reader, writer, SocketInfo.get(writer, ProxyResultLocal(), unique_id=uuid.uuid4().bytes))
        except Exception:  # noqa: BLE001  a client that breaks off is none of the shop's worries
            return
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, sock=listening)
    try:
        yield
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        if connections:
            await asyncio.wait(tuple(connections), timeout=_CLOSE_S)


async def _deliver(postbox: Postbox, inbox: Mailbox) -> None:
    from pymap.parsing.message import AppendMessage

    kept: deque[int] = deque()
    while True:
        mail = await postbox.next()
        delivered = await inbox.append(AppendMessage(written(mail), datetime.now(UTC)))
        kept.append(delivered.uid)
        if len(kept) > KEEP + _PRUNED:
            await inbox.delete([kept.popleft() for _ in range(_PRUNED)])


def written(mail: Row) -> bytes:
    """A row of the shop's mails as a mail (RFC 5322); one that nobody can trace has no id."""
    made = EmailMessage(SMTP)
    made["From"] = "The Shop <shop@shop.example.com>"
    made["To"] = mail["to"]
    made["Subject"] = mail["subject"]
    made["Date"] = datetime.now(UTC)
    made["Message-ID"] = f"<{mail['id']}.{uuid.uuid4().hex}@shop.example.com>"
    if mail["correlationId"]:
        made["X-Correlation-ID"] = mail["correlationId"]
    made.set_content(mail["text"])
    return bytes(made)


def _told(password: str) -> Namespace:
    """What its command line would have said."""
    return Namespace(
        demo_data=False,
        demo_user=USER,
        demo_password=password,
        host=None,
        port=0,
        cert=None,
        key=None,
        tls=False,
        debug=False,
        proxy_protocol=None,
        passlib_cfg=None,
    )
