"""The few words of IMAP (RFC 3501) that reading a mailbox needs, over asyncio; nothing is ever changed there.

`imaplib` blocks its thread, and has IDLE only since Python 3.14.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass

MOST_LINE_BYTES = 256 * 1024
MOST_LITERAL_BYTES = 2 * 1024 * 1024
ANSWER_S = 30.0  # for one answer of a server that is there


class Refused(Exception):
    """The server answered NO or BAD; the words are its own."""


class NotImap(Exception):
    """What came is not IMAP, or more than is read."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response: its line, in which `{}` stands for each literal, and the literals."""

    line: str
    literals: tuple[bytes, ...] = ()


class Talk:
    """One connection to a server, one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._count, self._idling = 0, False
        self.can: frozenset[str] = frozenset()

    async def greet(self) -> None:
        """Hear the greeting, and what the server can do. Raises `NotImap`."""
        async with asyncio.timeout(ANSWER_S):
            greeting = await self.response()
        if not greeting.line.upper().startswith("* OK"):
            raise NotImap(f"it greets with {greeting.line[:80]!r}")
        await self.learn()

    async def learn(self) -> None:
        """Ask what the server can do; it may be more after TLS, and after the login."""
        for response in await self.command("CAPABILITY"):
            if response.line.upper().startswith("* CAPABILITY "):
                self.can = frozenset(response.line.upper().split()[2:])

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on in TLS. Raises `NotImap` for what was slipped in before it (CVE-2011-0411)."""
        await self.command("STARTTLS")
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                if await self._reader.read(1):
                    raise NotImap("something was sent behind STARTTLS, before TLS had begun")
        await self._writer.start_tls(context, server_hostname=host)
        await self.learn()

    async def log_in(self, user: str, password: str) -> None:
        """Raises `Refused`."""
        if "AUTH=PLAIN" in self.can:  # RFC 4616: any letters, without quoting
            told = base64.b64encode(f"\0{user}\0{password}".encode())
            await self.command("AUTHENTICATE PLAIN", told)
        else:
            await self.command(f"LOGIN {quoted(user)} {quoted(password)}")
        await self.learn()

    async def command(self, text: str, more: bytes = b"") -> list[Response]:
        """Say it, and `more` once the server asks; what it answers. Raises `Refused`, `NotImap`, `OSError`."""
        async with asyncio.timeout(ANSWER_S):
            tag = await self._say(text)
            answers: list[Response] = []
            while True:
                response = await self.response()
                if response.line.startswith(f"{tag} "):
                    _check(response.line, tag)
                    return answers
                if response.line.startswith("+"):
                    self._writer.write(more + b"\r\n")
                    await self._writer.drain()
                else:
                    _check_bye(response.line)
                    answers.append(response)

    async def idle(self, limit_s: float, woken: asyncio.Event) -> None:
        """Until the server tells of something new (RFC 2177), until `woken`, or for as long."""
        tag = await self._say("IDLE")
        self._idling = True
        waking = asyncio.ensure_future(woken.wait())
        hearing = asyncio.ensure_future(self.response())
        ends_s = asyncio.get_running_loop().time() + limit_s
        try:
            while True:
                left_s = max(0.0, ends_s - asyncio.get_running_loop().time())
                done, _ = await asyncio.wait({waking, hearing}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if hearing not in done:
                    break
                line = hearing.result().line
                if line.startswith(f"{tag} "):
                    self._idling = False
                    _check(line, tag)
                    return  # it ended it by itself
                _check_bye(line)
                hearing = asyncio.ensure_future(self.response())
                if _NEWS.match(line):
                    break
            self._idling = False
            self._writer.write(b"DONE\r\n")
            async with asyncio.timeout(ANSWER_S):
                await self._writer.drain()
                while not (line := (await asyncio.shield(hearing)).line).startswith(f"{tag} "):
                    _check_bye(line)
                    hearing = asyncio.ensure_future(self.response())
                _check(line, tag)
        finally:
            for task in (waking, hearing):
                task.cancel()
            await asyncio.gather(waking, hearing, return_exceptions=True)

    async def response(self) -> Response:
        """The next one, its literals included. Raises `NotImap`, `OSError`."""
        text, literals = "", list[bytes]()
        while True:
            try:
                line = await self._reader.readuntil(b"\r\n")
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("the server closed the connection") from error
            except asyncio.LimitOverrunError as error:
                raise NotImap("a line is longer than any of IMAP") from error
            text += line[:-2].decode("utf-8", "replace")
            found = _LITERAL.search(text)
            if found is None:
                return Response(text, tuple(literals))
            size = int(found[1])
            if size > MOST_LITERAL_BYTES or len(text) > MOST_LINE_BYTES:
                raise NotImap(f"a part of {size} bytes is more than is read")
            try:
                literals.append(await self._reader.readexactly(size))
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("the server closed the connection") from error
            text = text[: found.start()] + "{}"

    async def aclose(self) -> None:
        """Say good-bye and let go. Never raises."""
        with suppress(Exception):  # it may be gone
            async with asyncio.timeout(1.0):
                if self._idling:
                    self._writer.write(b"DONE\r\n")
                await self._say("LOGOUT")
        self._writer.close()
        with suppress(Exception):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def _say(self, text: str) -> str:
        self._count += 1
        tag = f"a{self._count}"
        self._writer.write(f"{tag} {text}\r\n".encode())
        await self._writer.drain()
        return tag


async def connect(address: str, port: int, host: str, tls: ssl.SSLContext | None) -> Talk:
    """Connect to one address, in TLS as `host` if there is a context. Raises `OSError`, `NotImap`."""
    name = host if tls else None
    reader, writer = await asyncio.open_connection(address, port, limit=MOST_LINE_BYTES, ssl=tls, server_hostname=name)
    talk = Talk(reader, writer)
    try:
        await talk.greet()
    except BaseException:
        await talk.aclose()
        raise
    return talk


def quoted(text: str) -> str:
    """A string of IMAP. Raises `ValueError` for what none can hold."""
    if not text.isascii() or any(char in text for char in "\r\n\0"):
        raise ValueError("only ASCII without line breaks can be said here")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check(line: str, tag: str) -> None:
    word, _, said = line[len(tag) + 1 :].partition(" ")
    if word.upper() != "OK":
        raise Refused(said[:200] or word)


def _check_bye(line: str) -> None:
    if line.upper().startswith("* BYE"):
        raise ConnectionResetError(f"the server said good-bye: {line[5:].strip()[:200]}")


_LITERAL = re.compile(r"\{(\d{1,12})\+?\}\Z")
_NEWS = re.compile(r"\* \d+ (EXISTS|RECENT|EXPUNGE)", re.IGNORECASE)
