"""synthmon's metrics about itself: whether it beats, keeps up, loads its files and pays its debts."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_text

from synthmon.core.spending import Budget
from synthmon.core.undo.debt_budget import EVERYWHERE, DebtBudget

_LATENESS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Own:
    """One registry; the daemon tells, Prometheus asks. `version` is synthmon's."""

    def __init__(self, version: str, location: str = "") -> None:
        self.registry = registry = CollectorRegistry()
        self._heartbeat = Gauge(
            "synthmon_heartbeat_timestamp_seconds", "When the daemon last looked at its slots.", registry=registry
        )
        self._up = Gauge("synthmon_up", "1 while journeys run as they should.", registry=registry)
        self._lag = Gauge(
            "synthmon_loop_lag_seconds", "How late the event loop last came to a timer.", registry=registry
        )
        self._lag_most = Gauge(
            "synthmon_loop_lag_max_seconds", "The worst lag of the last minute or so.", registry=registry
        )
        self._scheduled = Counter("synthmon_slots_scheduled", "Slots that were due, run or not.", registry=registry)
        self._lateness = Histogram(
            "synthmon_run_lateness_seconds", "Start of a run against its slot.", buckets=_LATENESS_S, registry=registry
        )
        self._running = Gauge("synthmon_runs_in_progress", "Runs under way.", registry=registry)
        self._debts = Gauge("synthmon_open_debts", "Effects not yet taken back for certain.", registry=registry)
        self._oldest_debt = Gauge(
            "synthmon_oldest_debt_age_seconds", "Age of the oldest open debt; 0 when there is none.", registry=registry
        )
        self._too_many_debts = Gauge(
            "synthmon_debts_over_budget",
            "1 while too many open debts keep runs from creating anything; without a system: in all of them.",
            ["system"],
            registry=registry,
        )
        self._budgeted: frozenset[str] = frozenset()
        self._journeys = Gauge("synthmon_journeys", "Journeys that are loaded.", registry=registry)
        self._paused = Gauge("synthmon_journeys_paused", "Journeys that are paused.", registry=registry)
        self._circuits = Gauge(
            "synthmon_circuits_open",
            "Places (host and port) of a system that give no answer and are left alone.",
            ["system"],
            registry=registry,
        )
        self._spent = Gauge(
            "synthmon_budget_used_ratio",
            "How much of a budget is used, 0 to 1; past it runs are skipped.",
            ["system", "budget"],
            registry=registry,
        )
        self._problems = Gauge(
            "synthmon_config_problems", "Mistakes in the files at the last load.", ["level"], registry=registry
        )
        self._reloaded = Gauge(
            "synthmon_config_last_reload_success_timestamp_seconds",
            "When the files were last loaded without an error.",
            registry=registry,
        )
        self._unsaved = Counter(
            "synthmon_history_write_failures", "Records that history could not keep.", registry=registry
        )
        self._refused = Counter(
            "synthmon_inbound_refused", "Calls on hooks that were not taken.", ["reason"], registry=registry
        )
        self._info = Gauge(
            "synthmon_build_info",
            "1, with the versions that run.",
            ["version", "python", "location"],
            registry=registry,
        )
        self._info.labels(version, platform.python_version(), location).set(1)
        for level in ("error", "warning"):
            self._problems.labels(level).set(0)
        for reason in ("method", "unsigned", "replayed", "too_many", "too_large", "cut_short", "no_room"):
            self._refused.labels(reason)
        ProcessCollector(registry=registry)

    def beat(self, at_s: float, up: bool = True) -> None:
        """The daemon looked at its slots, at Unix time `at_s`."""
        self._heartbeat.set(at_s)
        self._up.set(int(up))

    def lagged(self, last_s: float, most_s: float) -> None:
        """How far the loop was behind: now, and at worst lately."""
        self._lag.set(last_s)
        self._lag_most.set(most_s)

    def scheduled(self, slots: int = 1) -> None:
        """Slots became due."""
        self._scheduled.inc(slots)

    def started(self, lateness_s: float) -> None:
        """A run started that long after its slot."""
        self._lateness.observe(max(0.0, lateness_s))

    def owes(self, budget: DebtBudget, oldest_age_s: float) -> None:
        """Open debts against what may be open, and the age of the oldest."""
        self._debts.set(budget.open.get(EVERYWHERE, 0))
        for system in self._budgeted - budget.limits.keys():  # it has left the settings
            self._too_many_debts.remove(system)
        self._budgeted = frozenset(budget.limits)
        for system in self._budgeted:
            self._too_many_debts.labels(system).set(int(system in budget.over))
        self._oldest_debt.set(oldest_age_s)

    def loaded(self, journeys: int, errors: int, warnings: int, at_s: float) -> None:
        """The files were read at Unix time `at_s`."""
        self._journeys.set(journeys)
        self._problems.labels("error").set(errors)
        self._problems.labels("warning").set(warnings)
        if not errors:
            self._reloaded.set(at_s)

    def paused(self, journeys: int) -> None:
        """How many journeys are paused."""
        self._paused.set(journeys)

    def circuits(self, left_alone: Mapping[str, int]) -> None:
        """By system: places that are left alone."""
        self._circuits.clear()  # a system may be gone
        for system, places in left_alone.items():
            self._circuits.labels(system).set(places)

    def spent(self, budget: Budget, spent: int) -> None:
        """So much of a budget is used."""
        self._spent.labels(budget.system, budget.use).set(spent / budget.most)

    def unsaved(self, records: int = 1) -> None:
        """History could not be written."""
        self._unsaved.inc(records)

    def refused(self, reason: str) -> None:
        """A call on a hook was not taken; the words are those of `web.switchboard`."""
        self._refused.labels(reason).inc()

    def watch_running(self, count: Callable[[], int]) -> None:
        """Ask for the runs under way at every scrape."""
        self._running.set_function(count)

    def render(self, openmetrics: bool) -> bytes:
        """The text of all of them; in OpenMetrics it ends with `# EOF`."""
        text: bytes = (openmetrics_text.generate_latest if openmetrics else generate_latest)(self.registry)
        return text
