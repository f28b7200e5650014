"""A real Prometheus reads the daemon, judges the shipped rules, and tells a real Alertmanager."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, serving_things
from tests.servers.alertmanager import Alertmanager, alertmanager
from tests.servers.process import fetch, until
from tests.servers.prometheus import Prometheus, prometheus

DEPLOY = Path(__file__).parents[2] / "deploy"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PROBE = """
journey: {name}
title: {title}
every: 1s
deadline: 5s
system: things
owner: shop-oncall
alert: {{severity: {severity}, after: 2}}
steps:
  - id: listed
    http: GET /things
    params: {{reference: any}}
    expect:
      - status == 200
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[DaemonProcess, Things]]:
    """A daemon with two journeys, one that pages and one that does not."""
    things, folder = Things(), tmp_path / "daemon"
    (folder / "probes").mkdir(parents=True)
    for name, title, severity in (("listing", "Things are listed", "page"), ("listing-again", "Again", "ticket")):
        (folder / "probes" / f"{name}.yaml").write_text(PROBE.format(name=name, title=title, severity=severity))
    with serving_things(things) as url, DaemonProcess(folder) as process:
        (folder / "synthmon.yaml").write_text(
            f'location: eu\nsystems:\n  things: {{base: "{url}", rate: 1000/s, concurrency: 100}}\n'
        )
        process.start()
        yield process, things


