"""A real MariaDB on a free loopback port, from Debian's `mariadb-server`."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql

from tests.servers.ports import free_port
from tests.servers.process import program

_UP_S = 60.0


class Mariadb:
    """A server that can be killed and started again on the same port with the same data; `root` has no password."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._folder, self._options = folder, options
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def do(self, sql: str, database: str | None = None) -> Sequence[Sequence[object]]:
        """Ask it as `root`, past synthmon."""
        with (
            pymysql.connect(
                host="127.0.0.1",
                port=self.port,
                user="root",
                database=database,
                autocommit=True,
                ssl_disabled=True,
                connect_timeout=5,
                init_command="SET SESSION lock_wait_timeout = 20",
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return tuple(cursor.fetchall())

    def start(self) -> None:
        """Start, and wait until it takes connections. Raises `RuntimeError` with the log's end when it does not."""
        command = [
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}",
            f"--user={getpass.getuser()}",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            *self._options,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        end_s = time.monotonic() + _UP_S
        while time.monotonic() < end_s and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"MariaDB did not start: {self._log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """Stop as a crash does."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(30)

    def _answers(self) -> bool:
        try:
            self.do("SELECT 1")
        except pymysql.Error:
            return False
        return True


@contextmanager
def mariadb(options: Sequence[str] = ()) -> Iterator[Mariadb]:
    """A fresh server. Raises `FileNotFoundError` where it is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="synthmon-mariadb-"))  # a short path: it holds a socket
    try:
        made = subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--user={getpass.getuser()}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        if made.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed: {made.stderr[-2000:]}{made.stdout[-2000:]}")
        server = Mariadb(folder, options)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
