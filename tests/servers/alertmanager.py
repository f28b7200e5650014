"""A real Alertmanager on a free loopback port."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import fetch, program, running, said, until


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """One that answers: its address, and what it was told."""

    url: str
    pid: int

    async def alerts(self) -> list[dict[str, Any]]:
        """What it holds: `[{"labels": …, "annotations": …, "receivers": [{"name": …}], "status": …}, …]`."""
        body = await fetch(f"{self.url}/api/v2/alerts")
        if body is None:
            raise ConnectionError("Alertmanager did not answer")
        found: list[dict[str, Any]] = json.loads(body)
        return found

    async def until_alert(self, name: str, limit_s: float = 30.0) -> dict[str, Any]:
        """The first alert of that name that reaches it."""

        async def look() -> dict[str, Any] | None:
            return next((alert for alert in await self.alerts() if alert["labels"]["alertname"] == name), None)

        return await until(look, f"alert {name} at the Alertmanager", limit_s)


@asynccontextmanager
async def alertmanager(config: Path, data: Path, options: Sequence[str] = ()) -> AsyncIterator[Alertmanager]:
    """Start alone (no cluster) with a config file; `data` is a folder for its state and the log."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "alertmanager.log"
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={data / 'state'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        *options,
    ]
    async with running(command, log) as process:
        url = "http://" + await said(log, r'msg="?Listening on"? address=(127\.0\.0\.1:[1-9]\d*)', process)
        await until(lambda: fetch(f"{url}/-/ready"), "a ready Alertmanager")
        yield Alertmanager(url, process.pid)
