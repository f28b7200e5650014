"""The catalogue of a journey's metrics: every name, what it counts, and its labels.

Every sample carries `journey`, `case` where there is one, and `location` where there is one; a family's own labels come
after these. What a record adds to which family is told in `core.samples`; synthmon's own metrics are in `metrics.own`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OTHER = "other"
"""Stands for what no longer fits into a family's bound."""


class Form(StrEnum):
    """What kind of metric: the words of the exposition formats."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One metric. `name` is without `_total` or `_info`; `labels` come after journey, case and location.

    `most` bounds the label values of one journey and location (0: bounded by the journey itself). `exemplar`: the last
    run id is told beside the sample.
    """

    name: str
    form: Form
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    most: int = 0
    exemplar: bool = False


_C, _G, _H = Form.COUNTER, Form.GAUGE, Form.HISTOGRAM

INFO = Family("synthmon_journey", Form.INFO, "Who owns a journey, how it pages, which version runs.")
INTERVAL = Family(
    "synthmon_journey_interval_seconds",
    _G,
    "Seconds between two slots of a journey; by cron, the longest time between two.",
    unit="seconds",
)
PAUSED = Family("synthmon_journey_paused", _G, "1 while a journey is paused.")
ALERT_AFTER = Family("synthmon_alert_after_runs", _G, "Failed runs in a row after which somebody is told.")
ALERT_LOCATIONS = Family("synthmon_alert_locations", _G, "Locations that must fail before somebody is told.")
OBJECTIVE = Family("synthmon_slo_objective", _G, "The promised share of good runs, 0 to 1.")
SLO_LATENCY = Family(
    "synthmon_slo_latency_objective_seconds",
    _G,
    "The promised latency of a percentile of the good runs.",
    ("percentile",),
    "seconds",
)

CLAUSES = Family(
    "synthmon_clause_verdicts", _C, "Clauses about events, by how they were judged.", ("clause", "verdict")
)
ODD = Family("synthmon_odd_orders", _C, "Runs in which events came in an order that good runs do not have; no failure.")
RUNS = Family(
    "synthmon_runs", _C, "Slots by how they ended; their sum is every slot there was.", ("outcome",), exemplar=True
)
REASONS = Family("synthmon_run_reasons", _C, "Slots that did not pass, by reason.", ("outcome", "reason"), most=6)
FAILURES = Family(
    "synthmon_failures",
    _C,
    "Failed scheduled runs by the system they are booked on; own: the journey's.",
    ("system", "own"),
)
STEP_FAILURES = Family("synthmon_step_failures", _C, "Failed scheduled runs by the step that decided.", ("step",))
GOOD = Family("synthmon_slo_good", _C, "Scheduled runs that kept the promise: passed or flaky.")
BAD = Family("synthmon_slo_bad", _C, "Scheduled runs that broke the promise: failed.")
SLOW = Family("synthmon_slo_slow", _C, "Good scheduled runs that took longer than promised.", ("percentile",))
CONSECUTIVE = Family(
    "synthmon_consecutive_failures", _G, "Scheduled runs in a row that failed by the journey's own system."
)
LAST_RUN = Family("synthmon_last_run_timestamp_seconds", _G, "When the last run ended.", unit="seconds")
LAST_SUCCESS = Family(
    "synthmon_last_success_timestamp_seconds", _G, "When the last good scheduled run ended.", unit="seconds"
)
TLS_EXPIRES = Family(
    "synthmon_tls_earliest_expiry_timestamp_seconds",
    _G,
    "When the first certificate that the last run met expires.",
    unit="seconds",
)
LAGGED = Family("synthmon_lagged_runs", _C, "Runs measured while synthmon itself was behind: in no latency.")
LATENCY = Family(
    "synthmon_outcome_latency_seconds",
    _H,
    "From the first byte that left to the last check that held, of good runs.",
    unit="seconds",
    buckets=(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    exemplar=True,
)
DURATION = Family(
    "synthmon_run_duration_seconds",
    _H,
    "Steps and verify of a run, clean-up apart.",
    unit="seconds",
    buckets=(1.0, 5.0, 15.0, 60.0),
)
STEP_LATENCY = Family(
    "synthmon_step_latency_seconds", _H, "Latency of a step that held.", ("step",), "seconds", (0.25, 1.0, 5.0)
)
PHASES = Family(
    "synthmon_phase_seconds", _C, "Time that requests spent in each phase, summed.", ("phase",), unit="seconds"
)
ATTEMPTS = Family("synthmon_attempts", _C, "Requests and looks, by whether an answer came.", ("answered",))

CONSTANTS = (INFO, INTERVAL, PAUSED, ALERT_AFTER, ALERT_LOCATIONS, OBJECTIVE, SLO_LATENCY)
"""Those that tell what a journey is; without a location."""

MEASURED = (
    *(
        RUNS,
        REASONS,
        FAILURES,
        STEP_FAILURES,
        CLAUSES,
        ODD,
        GOOD,
        BAD,
        SLOW,
        CONSECUTIVE,
        LAST_RUN,
        LAST_SUCCESS,
        TLS_EXPIRES,
        LAGGED,
    ),
    *(LATENCY, DURATION, STEP_LATENCY, PHASES, ATTEMPTS),
)
"""Those that tell what happened; by location."""

FAMILIES = CONSTANTS + MEASURED
"""In the order of the page."""

LATER = (REASONS, CONSECUTIVE, LAST_RUN, LAST_SUCCESS, TLS_EXPIRES)
"""Those whose series come with the first run."""
