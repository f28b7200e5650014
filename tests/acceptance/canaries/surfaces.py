"""Every surface on which a secret could be seen, each as the bytes that somebody would find there."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthmon.core.door import Envelope, HttpRequest
from synthmon.core.secrets import seal
from synthmon.core.system import System
from synthmon.language.load import load
from synthmon.runtime.house import open_house
from tests.acceptance.canaries.plant import Garden
from tests.acceptance.canaries.target import Echo
from tests.acceptance.daemon import DaemonProcess, wait_for

RUN = "4bf92f3577b34da6a3ce929d0e0e4736"


def surfaces(garden: Garden, echo: Echo, few: bool = False) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each; the journeys run along the way. `few` leaves out those that show the same records."""
    store = f"sqlite:///{garden.folder / 'store.db'}"
    common = ["--settings", str(garden.settings)]
    run = ["run", str(garden.probes), *common, "--store", store]
    if not few:
        yield from _for_people(garden, run)
    told = _synthmon(garden, *run, "--json")
    yield "run --json", told
    records = json.loads(told[: told.rindex(b"]") + 1])
    if not few:
        yield from _of_history(garden, store, [record["run_id"] for record in records[::12]][:2])
    yield from _of_a_daemon(garden, [str(record["run_id"]) for record in records])
    yield from _of_the_store(garden)
    yield from _of_our_nouns(garden, echo)
    if not few:
        yield from _of_imports(garden)


def _for_people(garden: Garden, run: list[str]) -> Iterator[tuple[str, bytes]]:
    told = _synthmon(garden, *run, "--junit", str(garden.folder / "junit.xml"))
    yield "run, for a person (with its waterfall)", told
    yield "run --junit", (garden.folder / "junit.xml").read_bytes()
    yield "run --dry-run", _synthmon(garden, *run[:4], "--dry-run")


def _of_history(garden: Garden, store: str, run_ids: list[str]) -> Iterator[tuple[str, bytes]]:
    yield "history", _synthmon(garden, "history", "--store", store)
    yield "history --json", _synthmon(garden, "history", "--store", store, "--json", "-n", "200")
    yield "show", b"".join(_synthmon(garden, "show", run_id, "--store", store) for run_id in run_ids)
    yield "show --json", b"".join(_synthmon(garden, "show", run_id, "--store", store, "--json") for run_id in run_ids)


def _of_a_daemon(garden: Garden, run_ids: list[str]) -> Iterator[tuple[str, bytes]]:
    names = [file.stem for file in sorted(garden.probes.glob("*.yaml"))]
    with _environ(garden), DaemonProcess(garden.folder) as daemon:
        daemon.start()
        for name in names[::6]:
            daemon.post(f"/api/v1/journeys/{name}/run")
        wait_for(lambda: not daemon.metric("synthmon_runs_in_progress"))
        yield "metrics, text", daemon.text("/metrics").encode()
        yield "metrics, OpenMetrics with exemplars", _openmetrics(daemon)
        yield "page of all journeys", daemon.text("/").encode()
        yield "pages of journeys", b"".join(daemon.text(f"/journeys/{name}").encode() for name in names)
        yield "pages of runs", b"".join(daemon.text(f"/runs/{run_id}").encode() for run_id in run_ids)
        yield "API, list", daemon.text("/api/v1/runs?limit=200").encode()
        yield "API, runs", b"".join(daemon.text(f"/api/v1/runs/{run_id}").encode() for run_id in run_ids)
        yield "command lines of processes", _command_lines()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGABRT)
        daemon.process.wait(30)
    log = (garden.folder / "daemon.log").read_bytes()
    assert b"Fatal Python error: Aborted" in log
    yield "log of the daemon and its crash dump", log


def _of_the_store(garden: Garden) -> Iterator[tuple[str, bytes]]:
    files = sorted(file for file in garden.folder.iterdir() if file.name.startswith("store"))
    assert any("journal" in file.name for file in files)
    yield "files of the store, with WAL and journal", b"".join(file.read_bytes() for file in files)
    dumped = io.BytesIO()
    for file in files:
        if file.suffix == ".db" and file.read_bytes()[:6] == b"SQLite":
            with sqlite3.connect(file) as database, sqlite3.connect(garden.folder / "copy.db") as copy:
                database.backup(copy)
                dumped.writelines(f"{line}\n".encode(errors="replace") for line in copy.iterdump())
            dumped.write((garden.folder / "copy.db").read_bytes())
            (garden.folder / "copy.db").unlink()
    yield "backup of the store", dumped.getvalue()


