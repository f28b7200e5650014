"""The API's journeys: how they stand, and the switches to run, pause and resume them."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from synthmon.core.status import Busy, Monitor
from synthmon.web import shapes
from synthmon.web.answers import Json
from synthmon.web.endpoints import Endpoint, Refused, journey_of, limit_of
from synthmon.web.standing import State, state_of

MOST_JOURNEYS = 500


async def journeys(monitor: Monitor, request: Request) -> Response:
    """Journeys by name; `next` is the `after` of the page after this one."""
    query = request.query_params
    state, owner, past = query.get("state"), query.get("owner"), query.get("after", "")
    fitting = []
    for at, status in enumerate(monitor.journeys()):
        here = status.journey
        if here.name > past and state in (None, state_of(status)) and owner in (None, here.owner):
            fitting.append(status)
        if at % 500 == 499:
            await asyncio.sleep(0)  # thousands of journeys must not hold the loop
    fitting.sort(key=lambda status: status.journey.name)
    limit = limit_of(query.get("limit", str(MOST_JOURNEYS)), MOST_JOURNEYS)
    told = []
    for at, status in enumerate(fitting[:limit]):
        told.append(shapes.journey_summary(status))
        if at % 20 == 19:
            await asyncio.sleep(0)  # many journeys must not hold the loop
    return Json({"journeys": told, "next": told[-1]["name"] if len(fitting) > limit else None})


async def journey(monitor: Monitor, request: Request) -> Response:
    """One journey with its text and its last runs."""
    return Json(shapes.journey_detail(journey_of(monitor, request)))


async def run_now(monitor: Monitor, request: Request) -> Response:
    """Start one run outside the schedule."""
    try:
        run_id = await monitor.run_now(journey_of(monitor, request).journey.name)
    except Busy as error:
        raise Refused(409, "Busy", str(error) or "It is running already.") from error
    return Json({"run": run_id}, 202, {"location": f"/runs/{run_id}"})


async def pause(monitor: Monitor, request: Request) -> Response:
    """Start no more runs of a journey, stop the one under way, clean up; survives a restart."""
    monitor.pause(journey_of(monitor, request).journey.name)
    return Json(shapes.journey_summary(journey_of(monitor, request)))


async def resume(monitor: Monitor, request: Request) -> Response:
    """Run a paused journey again."""
    _resume(monitor, journey_of(monitor, request).journey.name)
    return Json(shapes.journey_summary(journey_of(monitor, request)))


async def pause_all(monitor: Monitor, request: Request) -> Response:
    """Stop everything: nothing leaves any more but clean-up; survives a restart."""
    monitor.pause(None)
    return Json({"paused": True})


async def resume_all(monitor: Monitor, request: Request) -> Response:
    """Run everything again."""
    _resume(monitor, None)
    return Json({"paused": False})


def _resume(monitor: Monitor, name: str | None) -> None:
    try:
        monitor.resume(name)
    except Busy as error:
        raise Refused(409, "Stopped by a file", str(error)) from error


_JOURNEY_QUERY = {
    "state": f"only of this state: {', '.join(State)}",
    "owner": "only of this owner",
    "limit": f"at most so many, 1 to {MOST_JOURNEYS}, which is the default",
    "after": "only those whose name comes after this one",
}

# actions first: the name of a journey may contain `/`
ENDPOINTS = (
    Endpoint("POST", "/journeys/{name}/run", "Run a journey now", "Started", run_now, statuses=(202,)),
    Endpoint("POST", "/journeys/{name}/pause", "Pause a journey", "JourneySummary", pause),
    Endpoint("POST", "/journeys/{name}/resume", "Resume a journey", "JourneySummary", resume),
    Endpoint("POST", "/pause", "Pause everything", "Paused", pause_all),
    Endpoint("POST", "/resume", "Resume everything", "Paused", resume_all),
    Endpoint("GET", "/journeys/{name}", "One journey", "Journey", journey),
    Endpoint("GET", "/journeys", "All journeys", "Journeys", journeys, _JOURNEY_QUERY),
)
