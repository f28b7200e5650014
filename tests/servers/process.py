"""A real server as a child process: started, waited for, and stopped by its own id."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

Seen = TypeVar("Seen")


def program(name: str) -> str:
    """The path of a program that `make services` installs. Raises `FileNotFoundError` that says so."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed here: run `make services`")
    return found


@asynccontextmanager
async def running(
    command: Sequence[str], log: Path, grace_s: float = 10.0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command with its words in `log`; at the end SIGTERM, and SIGKILL after the grace."""
    with log.open("wb") as words:
        process = await asyncio.create_subprocess_exec(*command, stdout=words, stderr=words)
    try:
        yield process
    finally:
        await stop(process, grace_s)


async def stop(process: asyncio.subprocess.Process, grace_s: float = 10.0) -> None:
    """End a process that may have ended already, a frozen one as well."""
    for end in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            end()
            await asyncio.wait_for(process.wait(), grace_s)


async def until(
    look: Callable[[], Awaitable[Seen | None]], what: str, limit_s: float = 30.0, every_s: float = 0.05
) -> Seen:
    """The first answer that is not None. Raises `TimeoutError` that says what never came."""
    try:
        async with asyncio.timeout(limit_s):
            while (seen := await look()) is None:  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(every_s)
            return seen
    except TimeoutError:
        raise TimeoutError(f"{what} did not come within {limit_s:g} s") from None


async def fetch(url: str, data: bytes | None = None) -> bytes | None:
    """The body of a good answer; None while there is none."""

    def ask() -> bytes | None:
        request = urllib.request.Request(url, data=data, method="GET" if data is None else "POST")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    return await asyncio.to_thread(ask)


async def said(log: Path, pattern: str, process: asyncio.subprocess.Process, limit_s: float = 30.0) -> str:
    """The first group of `pattern` in the log. Raises `RuntimeError` with the log when the process ended instead."""

    async def look() -> str | None:
        text = log.read_text(errors="replace")
        if found := re.search(pattern, text):
            return str(found[1])
        if process.returncode is not None:
            raise RuntimeError(f"it ended with {process.returncode}: {text[-2000:]}")
        return None

    return await until(look, f"{pattern!r} in {log.name}", limit_s)