def _of_our_nouns(garden: Garden, echo: Echo) -> Iterator[tuple[str, bytes]]:
    """What a debugger, a traceback or a log line would show of what carries secrets."""

    async def story() -> list[str]:
        loaded = load([garden.probes], [garden.settings])
        async with open_house("memory:") as house:
            lent, _ = house.lend(loaded.settings)
            await house.keyring.fetch()
            vault = lent.make_vault()
            own = System("own", {"": echo.url}, ("127.0.0.1",), writes=True)
            door = house.doors.open(RUN, "orders", vault, own=own)
            names = [name.replace("-", "_") for name in garden.canaries if name[:3] in ("env", "fil", "exe", "vau")]
            shown: list[Any] = [loaded.settings, house, lent, vault, door, house.keyring]
            for name in names:
                handle = seal(f"secret.{name}")
                request = HttpRequest("GET", f"/echo?t={handle}", (("X-Canary", handle),))
                wrong = HttpRequest("GET", f"http://{handle}:x/{handle}")
                shown += [request, await door.http(request, Envelope(RUN, "orders", "own"))]
                shown += [wrong, await door.http(wrong, Envelope(RUN, "orders", "own"))]
            await door.aclose()
            return [f"{each!r}\n{each!s}" for each in shown]

    with _environ(garden):
        yield "repr and str of nouns", "\n".join(asyncio.run(story())).encode()
    raising = f"""
import asyncio, sys, threading
from synthmon.language.load import load
from synthmon.runtime.house import open_house
from synthmon.runtime.logs import log_json
import logging, structlog
log_json(sys.stderr)
async def story():
    loaded = load([{str(garden.probes)!r}], [{str(garden.settings)!r}])
    async with open_house("memory:") as house:
        lent, _ = house.lend(loaded.settings)
        await house.keyring.fetch()
        values = lent.make_vault().values()
        try:
            raise ValueError(" ".join(values))
        except ValueError:
            structlog.get_logger("x").exception("it broke", values=list(values))
        logging.getLogger("y").error("a library says %s", values)
        async def lost():
            raise KeyError(values)
        task = asyncio.ensure_future(lost())
        await asyncio.wait([task])
        del task
        thread = threading.Thread(target=lambda: {{}}[values])
        thread.start(); thread.join()
        raise RuntimeError(repr(values))
asyncio.run(story())
"""
    with _environ(garden):
        command = [sys.executable, "-X", "faulthandler", "-c", raising]
        died = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert died.returncode == 1
    assert died.stderr.count(b"Traceback") >= 3
    yield "tracebacks, of tasks and threads too", died.stdout + died.stderr


def _of_imports(garden: Garden) -> Iterator[tuple[str, bytes]]:
    value = next(iter(garden.canaries.values()))
    headers = [f"Authorization: Bearer {value}", f"X-Api-Key: {value}", f"Cookie: sid={value}"]
    flags = " ".join(f"-H '{header}'" for header in headers)
    yield "import curl", _synthmon(garden, "import", "curl", f"curl {flags} -u 'me:{value}' https://x.example.org/a")
    entry = {
        "request": {
            "method": "GET",
            "url": "https://x.example.org/a",
            "headers": [dict(zip(("name", "value"), header.split(": ", 1), strict=True)) for header in headers],
        },
        "response": {"status": 200, "headers": [{"name": "Set-Cookie", "value": f"sid={value}"}], "content": {}},
    }
    file = garden.folder / "recorded.har"
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    yield "import har", _synthmon(garden, "import", "har", str(file))
    file.unlink()


def _synthmon(garden: Garden, *words: str) -> bytes:
    """What a command prints."""
    with _environ(garden):
        command = [sys.executable, "-m", "synthmon", *words]
        done = subprocess.run(command, capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
    assert done.stdout, done.stderr.decode()[-2000:]
    return done.stdout + done.stderr


def _openmetrics(daemon: DaemonProcess) -> bytes:
    request = urllib.request.Request(daemon.url + "/metrics", headers={"Accept": "application/openmetrics-text"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=30) as answer:
        return bytes(answer.read())


def _command_lines() -> bytes:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes())
        except OSError:
            continue  # it ended meanwhile
    return b"\n".join(found)


class _environ:
    """The variables of the garden, and a dump of the stack when a process dies."""

    def __init__(self, garden: Garden) -> None:
        self._wanted = {**garden.environ, "PYTHONFAULTHANDLER": "1"}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._wanted}
        os.environ.update(self._wanted)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
