"""What the tests of several brokers share: one who hears, an authority of their own, and what is refused everywhere."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import trustme

from synthmon.core.messages import Gap, Message
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from tests.connections.running import run_probe
from tests.servers.front import front

SEND = "journey: a\nevery: 1m\nsteps:\n  - {id: ask, send: bus, %s, body: x, leaves: nothing}\n"
"""A probe that sends to one place, to be filled in."""


class Heard:
    """All that an ear tells."""

    def __init__(self) -> None:
        self.all: list[Message | Gap] = []
        self._new = asyncio.Event()

    def __call__(self, one: Message | Gap) -> None:
        self.all.append(one)
        self._new.set()

    @property
    def contents(self) -> list[bytes]:
        return [one.content for one in self.all if isinstance(one, Message)]

    async def messages(self, count: int) -> list[Message]:
        """The first so many."""
        await self._while(lambda: len(self.contents) < count)
        return [one for one in self.all if isinstance(one, Message)]

    async def until(self, *contents: bytes) -> None:
        """Everything in `contents` has been heard."""
        await self._while(lambda: bool(set(contents) - set(self.contents)))

    async def _while(self, missing: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while missing():
                self._new.clear()
                await self._new.wait()


def certified(folder: Path, name: str) -> ssl.SSLContext:
    """A server's side of TLS with a certificate for this name, of an authority that `ca.pem` in the folder holds."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def assert_let_in_by_name(record: Record, passes: bool) -> None:
    """It passed; or else the certificate was what kept us out, which is ours."""
    if passes:
        assert record.outcome is Outcome.PASSED, record.message
    else:
        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
        assert "certificate" in record.message


async def assert_a_stranger_is_left_alone(
    folder: Path, settings_of: Callable[[str, str], str], address: str, probe: str
) -> None:
    """Nobody outside of `allow` is connected to; `address` has a place for the port."""
    async with front(0) as stranger:
        settings = settings_of(address % stranger.port, ", allow: [bus.example.com]")

        record = await run_probe(folder, probe, settings)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert stranger.visitors == 0


def assert_a_password_is_ours_alone(
    record: Record, denied: Record, told: str, right: str = "open-sesame-please", wrong: str = "not-the-right-one"
) -> None:
    """With the right one it passed, with the wrong one it was refused; `told` is all that was logged."""
    assert record.outcome is Outcome.PASSED, record.message
    assert right not in repr(record) + told
    assert (denied.outcome, denied.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), denied.message
    assert wrong not in repr(denied) + told
