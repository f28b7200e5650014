"""Whether all journeys together stay within what the settings allow them to use of a system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from synthmon.core.errors import Place, Problem
from synthmon.core.journey import Journey
from synthmon.core.spending import creates_of
from synthmon.language.schedule import slots_per_day, slots_per_hour
from synthmon.language.settings import Settings


def say_budgets(journeys: Iterable[Journey], settings: Settings, places: Mapping[str, Place]) -> list[Problem]:
    """Warnings: every × locations × cases of all journeys of a system against its budget.

    `journeys` has each case as one of its own; `places` are those of the budgets.
    """
    runs: dict[str, float] = defaultdict(float)
    creates: dict[str, float] = defaultdict(float)
    for journey in journeys:
        times = max(len(journey.locations), 1)
        runs[journey.system] += slots_per_hour(journey.schedule) * times
        for name, made in creates_of(journey).items():
            creates[name] += slots_per_day(journey.schedule) * times * made
    problems = []
    for name, system in settings.systems.items():
        place = places.get(name, Place("synthmon.yaml"))
        for asked, budget, what in (
            (runs[name], system.budget_runs_per_h, "runs an hour"),
            (creates[name], system.budget_creates_per_d, "things made a day"),
        ):
            if budget is not None and asked > budget:
                fault = (
                    f"The journeys of `{name}` add up to {asked:.0f} {what}, the budget is {budget}: runs "
                    "will be skipped."
                )
                problems.append(
                    Problem(place, "budget-exceeded", fault, "Raise the budget, or run journeys less often.", "warning")
                )
    return problems
