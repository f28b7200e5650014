"""The shop as a process of its own: it opens, it ends when told, and takes its NATS server with it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shop_visitor import servers_in

from synthmon.demo.__main__ import main
from synthmon.demo.client import DemoTrouble, break_fault, faults, mend
from tests.servers.ports import free_port

LIMIT_S = 30.0


@contextmanager
def shop_process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A shop on a free port, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "synthmon.demo", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"open at (http://\S+) ", process.stdout.readline())
        assert found is not None
        yield process, found[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT_S)
        assert process.stdout is not None
        process.stdout.close()


def wait_until_gone(folder: Path) -> None:
    over_s = time.monotonic() + LIMIT_S
    while servers_in(folder) and time.monotonic() < over_s:
        time.sleep(0.02)
    assert servers_in(folder) == []


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")


@needs_proc
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_shop_with_0_and_its_nats_server_too(tmp_path: Path, told: signal.Signals) -> None:
    with shop_process("--dir", str(tmp_path)) as (process, url):
        assert len(servers_in(tmp_path)) == 1
        assert faults(url)

        process.send_signal(told)

        assert process.wait(LIMIT_S) == 0
    assert servers_in(tmp_path) == []
    assert not list(tmp_path.glob("jetstream-*"))


@needs_proc
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel for a signal")
def test_a_killed_shop_takes_its_nats_server_with_it(tmp_path: Path) -> None:
    with shop_process("--dir", str(tmp_path)) as (process, _):
        (server,) = servers_in(tmp_path)

        os.kill(process.pid, signal.SIGKILL)

        assert process.wait(LIMIT_S) == -signal.SIGKILL
    wait_until_gone(tmp_path)
    assert server not in servers_in(tmp_path)


def test_the_shop_closes_by_itself_after_the_given_time(tmp_path: Path) -> None:
    with shop_process("--dir", str(tmp_path), "--for", "300ms") as (process, _):
        assert process.wait(LIMIT_S) == 0


def test_its_nats_server_takes_the_port_that_it_is_told(tmp_path: Path) -> None:
    port = free_port()

    with (
        shop_process("--dir", str(tmp_path), "--nats-port", str(port)),
        socket.create_connection(("127.0.0.1", port), LIMIT_S) as client,
    ):
        assert client.recv(5) == b"INFO "


def test_a_port_of_the_nats_server_that_is_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code = main(["--port", "0", "--nats-port", str(port), "--dir", str(tmp_path), "--for", "1s"])

    assert code == 1
    assert f"is port {port} free?" in capsys.readouterr().err


def test_a_port_in_use_is_told_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code = main(["--port", str(port), "--for", "1s"])

    assert code == 1
    assert f"port {port}" in (told := capsys.readouterr().err)
    assert "--port" in told


@pytest.mark.parametrize("text", ["60", "soon", "1d"])
def test_a_duration_without_a_unit_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--for", text])

    assert "90s" in capsys.readouterr().err


def test_the_client_breaks_and_mends_a_running_shop(tmp_path: Path) -> None:
    with shop_process("--dir", str(tmp_path)) as (_, url):
        broken = {fault["name"]: fault["on"] for fault in break_fault(url, "stale-cache", 0.5)}
        mended = {fault["name"]: fault["on"] for fault in mend(url, "stale-cache")}

        assert broken["stale-cache"]
        assert not mended["stale-cache"]
        with pytest.raises(DemoTrouble, match="Choose one of: lose-event"):
            break_fault(url, "tea-spilt")
        with pytest.raises(DemoTrouble, match="between 0 and 1"):
            break_fault(url, "lose-event", 7)


def test_the_client_says_what_to_do_when_no_shop_is_open() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DemoTrouble, match=r"make demo"):
        faults(url)
