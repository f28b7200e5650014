"""Marks, guard and secrets of every kind of step and connection: `python -m tests.acceptance.kinds_safety` prints it.

What a listener can see by itself is seen here, once with the listener on the allow-list and once without; the rest is
shown by the tests that each row of `kinds_rows` names, which are run.
"""

from __future__ import annotations

import asyncio
import base64
import html
import io
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote, quote_plus

import structlog

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.language.connections import find_connections
from synthmon.language.kinds import find_kinds
from synthmon.store.record_codec import detail_of, head_of
from tests.acceptance.kinds_rows import CONNECTIONS, STEPS, WIRE, Row
from tests.connections.running import run_probe

ROOT = Path(__file__).parents[2]
SECRET, PLAIN_SECRET = 'Zq7w+open/sesame %20&<"é', "Zq7wopensesameplease"
ELSEWHERE = "elsewhere.example.com"
_QUIET_S = 0.3


def rows() -> dict[str, Row]:
    """Every row whose kind there is: `step http`, `connection nats`."""
    steps = {f"step {word}": row for word, row in STEPS.items() if word in find_kinds()}
    return steps | {f"connection {word}": row for word, row in CONNECTIONS.items() if word in find_connections()}


def without_a_row() -> set[str]:
    """Kinds of which the table says nothing."""
    own = {f"step {word}" for word in find_kinds()} | {f"connection {word}" for word in find_connections()}
    return own - set(rows())


@dataclass
class Heard:
    """What came to the listener."""

    connections: int = 0
    content: list[bytes] = field(default_factory=list)

    @property
    def all(self) -> bytes:
        return b"".join(self.content)


@dataclass(frozen=True, slots=True)
class Shown:
    """One run against the listener: what it got, the record, and everything that was written down."""

    heard: Heard
    record: Record
    written: str


async def show(row: Row, allowed: bool) -> Shown:
    """Run the steps of a row once; the listener repeats whatever it is told, as a careless target does."""
    secret = PLAIN_SECRET if row.plain else SECRET
    async with _listening(row.datagrams) as (port, heard):
        allow = "127.0.0.1" if allowed else ELSEWHERE
        host_of = f"systems: {{shop: {{base: 'http://127.0.0.1:{port}', writes: true, allow: ['{allow}']}}}}\n"
        settings = f"{host_of}secrets: {{key: 'env:SAFETY_SECRET'}}\n{row.settings.format(port=port, allow=allow)}\n"
        head = f"journey: safe\nevery: 1m\ndeadline: 20s\nsystem: shop\nvars: {{place: '127.0.0.1:{port}'}}\nsteps:\n"
        probe = head + textwrap.indent(f"- {row.steps.format(port=port)}", "  ")
        environment = {"SAFETY_SECRET": secret, "SAFETY_KEY_ID": "AKIASAFETYSAFETY0000"}
        with (
            patch.dict(os.environ, environment),
            _everything_written() as written,
            tempfile.TemporaryDirectory() as folder,
        ):
            record = await run_probe(Path(folder), probe, settings)
        told = (repr(record), head_of(record), json.dumps(str(detail_of(record))), written.getvalue())
        return Shown(heard, record, "\n".join(told))


def stayed_out(shown: Shown) -> str:
    """What is wrong with a run that should not have left; empty if nothing."""
    record = shown.record
    if (record.outcome, record.reason) != (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED):
        return f"it ended {record.outcome} ({record.reason}): {record.message}"
    return f"{shown.heard.connections} connections came" if shown.heard.connections else ""


def marked(shown: Shown) -> str:
    """Which mark is missing in what came; empty if none."""
    head = shown.heard.all.decode("latin-1").lower()
    run = shown.record.run_id
    wanted = (f"x-correlation-id: {run}", f"traceparent: 00-{run}-", "synthetic_request=true", "user-agent: synthmon/")
    return ", ".join(mark for mark in wanted if mark not in head)


def leaks(shown: Shown, row: Row) -> list[str]:
    """In which forms the secret stands in anything that was kept or written."""
    forms = forms_of(PLAIN_SECRET if row.plain else SECRET)
    return [name for name, form in forms.items() if form in shown.written]


