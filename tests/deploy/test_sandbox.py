"""As nobody, over a file system that cannot be written to but for one folder, the daemon does all of its work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.acceptance.daemon import WAIT_S, DaemonProcess, wait_for

PROBE = """
journey: front-page
every: 1h
system: shop
steps:
  - id: made
    http: POST /things
    json: {reference: "${run.namespace}"}
    expect:
      - status == 201
    undo:
      http: DELETE /things/1
      gone: unchecked
    repeatable: true
  - http: GET /things/1
    expect:
      - status == 200
"""
INTO = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


def sandbox(state: Path) -> list[str]:
    """What the pod and the image give: no root, no capability, a root that is read-only, a /tmp that goes away."""
    words = [
        "bwrap",
        "--die-with-parent",
        "--unshare-user",
        "--unshare-ipc",
        "--unshare-uts",
        "--uid",
        "65534",
        "--gid",
        "65534",
    ]
    words += ["--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    return [*words, "--bind", str(state), str(state), "--chdir", str(state), "--setenv", "HOME", "/nonexistent"]


@pytest.mark.platform_limit("bwrap")
def test_the_daemon_runs_as_nobody_over_a_read_only_root(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/things", method="POST").respond_with_json({"id": 1}, 201)
    httpserver.expect_request("/things/1", method="GET").respond_with_json({})
    httpserver.expect_request("/things/1", method="DELETE").respond_with_data(status=204)
    (tmp_path / "state").mkdir()
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "front-page.yaml").write_text(PROBE)
    base = httpserver.url_for("").rstrip("/")
    (tmp_path / "synthmon.yaml").write_text(f'systems:\n  shop: {{base: "{base}", writes: true}}\n')
    state = tmp_path / "state"

    with DaemonProcess(tmp_path, ("-c", INTO, *sandbox(state), sys.executable, "-m", "synthmon")) as daemon:
        daemon.start("--store", f"sqlite:///{state / 'store.db'}")
        daemon.post("/api/v1/journeys/front-page/run")
        wait_for(lambda: daemon.metric("synthmon_runs_total", outcome="passed"))
        page = daemon.text("/")
        debts = daemon.metric("synthmon_open_debts")
        assert daemon.process is not None
        os.kill(_inside(daemon.process.pid), signal.SIGTERM)
        assert daemon.process.wait(WAIT_S) == 0

    assert "front-page" in page
    assert debts == 0
    assert (state / "store.db").stat().st_size > 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["daemon.log", "probes", "state", "synthmon.yaml"]


@pytest.mark.platform_limit("bwrap")
def test_the_sandbox_is_one(tmp_path: Path) -> None:
    """That the test above proves something."""
    script = "id -u; touch in-state && echo kept; touch /etc/synthmon-was-here || touch ../beside || echo refused"

    told = subprocess.run(
        [*sandbox(tmp_path), "sh", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert told.stdout.split() == ["65534", "kept", "refused"]
    assert os.listdir(tmp_path) == ["in-state"]


def _inside(sandbox_pid: int) -> int:
    """The process for which the sandbox was made."""
    return int(Path(f"/proc/{sandbox_pid}/task/{sandbox_pid}/children").read_text().split()[0])
