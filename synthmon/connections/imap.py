"""`imap` is a mailbox on an IMAP server.

```yaml
connections:
  inbox: {imap: "imaps://imap.example.com:993", user: probe@example.com, password: "env:INBOX_PASSWORD"}
```

A step `mail` waits for mails in it. `imaps://` speaks TLS from the start, `imap://` by STARTTLS; without either only on
this machine. One connection serves all runs: where the server has IDLE it tells of new mails itself, else it is asked
every second. The folder is opened read-only (EXAMINE), mails are fetched without being marked as read (BODY.PEEK), and
nothing is moved or deleted. Of mails to others only the address lines are read. After the connection was lost and is
there again, what came meanwhile is read as well; what did not come is not called lost.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from synthmon.connections.breaking import Breakable
from synthmon.connections.imap_mail import addresses_of, read_mail
from synthmon.connections.imap_talk import NotImap, Refused, Response, Talk, connect, quoted
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.outcomes import Reason

POLL_S = 1.0  # where the server has no IDLE
IDLE_S = 10.0  # then it is asked once more: some servers forget to tell
KEEP_S = 300.0  # the same while nobody waits (RFC 2177 advises less than 29 minutes)
MOST_MAIL_BYTES = 1024 * 1024  # what is read of one; the rest is left
_FIELDS = "TO CC DELIVERED-TO X-ORIGINAL-TO ENVELOPE-TO X-ENVELOPE-TO"


class ImapKeys(BaseModel):
    """The keys of an `imap` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    imap: str = Field(description="Its address: `imaps://host:993`, or `imap://host:143` for STARTTLS.")
    user: str = Field(min_length=1, description="The user to log in as.")
    password: str = Field(description="Its password, by reference: `env:INBOX_PASSWORD`.")
    folder: str = Field("INBOX", min_length=1, description="The folder that is read.")


