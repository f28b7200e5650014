"""Clients that do what no HTTP library would: half requests, endless ones, slow ones; and what a process weighs."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent.parent


@asynccontextmanager
async def a_process(module, *arguments) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process of ours; it ends when its standard input is closed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=pipe, stdout=pipe, cwd=ROOT
    )
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


def rss_mb(pid) -> float:
    """What it holds in memory now, in MB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def most_rss_mb(pid) -> float:
    """What it held at most, in MB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def dial(url):
    """A raw connection to where a URL leads."""
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


def head(method, url, **headers) -> bytes:
    """The head of a request; `_` in the names stands for `-`."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def status_of(reader) -> int:
    """The status of the answer that comes next; 0 if the connection ended before one."""
    with suppress(ConnectionError):
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    return 0


async def pour(url, first, part, most_s=10.0, pause_s=0.0):
    """Send `first`, then `part` again and again until we are cut off; (status, seconds, bytes that went out)."""
    began, sent = time.monotonic(), 0
    reader, writer = await dial(url)
    answer = asyncio.create_task(status_of(reader))
    try:
        writer.write(first)
        while time.monotonic() - began < most_s and not writer.is_closing():
            writer.write(part)
            async with asyncio.timeout(most_s):
                await writer.drain()
            sent += len(part)
            await asyncio.sleep(pause_s)
    except (ConnectionError, TimeoutError):
        pass
    took_s = time.monotonic() - began
    writer.transport.abort()
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            return await answer, took_s, sent
    return 0, took_s, sent


async def held_for(reader, began) -> float:
    """Seconds from `began` until the other side closed."""
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass
    return time.monotonic() - began
