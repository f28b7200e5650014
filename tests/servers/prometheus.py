"""A real Prometheus on a free loopback port."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.servers.process import fetch, program, running, said, until


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that answers: its address, and what it knows."""

    url: str
    pid: int

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query: `[{"metric": {…}, "value": [at, "text"]}, …]`."""
        found: list[dict[str, Any]] = (await self._get(f"/api/v1/query?{urlencode({'query': expression})}"))["result"]
        return found

    async def alerts(self, name: str, state: str = "firing") -> list[dict[str, Any]]:
        """The alerts of one name that are in a state now: `[{"labels": …, "annotations": …, "activeAt": …}, …]`."""
        known = (await self._get("/api/v1/alerts"))["alerts"]
        return [alert for alert in known if alert["labels"]["alertname"] == name and alert["state"] == state]

    async def until_alert(self, name: str, limit_s: float = 60.0) -> dict[str, Any]:
        """The first alert of that name that fires."""

        async def look() -> dict[str, Any] | None:
            return next(iter(await self.alerts(name)), None)

        return await until(look, f"alert {name}", limit_s)

    async def _get(self, path: str) -> Any:
        body = await fetch(self.url + path)
        if body is None:
            raise ConnectionError(f"Prometheus did not answer {path}")
        return json.loads(body)["data"]


@asynccontextmanager
async def prometheus(config: Path, data: Path, options: Sequence[str] = ()) -> AsyncIterator[Prometheus]:
    """Start with a config file (its relative paths count from there); `data` is a folder for blocks and the log."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "prometheus.log"
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data / 'tsdb'}",
        "--web.listen-address=127.0.0.1:0",
        # what fires before the Alertmanager is discovered (5 s) is lost, and said again after a minute by default
        "--rules.alert.resend-delay=1s",
        *options,
    ]
    async with running(command, log) as process:
        # With port 0 the log tells which one the kernel chose: no port is picked first and lost to somebody else.
        url = "http://" + await said(log, r'msg="?Listening on"? address=(127\.0\.0\.1:[1-9]\d*)', process)
        await until(lambda: fetch(f"{url}/-/ready"), "a ready Prometheus")
        yield Prometheus(url, process.pid)
