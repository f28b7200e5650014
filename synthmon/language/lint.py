"""What loads and is probably not meant: warnings on a whole journey."""

from __future__ import annotations

from synthmon.core.journey import Journey
from synthmon.language.faults import Faults
from synthmon.language.schedule import interval_s
from synthmon.language.schema import JourneyKeys
from synthmon.language.workshop import Workshop


def lint(journey: Journey, keys: JourneyKeys, shop: Workshop, faults: Faults) -> None:
    """Warn about a journey; nothing here stops it."""
    settings, deadline_s = shop.settings, journey.deadline_s
    between_s = interval_s(journey.schedule)
    at = ("deadline",) if keys.deadline is not None else ("every",) if keys.every is not None else ("cron",)
    if deadline_s > between_s:
        fault = f"A run may take {deadline_s:g}s, and the next is due after {between_s:g}s: it would be missed."
        faults.warn(at, "deadline-over-interval", fault, "Shorten `deadline`, or run it less often.")
    if keys.deadline is not None and deadline_s > settings.grace_s:
        fault = f"A run may take {deadline_s:g}s, but at a shutdown it gets {settings.grace_s:g}s and is then unknown."
        faults.warn(
            at, "deadline-over-grace", fault, "Shorten `deadline`, or raise `limits: {grace: …}` in the settings."
        )
    if keys.deadline is not None:
        for step in journey.flat:
            if step.within and step.within.limit_s + step.within.grace_s > deadline_s:
                fault = (
                    f"Step `{step.id}` may wait {step.within.limit_s + step.within.grace_s:g}s, the run "
                    f"ends after {deadline_s:g}s."
                )
                faults.warn(at, "within-over-deadline", fault, "Raise `deadline`, or shorten `within`.")
        wait_s = journey.promises.patience_s
        if wait_s > deadline_s:
            fault = (
                f"`verify` may wait {wait_s:g}s for what its sources tell, the run ends after {deadline_s:g}s: then "
                "what they have not told is unknown, or counts as too late."
            )
            faults.warn(at, "within-over-deadline", fault, "Raise `deadline`, or shorten `verify: {within: …}`.")
    _check_locations(journey, shop, faults)


def _check_locations(journey: Journey, shop: Workshop, faults: Faults) -> None:
    system = shop.settings.systems.get(journey.system)
    for i, location in enumerate(journey.locations):
        if journey.locations.index(location) != i:
            faults.say(("locations", i), "duplicate-location", f"`{location}` is listed twice.", "Remove one.")
        elif system and "" not in system.base and location not in system.base:
            fault = f"The system `{system.name}` has no `base` for `{location}`."
            faults.say(("locations", i), "no-base", fault, "Add it to `base:` in the settings.")
    if journey.alert.locations > max(len(journey.locations), 1):
        fault = (
            f"The alert waits for {journey.alert.locations} locations, the journey runs in "
            f"{max(len(journey.locations), 1)}."
        )
        faults.warn(("alert", "locations"), "alert-never", fault, "Lower `alert: {locations: …}`, or add locations.")
