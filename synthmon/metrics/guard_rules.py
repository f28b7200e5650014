"""The alerts of one clause as Prometheus rules with a promtool test: that it is violated, and that nobody can tell.

A clause that is unknown most of the time, or whose series are gone, guards nothing, and says so. Counters start at 0
when the probe is loaded, so that `increase()` sees the very first violation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthmon.core.journey import Journey
from synthmon.metrics.lines import escaped

VIOLATED, BLIND = "SynthmonGuardrailViolated", "SynthmonGuardrailBlind"
SHORTEST_S, BLIND_S, BLIND_SLOTS = 600, 3600, 20
TICKS = 10  # of the test, in the window of a violation
STALE_S = 300  # after which an instant query knows a series no more


@dataclass(frozen=True, slots=True)
class GuardRules:
    """Two files: `rules` for Prometheus, and `test` for `promtool test rules` beside it."""

    rules: Mapping[str, Any]
    test: Mapping[str, Any]


def guard_rules(journey: Journey, clause: str, every_s: float, rules_file: str, runbook: str) -> GuardRules:
    """The alerts of a clause of a journey that runs `every_s` seconds.

    `clause` is its label in metrics, `rules_file` the name that the rules are written to, `runbook` where to read on.
    """
    window_s = max(SHORTEST_S, round(2 * every_s))
    blind_s = max(BLIND_S, round(BLIND_SLOTS * every_s))
    mine = _labels(journey, clause)
    counted = f"synthmon_clause_verdicts_total{_selector(mine)}"
    tick_s = window_s // TICKS
    severity = {"severity": journey.alert.severity, **({"owner": journey.owner} if journey.owner else {})}
    what = f"{journey.title or journey.name}: {clause}"
    alerts: list[dict[str, Any]] = [
        {
            "alert": VIOLATED,
            "expr": f"sum by ({_BY}) (increase({_with(counted, 'fail')}[{window_s}s])) > 0",
            "labels": {**severity},
            "annotations": _said(journey, f"{what} is violated", _VIOLATED.format(clause=clause), runbook),
        },
        {
            "alert": BLIND,
            "expr": _blind(counted, mine, blind_s, max(STALE_S, 2 * tick_s)),
            "for": f"{window_s}s",
            "labels": {**severity, "severity": "ticket"},
            "annotations": _said(journey, f"{what} cannot be told", _BLIND.format(clause=clause), runbook),
        },
    ]
    rules = [
        {**alert, "labels": _plain(alert["labels"]), "annotations": _plain(alert["annotations"])} for alert in alerts
    ]
    test = _test(alerts, mine, rules_file, (tick_s, window_s, blind_s))
    return GuardRules({"groups": [{"name": f"synthmon-guardrail-{journey.name}-{clause}", "rules": rules}]}, test)


_BY = "journey, case, clause"
_VIOLATED = (
    "The events of a run broke the promise {clause}, which was written after a run that failed by it. "
    "`synthmon history JOURNEY --failed` names the run, `synthmon investigate RUN` shows its events."
)
_BLIND = (
    "For most runs nobody could tell whether {clause} holds, or the clause is gone: a source of evidence is down or "
    "behind, clocks are too far apart, the journey does not run, or the probe has lost the clause."
)


def _labels(journey: Journey, clause: str) -> dict[str, str]:
    # an empty label and none are the same, and the page has no carriage returns
    case = {"case": journey.case_name} if journey.case_name else {}
    clause = clause.replace("\r", " ")
    return {"journey": journey.name, **case, "clause": clause}


def _selector(labels: Mapping[str, str]) -> str:
    """As `/metrics` writes it: strings of PromQL have the same escapes."""
    return "{" + ", ".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"


def _with(series: str, verdict: str) -> str:
    return f'{series[:-1]}, verdict="{verdict}"}}'


def _blind(counted: str, mine: Mapping[str, str], blind_s: int, gone_s: int) -> str:
    """Mostly unknown, nothing told at all, or no such series; a journey that is paused is not expected to tell."""
    told = f"sum by ({_BY}) (increase({{}}[{blind_s}s]))"
    known = f"({told.format(_with(counted, 'pass'))} + {told.format(_with(counted, 'fail'))})"
    journey = {k: v for k, v in mine.items() if k != "clause"}
    return (
        f"(({known} <= {told.format(_with(counted, 'unknown'))}) or absent_over_time({counted}[{gone_s}s]))\n"
        f"unless on () (max(synthmon_journey_paused{_selector(journey)}) == 1)"
    )


def _said(journey: Journey, summary: str, description: str, runbook: str) -> dict[str, str]:
    return {
        "summary": summary,
        "description": description.replace("JOURNEY", journey.name),
        "runbook_url": journey.runbook or runbook,
    }


def _plain(texts: Mapping[str, str]) -> dict[str, str]:
    """Labels and annotations that Prometheus, which takes them for templates, shows as they are."""
    return {name: text.replace("{{", '{{"{{"}}') for name, text in texts.items()}


def _test(
    alerts: Sequence[Mapping[str, Any]], mine: Mapping[str, str], rules_file: str, spans_s: tuple[int, int, int]
) -> dict[str, Any]:
    """That each alert fires when it should and only then: as many steps for a journey of every month as of a minute."""
    tick_s, window_s, blind_s = spans_s
    ticks = blind_s // tick_s + 2 * (window_s // tick_s) + 10
    violated, blind = alerts

    def series(verdict: str, values: str) -> dict[str, str]:
        return {"series": f"synthmon_clause_verdicts_total{_selector({**mine, 'verdict': verdict})}", "values": values}

    def expected(rule: Mapping[str, Any]) -> dict[str, Any]:
        return {"exp_labels": {**mine, **rule["labels"]}, "exp_annotations": rule["annotations"]}

    def asked(of_violated: list[Any], of_blind: list[Any]) -> list[dict[str, Any]]:
        at = f"{late * tick_s}s"
        return [
            {"eval_time": at, "alertname": VIOLATED, "exp_alerts": of_violated},
            {"eval_time": at, "alertname": BLIND, "exp_alerts": of_blind},
        ]

    def case(name: str, passed: str, failed: str, unknown: str, alerts: list[dict[str, Any]]) -> dict[str, Any]:
        told = [series("pass", passed), series("fail", failed), series("unknown", unknown)]
        return {"name": name, "interval": f"{tick_s}s", "input_series": told, "alert_rule_test": alerts}

    ups, flat = f"0+1x{ticks}", f"0x{ticks}"
    late = ticks - 2
    return {
        "rule_files": [rules_file],
        "evaluation_interval": f"{tick_s}s",
        "tests": [
            case("good runs alarm nobody", ups, flat, flat, asked([], [])),
            case("the first violation of all alarms", ups, f"0x{late - 3} 1x5", flat, asked([expected(violated)], [])),
            case("mostly unknown is blind", flat, flat, ups, asked([], [expected(blind)])),
            {
                "name": "a clause that is gone is blind",
                "interval": f"{tick_s}s",
                "input_series": [{"series": "up", "values": f"1x{ticks}"}],
                "alert_rule_test": asked([], [expected(blind)]),
            },
        ],
    }
