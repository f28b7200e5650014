"""Whether all journeys together stay within what the settings allow them to use of a system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from synthmon.core.errors import Place, Problem
from synthmon.core.journey import Journey
from synthmon.language.schedule import slots_per_day, slots_per_hour
from synthmon.language.settings import Settings


def say_budgets(
    made: Iterable[tuple[Sequence[Journey], int]], settings: Settings, places: Mapping[str, Place]
) -> list[Problem]:
    """Warnings: every × locations × cases of all journeys of a system against its budget.

    `made` are the cases of each journey and how many things a run makes; `places` are those of the budgets.
    """
    runs: dict[str, float] = defaultdict(float)
    creates: dict[str, float] = defaultdict(float)
    for journeys, made_in_a_run in made:
        for journey in journeys:
            times = max(len(journey.locations), 1)
            runs[journey.system] += slots_per_hour(journey.schedule) * times
            creates[journey.system] += slots_per_day(journey.schedule) * times * made_in_a_run
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