def forms_of(secret: str) -> dict[str, str]:
    """A secret as it may look when it slipped out."""
    raw = secret.encode()
    return {
        "plain": secret,
        "percent": quote(secret, safe=""),
        "form": quote_plus(secret),
        "JSON": json.dumps(secret)[1:-1],
        "HTML": html.escape(secret),
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "base64 of a login": base64.b64encode(b"probe:" + raw).decode().rstrip("="),
        "base64 of SASL": base64.b64encode(b"\0probe\0" + raw).decode().rstrip("="),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
    }


def named_by(row: Row) -> Iterator[str]:
    """The ids of the tests that show something of it."""
    return (shown for shown in (row.marks, row.guard, row.secrets) if "::" in shown)


@asynccontextmanager
async def _listening(datagrams: bool) -> AsyncIterator[tuple[int, Heard]]:
    heard = Heard()

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_QUIET_S):
                while data := await reader.read(65_536):
                    heard.content.append(data)
                    if b"\r\n\r\n" in heard.all or b"LOGIN" in heard.all:
                        break
        with suppress(OSError):
            said = heard.all
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(said)}\r\n\r\n"
            writer.write(head.encode() + said)
            await writer.drain()
        writer.close()

    class Repeating(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: object) -> None:
            heard.connections += 1
            heard.content.append(data)

    if datagrams:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Repeating, local_addr=("127.0.0.1", 0))
        try:
            yield transport.get_extra_info("sockname")[1], heard
        finally:
            transport.close()
        return
    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()
        await asyncio.sleep(0)


@contextmanager
def _everything_written() -> Iterator[io.StringIO]:
    """All logs, those of libraries too, from DEBUG on."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level, kept = logging.StreamHandler(written), root.level, structlog.get_config()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written), cache_logger_on_first_use=False)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        structlog.configure(**kept)


async def line_of(row: Row, passed: dict[str, bool]) -> tuple[str, str, str]:
    """What to print of marks, guard and secrets."""

    def by(shown: str, own: str) -> str:
        if shown == WIRE:
            return own
        if shown.startswith("no: "):
            return f"– {shown[4:]}"
        return "✓ its test" if shown and passed.get(shown) else "✗ no test" if not shown else "✗ its test fails"

    marks = guard = secrets = ""
    if row.steps:
        inside, outside = await show(row, allowed=True), await show(row, allowed=False)
        lacks, wrong, slipped = marked(inside), stayed_out(outside), leaks(inside, row) + leaks(outside, row)
        reached = f"{inside.heard.connections} connections inside, 0 outside"
        marks = f"✗ without {lacks}" if lacks else "✓ seen by the listener"
        guard = f"✗ {wrong}" if wrong else f"✓ {reached}" if inside.heard.connections else "✗ never connected at all"
        secrets = f"✗ in {', '.join(slipped)}" if slipped else f"✓ in none of {len(forms_of(SECRET))} forms"
    told = by(row.secrets, secrets)
    if secrets.startswith("✗"):
        told = secrets
    return by(row.marks, marks), by(row.guard, guard), told


def run_tests(ids: list[str]) -> dict[str, bool]:
    """Each test by its id → whether it passed, in every one of its forms."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--no-header", "-p", "no:cacheprovider", *ids],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    ends: dict[str, set[str]] = {}
    for word, one in re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) (tests/[^\s\[]+)", told.stdout, re.MULTILINE):
        ends.setdefault(one, set()).add(word)
    return {one: ends.get(one) == {"PASSED"} for one in ids}


async def _table() -> int:
    ids = sorted({one for row in rows().values() for one in named_by(row)})
    passed = await asyncio.to_thread(run_tests, ids)
    print("| kind | marks on what is sent (A7) | a host outside of the allow-list (C1) | a secret (E1) |")
    print("| --- | --- | --- | --- |")
    bad = 0
    for name, row in rows().items():
        cells = await line_of(row, passed)
        bad += any(cell.startswith("✗") for cell in cells)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name in sorted(without_a_row()):
        bad += 1
        print(f"| {name} | ✗ no row | ✗ no row | ✗ no row |")
    return bad


if __name__ == "__main__":
    sys.exit(min(asyncio.run(_table()), 1))
