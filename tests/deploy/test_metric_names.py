"""Rules and dashboard speak only of metrics and labels that synthmon has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from synthmon.core.families import FAMILIES, Form
from synthmon.metrics.own import Own

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/synthmon.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())

_SUFFIXES = {
    Form.COUNTER: ("_total",),
    Form.GAUGE: ("",),
    Form.INFO: ("_info",),
    Form.HISTOGRAM: ("_bucket", "_sum", "_count"),
}
_NAME = re.compile(r"\bsynthmon_[a-z0-9_]+")
_SELECTOR = re.compile(r"\b(synthmon_[a-z0-9_]+)\{([^}]*)\}")
_COMMON = {"journey", "case", "location", "instance", "job"}


def known() -> dict[str, set[str]]:
    """Every sample name, with the labels that it may carry."""
    names = {
        family.name + suffix: {*_COMMON, *family.labels, *(("le",) if suffix == "_bucket" else ())}
        for family in FAMILIES
        for suffix in _SUFFIXES[family.form]
    }
    names["synthmon_journey_info"] |= {"owner", "severity", "system", "runbook", "title", "version"}
    for family in text_string_to_metric_families(Own("1").render(openmetrics=False).decode()):
        for sample in family.samples:
            names.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
        # a counter or histogram without labels stands there at once; one with labels only after its first use
        names.setdefault(family.name, {"instance", "job"})
    return names


def rule_expressions() -> Iterator[str]:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def dashboard_expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


@pytest.mark.parametrize("expressions", [rule_expressions, dashboard_expressions])
def test_every_metric_that_is_asked_for_exists(expressions: Any) -> None:
    names = known()

    asked = {name for text in expressions() for name in _NAME.findall(text)}

    assert asked - set(names) == set()
    assert len(asked) > 10


@pytest.mark.parametrize("expressions", [rule_expressions, dashboard_expressions])
def test_every_label_that_is_asked_for_is_one_of_its_metric(expressions: Any) -> None:
    names = known()

    wrong = [
        f"{name}{{{label}}}"
        for text in expressions()
        for name, selector in _SELECTOR.findall(text)
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector)
        if label not in names[name]
    ]

    assert wrong == []


def test_every_recorded_name_that_is_used_is_recorded() -> None:
    recorded = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}

    used = {name for text in rule_expressions() for name in re.findall(r"\bsynthmon:[a-z0-9_:]+", text)}

    assert used == recorded


def test_the_dashboard_asks_its_reader_for_the_data_source() -> None:
    sources = {
        json.dumps(part["datasource"], sort_keys=True)
        for panel in DASHBOARD["panels"]
        if panel["type"] != "row"
        for part in (panel, *panel["targets"])
    }

    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}

    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
                assert x < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
