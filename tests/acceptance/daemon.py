"""The daemon as its users have it: a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
READY_S, WAIT_S = 60.0, 60.0
ROOT = Path(__file__).parents[2]


class DaemonProcess:
    """Starts, asks, stops and kills one daemon over a folder: `probes/`, `synthmon.yaml`, `store.db`."""

    def __init__(self, folder: Path, module: Sequence[str] = ("-m", "synthmon")) -> None:
        self.folder, self._module = folder, module
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, *more: str) -> None:
        """Start it and wait until it tells its address."""
        command = [sys.executable, *self._module, "serve", str(self.folder / "probes")]
        command += ["--settings", str(self.folder / "synthmon.yaml"), "--listen", "127.0.0.1:0"]
        command += ["--store", f"sqlite:///{self.folder / 'store.db'}", *more]
        log = (self.folder / "daemon.log").open("a")
        # in its folder: beside PostgreSQL the small files of a daemon lie where it was started
        environ = environment() | {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
        self.process = subprocess.Popen(
            command, stderr=log, stdin=subprocess.DEVNULL, text=True, env=environ, cwd=self.folder
        )
        log.close()
        begin = len(self._log())
        self.url = wait_for(lambda: self._address(begin), READY_S, self._log)

    def _address(self, begin: int) -> str:
        assert self.process is not None
        found = re.search(r"synthmon is at (http\S+)", self._log()[begin:])
        if found is None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self._log()[-3000:]}")
        return found[1] if found else ""

    def get(self, path: str) -> Any:
        """What the API answers, parsed."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        """What it answers, as text."""
        with _DIRECT.open(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def post(self, path: str) -> Any:
        """Ask for something to be done."""
        request = urllib.request.Request(
            self.url + path, b"{}", {"content-type": "application/json", "x-synthmon": "1"}
        )
        with _DIRECT.open(request, timeout=10) as answer:
            return json.loads(answer.read())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of one name that bear these labels."""
        total = 0.0
        for line in self.text("/metrics").splitlines():
            is_it = line.startswith((f"{name}{{", f"{name} "))
            if is_it and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rpartition(" ")[2])
        return total

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM, within_s: float = WAIT_S) -> int:
        """Ask it to end; answers its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _log(self) -> str:
        file = self.folder / "daemon.log"
        return file.read_text() if file.exists() else ""


def wait_for(ask: Callable[[], Any], within_s: float = WAIT_S, said: Callable[[], str] = lambda: "") -> Any:
    """The first true answer; asks ten times a second, and fails with what is said when there is none."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"it did not come true within {within_s:g}s. {said()[-3000:]}")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
