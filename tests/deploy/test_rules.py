"""The shipped rules, Prometheus and Alertmanager samples, judged by their own tools."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.servers.process import program

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())


def judge(*command: str, folder: Path = DEPLOY) -> str:
    done = subprocess.run(
        [program(command[0]), *command[1:]], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_good() -> None:
    words = judge("promtool", "check", "rules", "prometheus/rules.yml")

    assert f"{sum(len(group['rules']) for group in RULES['groups'])} rules found" in words


@pytest.mark.parametrize("file", ["rules_test.yml", "rules_long_test.yml"])
def test_each_alert_fires_when_it_should_and_only_then(file: str) -> None:
    words = judge("promtool", "test", "rules", file, folder=DEPLOY / "prometheus")

    assert "SUCCESS" in words


def test_no_alert_is_without_such_a_test() -> None:
    tested = "".join(file.read_text() for file in (DEPLOY / "prometheus").glob("*_test.yml"))

    alerts = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}

    assert {alert for alert in alerts if alert not in tested} == set()
    assert len(alerts) > 10


def test_the_prometheus_sample_is_good() -> None:
    words = judge("promtool", "check", "config", "prometheus/prometheus.yml")

    assert "1 rule files found" in words


def test_the_prometheus_of_compose_differs_only_in_names_and_token() -> None:
    sample = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    composed = yaml.safe_load((DEPLOY / "prometheus/compose.yml").read_text())

    judge("promtool", "check", "config", "--syntax-only", "prometheus/compose.yml")
    for config in (sample, composed):
        for part in (config["scrape_configs"], config["alerting"]["alertmanagers"]):
            part[0].pop("static_configs")
            part[0].pop("authorization", None)
    assert composed == sample


def test_the_alertmanager_sample_is_good() -> None:
    words = judge("amtool", "check-config", "alertmanager/alertmanager.yml")

    assert "SUCCESS" in words


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=SynthmonDeadMan severity=none", "dead-man"),
        ("alertname=SynthmonJourneyFailing severity=page", "page"),
        ("alertname=SynthmonAbsent severity=page", "page"),
        ("alertname=SynthmonOpenDebts severity=ticket", "ticket"),
        ("alertname=SomebodyElses severity=critical", "ticket"),
    ],
)
def test_each_severity_goes_to_its_receiver(labels: str, receiver: str) -> None:
    words = judge("amtool", "config", "routes", "test", "--config.file=alertmanager/alertmanager.yml", *labels.split())

    assert words.strip() == receiver


def test_the_alerts_that_one_silences_exist() -> None:
    config = (DEPLOY / "alertmanager/alertmanager.yml").read_text()

    named = set(re.findall(r"Synthmon[A-Za-z]+", config))

    assert named <= {rule.get("alert") for group in RULES["groups"] for rule in group["rules"]}