def config(folder: Path, daemon: DaemonProcess, alertmanager_url: str) -> Path:
    """The shipped configuration, every second, with the addresses of this test; patience of a minute is cut to 3s."""
    rules = (DEPLOY / "prometheus/rules.yml").read_text()
    shorter, count = re.subn(r"^( +for: )1m$", r"\g<1>3s", rules, flags=re.MULTILINE)
    assert count >= 2
    (folder / "rules.yml").write_text(shorter)
    shipped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    shipped["alerting"]["alertmanagers"][0]["static_configs"] = [
        {"targets": [alertmanager_url.removeprefix("http://")]}
    ]
    shipped["scrape_configs"][0]["static_configs"] = [{"targets": [daemon.url.rstrip("/").removeprefix("http://")]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(shipped))
    return file


async def until_gone(judge: Prometheus, name: str) -> None:
    async def look() -> bool | None:
        return True if not await judge.alerts(name) else None

    await until(look, f"the end of {name}", 60)


async def until_calm(judge: Prometheus, pager: Alertmanager) -> None:
    """Until neither says that there is no synthmon."""
    await until_gone(judge, "SynthmonAbsent")

    async def look() -> bool | None:
        return None if any(one["labels"]["alertname"] == "SynthmonAbsent" for one in await pager.alerts()) else True

    await until(look, "an Alertmanager that knows", 60)


async def until_value(judge: Prometheus, expression: str) -> list[dict[str, Any]]:
    """The answer to a query, once there is one."""

    async def look() -> list[dict[str, Any]] | None:
        return await judge.query(expression) or None

    return await until(look, expression, 60)


def test_metrics_come_as_openmetrics_packed_or_as_text_as_the_asker_likes(
    daemon: tuple[DaemonProcess, Things],
) -> None:
    process, _ = daemon
    wait_for(lambda: process.metric("synthmon_runs_total", journey="listing", outcome="passed"))

    def ask(**headers: str) -> tuple[dict[str, str], bytes]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with urllib.request.urlopen(urllib.request.Request(f"{process.url}/metrics", headers=names)) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    open_headers, packed = ask(accept=OPEN_METRICS, accept_encoding="gzip")
    plain_headers, plain = ask(accept="text/plain")

    assert open_headers["content-type"].startswith("application/openmetrics-text")
    assert open_headers["content-encoding"] == "gzip"
    text = gzip.decompress(packed).decode()
    assert text.endswith("# EOF\n")
    assert re.search(
        r'^synthmon_runs_total\{journey="listing",location="eu",outcome="passed"\} \S+ # \{run_id="\w+"\}', text, re.M
    )
    assert plain_headers["content-type"].startswith("text/plain")
    assert "content-encoding" not in plain_headers
    assert b"# {" not in plain
    assert b"# EOF" not in plain


async def test_a_broken_journey_reaches_the_pager_with_its_labels_and_calms_down_when_it_is_mended(
    daemon: tuple[DaemonProcess, Things], tmp_path: Path
) -> None:
    process, things = daemon
    async with alertmanager(DEPLOY / "alertmanager/alertmanager.yml", tmp_path / "a") as pager:
        file = config(tmp_path, process, pager.url)
        options = ["--enable-feature=exemplar-storage"]
        async with prometheus(file, tmp_path / "p", options) as judge:
            await pager.until_alert("SynthmonDeadMan")
            await until_value(judge, 'synthmon_runs_total{journey="listing", location="eu", outcome="passed"} > 1')
            (up,) = await judge.query('up{job="synthmon"}')
            early = await judge.alerts("SynthmonJourneyFailing")

            things.fault = "error"
            alerts = await until_both(pager)
            exemplars = await read_exemplars(judge, 'synthmon_runs_total{outcome="failed"}')
            runs = await asyncio.to_thread(process.get, "/api/v1/runs?outcome=failed&limit=500")
            things.fault = ""
            await until_gone(judge, "SynthmonJourneyFailing")

    assert (up["value"][1], early) == ("1", [])
    labels, receivers = alerts["listing"]["labels"], [each["name"] for each in alerts["listing"]["receivers"]]
    assert {name: labels[name] for name in ("severity", "owner", "system")} == {
        "severity": "page",
        "owner": "shop-oncall",
        "system": "things",
    }
    assert receivers == ["page"]
    assert alerts["listing"]["annotations"]["summary"] == "listing fails: “Things are listed”"
    assert [each["name"] for each in alerts["listing-again"]["receivers"]] == ["ticket"]
    # an exemplar only travels in OpenMetrics, and leads to the run
    assert exemplars & {run["id"] for run in runs["runs"]}


async def until_both(pager: Alertmanager) -> dict[str, dict[str, Any]]:
    async def look() -> dict[str, dict[str, Any]] | None:
        told = [alert for alert in await pager.alerts() if alert["labels"]["alertname"] == "SynthmonJourneyFailing"]
        by_journey = {alert["labels"]["journey"]: alert for alert in told}
        return by_journey if by_journey.keys() == {"listing", "listing-again"} else None

    return await until(look, "both journeys at the Alertmanager", 60)


async def read_exemplars(judge: Prometheus, series: str) -> set[str]:
    """The run ids that Prometheus keeps beside a series."""
    query = urlencode({"query": series, "start": time.time() - 600, "end": time.time() + 60})
    body = await fetch(f"{judge.url}/api/v1/query_exemplars?{query}")
    assert body is not None
    return {one["labels"]["run_id"] for found in json.loads(body)["data"] for one in found["exemplars"]}


async def test_a_frozen_and_a_killed_daemon_are_told_to_the_pager(
    daemon: tuple[DaemonProcess, Things], tmp_path: Path
) -> None:
    process, _ = daemon
    assert process.process is not None
    async with (
        alertmanager(DEPLOY / "alertmanager/alertmanager.yml", tmp_path / "a") as pager,
        prometheus(config(tmp_path, process, pager.url), tmp_path / "p") as judge,
    ):
        await until_value(judge, "synthmon_heartbeat_timestamp_seconds > 0")
        await until_calm(judge, pager)  # it was absent before the first scrape

        process.process.send_signal(signal.SIGSTOP)
        frozen = await pager.until_alert("SynthmonAbsent", 60)
        process.process.send_signal(signal.SIGCONT)
        await until_calm(judge, pager)
        process.kill()
        killed = await pager.until_alert("SynthmonAbsent", 60)
        await judge.until_alert("SynthmonDown")

    assert killed["startsAt"] > frozen["startsAt"]
    assert frozen["labels"]["severity"] == "page"
    assert [receiver["name"] for receiver in frozen["receivers"]] == ["page"]
