"""Replays asked of a running daemon: asked for, awaited, and a daemon whose runs can be replayed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.runtime.replaying import JOURNEY, Scene

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SELDOM = JOURNEY.replace("every: 1m", "every: 12h")


def ask(daemon: DaemonProcess, run: str, **wish: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    """POST …/replay: status, body, headers."""
    request = urllib.request.Request(
        f"{daemon.url}/api/v1/runs/{run}/replay",
        json.dumps(wish).encode(),
        {"content-type": "application/json", "x-synthmon": "1"},
    )
    try:
        with DIRECT.open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read()), dict(answer.headers)
    except urllib.error.HTTPError as fault:
        return fault.code, json.loads(fault.read()), dict(fault.headers)


def kept(daemon: DaemonProcess, journey: str, run: str = "") -> str:
    """Run a journey now; its id once its record is kept."""
    run = run or daemon.post(f"/api/v1/journeys/{journey}/run")["run"]
    wait_for(lambda: any(told["id"] == run for told in daemon.get("/api/v1/runs?limit=50")["runs"]))
    return run


def ended(daemon: DaemonProcess, run: str) -> dict[str, Any]:
    """How the replay of a run stands when it is over."""
    stands = wait_for(
        lambda: (told := daemon.get(f"/api/v1/runs/{run}/replay"))["state"] != "running" and told,
        within_s=120,
    )
    assert isinstance(stands, dict)
    return stands


def things_daemon(folder: Path, url: str, daemon: DaemonProcess, *more: str) -> tuple[Scene, str]:
    """A daemon over a journey that makes a thing and takes it back; and the id of a run of it."""
    scene = Scene(folder)
    scene.lay_out(url, journey=SELDOM)
    daemon.start(*more)
    return scene, kept(daemon, "making")
