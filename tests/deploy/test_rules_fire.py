"""The shipped rules in a real Prometheus, told to a real Alertmanager, over a page of metrics that the test writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from tests.servers.alertmanager import alertmanager
from tests.servers.prometheus import prometheus

DEPLOY = Path(__file__).parents[2] / "deploy"


class Page:
    """A page of metrics whose text the test changes."""

    def __init__(self) -> None:
        self.text = ""
        self.target = ""


@contextmanager
def serving() -> Iterator[Page]:
    page = Page()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        page.target = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield page
        finally:
            server.shutdown()
            thread.join()


def sample_config(folder: Path, target: str, alertmanager_url: str) -> Path:
    """The shipped prometheus.yml and rules, every second, with the addresses of this test."""
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus/rules.yml")]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager_url.removeprefix("http://")]}]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def metrics(failures_in_a_row: int) -> str:
    now = time.time()
    return f"""\
synthmon_heartbeat_timestamp_seconds {now}
synthmon_journeys 1
synthmon_journey_info{{journey="checkout",owner="shop",severity="page",system="shop",title="An order is paid"}} 1
synthmon_journey_interval_seconds{{journey="checkout"}} 60
synthmon_journey_paused{{journey="checkout"}} 0
synthmon_alert_after_runs{{journey="checkout"}} 2
synthmon_alert_locations{{journey="checkout"}} 1
synthmon_consecutive_failures{{journey="checkout",location="eu"}} {failures_in_a_row}
synthmon_last_run_timestamp_seconds{{journey="checkout",location="eu"}} {now}
"""


async def test_a_broken_journey_reaches_the_pager_through_the_shipped_rules(tmp_path: Path) -> None:
    with serving() as page:
        page.text = metrics(failures_in_a_row=1)
        async with alertmanager(DEPLOY / "alertmanager/alertmanager.yml", tmp_path / "a") as pager:
            config = sample_config(tmp_path, page.target, pager.url)
            async with prometheus(config, tmp_path / "p") as judge:
                # the alert that always stands proves that rules were judged while nothing had failed twice
                await pager.until_alert("SynthmonDeadMan")
                early = await judge.alerts("SynthmonJourneyFailing")

                page.text = metrics(failures_in_a_row=2)
                alert = await pager.until_alert("SynthmonJourneyFailing")

    assert early == []
    assert alert["labels"]["journey"] == "checkout"
    assert alert["annotations"]["summary"] == "checkout fails: “An order is paid”"
    assert [receiver["name"] for receiver in alert["receivers"]] == ["page"]
