"""A real RabbitMQ on free loopback ports, with two virtual hosts; it can be killed and started again on its store.

Nothing of it is shared with another one on this machine: its folder, its cookie, its name and its `epmd` are its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.ports import free_port
from tests.servers.process import program

PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # not the wrapper in the search path: that one changes the user
START_S = 120.0  # 5 s of work, and this machine may be busy
VHOST = "shop/eu"
USERS = {"guest": "guest", "probe": "open-sesame-please", "stranger": "nobody-knows-me"}


class RabbitMQ:
    """One server in one folder. `probe` may do everything in both virtual hosts, `stranger` nothing in `/`."""

    def __init__(self, folder: Path, tls: Mapping[str, Path]) -> None:
        self._folder = folder
        self.port, self.tls_port, dist, epmd = (free_port() for _ in range(4))
        self._log = folder / "rabbitmq.log"
        self._environ = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),  # where the cookie is
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"synthmon-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_MNESIA_BASE": str(folder / "store"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
        }
        (folder / "plugins").write_text("[].\n")
        (folder / "definitions.json").write_text(json.dumps(_definitions()))
        (folder / "rabbitmq.conf").write_text("\n".join(self._lines(tls)))
        self._epmd = subprocess.Popen([program("epmd")], env=self._environ, stdout=subprocess.DEVNULL)
        self._script: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def address(self) -> str:
        """`amqp://127.0.0.1:port`."""
        return f"amqp://127.0.0.1:{self.port}"

    def url(self, user: str = "probe") -> str:
        """For a client that is not ours, with user and password."""
        return f"amqp://{user}:{USERS[user]}@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Begin, and wait until it answers; nothing when it runs. Raises `RuntimeError` with its log."""
        if self._pid:
            return
        (self._folder / "pid").unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._script = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"], env=self._environ, cwd=self._folder, stdout=log, stderr=log
            )
        end_s = time.monotonic() + START_S
        while not self._answers():
            if self._script.poll() is not None or time.monotonic() > end_s:
                self.kill()
                raise RuntimeError(f"RabbitMQ did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        self._pid = int((self._folder / "pid").read_text())

    def kill(self) -> None:
        """End it at once, as a crash does."""
        with suppress(ValueError, FileNotFoundError, ProcessLookupError):
            os.kill(self._pid or int((self._folder / "pid").read_text()), signal.SIGKILL)
        if self._script is not None:
            with suppress(subprocess.TimeoutExpired):
                self._script.wait(30)
            if self._script.poll() is None:  # it had not come as far as its virtual machine
                self._script.kill()
                self._script.wait(30)
        self._script, self._pid = None, 0

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It keeps its connections and says nothing, as on a machine that hangs."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)

    def abandon(self) -> None:
        """End it with all that belongs to it."""
        self.kill()
        self._epmd.terminate()
        self._epmd.wait(30)

    def control(self, *words: str) -> list[str]:
        """What its own `rabbitmqctl` says, line by line. Slow: it starts a virtual machine."""
        done = subprocess.run(
            [PROGRAMS / "rabbitmqctl", "--quiet", *words],
            env=self._environ,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout.splitlines()

    def _answers(self) -> bool:
        """Whether it greets a client: it sends its first frame after the header of the protocol."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as wire:
            wire.sendall(b"AMQP\x00\x00\x09\x01")
            return wire.recv(1) == b"\x01"
        return False

    def _lines(self, tls: Mapping[str, Path]) -> Sequence[str]:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"load_definitions = {self._folder / 'definitions.json'}",
            "vm_memory_high_watermark.relative = 0.9",
            "disk_free_limit.absolute = 1MB",
        ]
        if tls:
            lines.append(f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}")
            lines += [f"ssl_options.{name} = {path}" for name, path in tls.items()]
        return lines


@contextmanager
def rabbitmq(tls: Mapping[str, Path] | None = None) -> Iterator[RabbitMQ]:
    """A fresh server. `tls`: files by the names of `ssl_options`. Raises `FileNotFoundError` where it is missing."""
    program("rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="synthmon-rabbitmq-"))
    server = RabbitMQ(folder, tls or {})
    try:
        server.start()
        yield server
    finally:
        server.abandon()
        shutil.rmtree(folder, ignore_errors=True)


def _definitions() -> Mapping[str, object]:
    every = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [{"name": name, "password": password, "tags": ""} for name, password in USERS.items()],
        "vhosts": [{"name": "/"}, {"name": VHOST}],
        "permissions": [
            *({"user": user, "vhost": "/", **every} for user in ("guest", "probe")),
            {"user": "probe", "vhost": VHOST, **every},
            {"user": "stranger", "vhost": "/", "configure": "", "write": "", "read": ""},
        ],
    }