class ImapLink(Breakable):
    """One connection with its folder open (`core.connections.Resumes`)."""

    def __init__(self, talk: Talk, folder: str) -> None:
        super().__init__()
        self._talk, self._folder = talk, folder
        self._ears: set[MailEar] = set()
        self._arming: list[tuple[MailEar, asyncio.Future[None]]] = []
        self._woken = asyncio.Event()
        self._validity = self._next = 0
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Open the folder, then attend to it. Raises what the talk raises."""
        await self._examine()
        self._task = asyncio.create_task(self._attend())

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        """Mails to the address `to` that arrive from now on."""
        return await self._listen(MailEar(self, to["to"], hear))

    async def resume(self, to: Mapping[str, str], hear: Hear, stopped: OpenEar) -> OpenEar:
        """The same, and those that arrived since `stopped` heard its last one."""
        return await self._listen(MailEar(self, to["to"], hear, stopped if isinstance(stopped, MailEar) else None))

    async def _listen(self, ear: MailEar) -> MailEar:
        if self.broken:
            raise ConnectionTrouble(Reason.RESET, "the connection to the mailbox was lost", sent=False)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arming.append((ear, answer))
        self._woken.set()
        try:
            await answer
        except BaseException:
            self.forget(ear)
            raise
        return ear

    def forget(self, ear: MailEar) -> None:
        """It hears no more."""
        self._ears.discard(ear)

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._talk.aclose()
        self._end("it was closed")

    async def _attend(self) -> None:
        """Look at what is new, then wait until there may be more, for as long as the connection holds."""
        try:
            while True:
                self._woken.clear()
                if self._arming:
                    await self._arm(tuple(self._arming))
                else:
                    await self._talk.command("NOOP")
                if self._ears:
                    await self._look()
                await self._rest()
        # whatever ends it, those who listen must hear that nothing more comes
        except Exception as error:  # noqa: BLE001
            self._end(str(error) or type(error).__name__)

    def _end(self, why: str) -> None:
        self.break_off(why)
        arming, self._arming = self._arming, []
        for _, answer in arming:
            if not answer.done():
                answer.set_exception(ConnectionTrouble(Reason.RESET, f"the mailbox: {why}", sent=False))

    async def _arm(self, arming: Sequence[tuple[MailEar, asyncio.Future[None]]]) -> None:
        await self._examine()  # asked after they came: what is there by now is not for them
        for one in arming:
            self._arming.remove(one)
            ear, answer = one
            if not answer.done():
                ear.begin(self._validity, self._next)
                self._ears.add(ear)
                answer.set_result(None)

    async def _examine(self) -> None:
        validity = upcoming = 0
        for response in await self._talk.command(f"EXAMINE {quoted(self._folder)}"):
            if found := _CODE.search(response.line):
                validity, upcoming = (
                    (int(found[2]), upcoming) if found[1].upper() == "UIDVALIDITY" else (validity, int(found[2]))
                )
        if not validity or not upcoming:
            raise NotImap(f"the server does not tell UIDVALIDITY and UIDNEXT of {self._folder}")
        if self._validity and validity != self._validity:
            raise NotImap(f"{self._folder} was made anew")
        self._validity, self._next = validity, upcoming

    async def _look(self) -> None:
        """Hand on what is new to those who wait for it."""
        first = min(ear.next_uid for ear in self._ears)
        asked = f"UID FETCH {first}:* (UID BODY.PEEK[HEADER.FIELDS ({_FIELDS})])"
        found = sorted((uid, part) for uid, part in map(_fetched, await self._talk.command(asked)) if uid >= first)
        for uid, fields in found:
            here = addresses_of(fields)
            waiting = [ear for ear in self._ears if ear.next_uid <= uid and ear.address in here]
            if waiting:
                await self._hand_on(uid, waiting)
            for ear in self._ears:
                ear.next_uid = max(ear.next_uid, uid + 1)

    async def _hand_on(self, uid: int, waiting: Sequence[MailEar]) -> None:
        responses = await self._talk.command(f"UID FETCH {uid} (UID BODY.PEEK[]<0.{MOST_MAIL_BYTES}>)")
        for its_uid, content in map(_fetched, responses):
            if its_uid == uid and content:
                message = await asyncio.to_thread(read_mail, content, f"{self._validity}:{uid}")
                for ear in waiting:
                    ear.hear(message)

    async def _rest(self) -> None:
        if "IDLE" in self._talk.can:
            await self._talk.idle(IDLE_S if self._ears else KEEP_S, self._woken)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S if self._ears else KEEP_S):
                await self._woken.wait()


class MailEar:
    """What waits for mails to one address (`core.door.OpenEar`); after another one that was lost, from where it was."""

    def __init__(self, link: ImapLink, address: str, hear: Hear, lost: MailEar | None = None) -> None:
        self.address, self.hear = address.lower(), hear
        self._link = link
        self._validity: int = lost._validity if lost else 0
        self.next_uid: int = lost.next_uid if lost else 0

    @property
    def where(self) -> str:
        return f"mail to {self.address}"

    def begin(self, validity: int, upcoming: int) -> None:
        """From here on; in the same folder as before, from where it was."""
        if validity != self._validity:
            self._validity, self.next_uid = validity, upcoming

    async def aclose(self) -> None:
        self._link.forget(self)


_MANUAL = __doc__


class ImapConnection:
    """The kind of connection that `imap:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "imap"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = ImapKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = MappingProxyType({})
    hears_at: Mapping[str, bool] = MappingProxyType({})  # mails are for a step `mail`

    def hosts(self, keys: ImapKeys) -> Sequence[str]:
        """The host of its address."""
        parts = urlsplit(keys.imap)
        if parts.scheme not in ("imap", "imaps") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"{keys.imap!r} is not an address such as imaps://host:993")
        if parts.username is not None:
            raise ValueError("the address holds a user; write `user:` and `password: env:NAME`")
        if not keys.folder.isascii():
            raise ValueError("the folder has letters that IMAP writes otherwise (RFC 3501 5.1.3)")
        quoted(keys.folder)
        return (parts.hostname,)

    async def open(self, keys: ImapKeys, outlet: Outlet) -> ImapLink:
        """Connect, log in, open the folder."""
        parts = urlsplit(keys.imap)
        host, secure = parts.hostname or "", parts.scheme == "imaps"
        port = parts.port or (993 if secure else 143)
        addresses = await outlet.pinned(host, port)
        talk = await _connected(addresses, port, host, outlet if secure else None)
        try:
            if not secure:
                await _secure(talk, addresses, host, outlet)
            await talk.log_in(keys.user, outlet.secret("password"))
            link = ImapLink(talk, keys.folder)
            await link.begin()
        except (Refused, NotImap) as error:
            await talk.aclose()
            raise ConnectionTrouble(Reason.BAD_ANSWER, f"{host} refused: {error}", sent=False) from error
        except BaseException:
            await talk.aclose()
            raise
        return link


CONNECTION = ImapConnection()


async def _connected(addresses: Sequence[str], port: int, host: str, outlet: Outlet | None) -> Talk:
    """To the first address that answers. Raises what the last one raised."""
    for last, address in ((i == len(addresses) - 1, address) for i, address in enumerate(addresses)):
        try:
            return await connect(address, port, host, outlet.tls() if outlet else None)
        except OSError:
            if last:
                raise
    raise ConnectionTrouble(Reason.NO_SUCH_NAME, f"{host} has no address", sent=False)


async def _secure(talk: Talk, addresses: Sequence[str], host: str, outlet: Outlet) -> None:
    """TLS before the password is said; without it only where nobody can listen."""
    if "STARTTLS" in talk.can:
        await talk.start_tls(outlet.tls(), host)
    elif not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        said = f"{host} offers no STARTTLS, and the password would be readable on the way; use imaps://"
        raise ConnectionTrouble(Reason.TLS, said, sent=False)


def _fetched(response: Response) -> tuple[int, bytes]:
    """The UID and the part that a FETCH brought; UID 0 for any other response."""
    found = _UID.search(response.line) if _FETCH.match(response.line) else None
    return (int(found[1]), response.literals[0] if response.literals else b"") if found else (0, b"")


_CODE = re.compile(r"\[(UIDVALIDITY|UIDNEXT) (\d+)\]", re.IGNORECASE)
_FETCH = re.compile(r"\* \d+ FETCH ", re.IGNORECASE)
_UID = re.compile(r"[( ]UID (\d+)", re.IGNORECASE)
