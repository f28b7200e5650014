"""The JSON API: one table of what can be asked; its routes and its OpenAPI document are both made from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from synthmon.core.errors import Invalid
from synthmon.core.finding.peers import GOOD_RUNS, MOST_GOOD
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.status import Busy, JourneyStatus, Monitor
from synthmon.web import findings, shapes
from synthmon.web.answers import Json, ProblemJson
from synthmon.web.insight import Crowded, Insight, skew_of
from synthmon.web.standing import State, state_of

PREFIX = "/api/v1"
MOST_RUNS = 500
MOST_JOURNEYS = 500

Answer = Callable[[Monitor, Request], Awaitable[Response]]


class Refused(Exception):
    """A request that cannot be done as it is meant: its status, in short, and what to do."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be asked. `query`: name → what it means; `shape`: the name of its answer's schema."""

    method: str
    path: str
    summary: str
    shape: str
    answer: Answer
    query: Mapping[str, str]
    status: int = 200


async def journeys(monitor: Monitor, request: Request) -> Response:
    """Journeys by name; `next` is the `after` of the page after this one."""
    query = request.query_params
    state, owner, past = query.get("state"), query.get("owner"), query.get("after", "")
    fitting = [
        status
        for status in monitor.journeys()
        if status.journey.name > past and state in (None, state_of(status)) and owner in (None, status.journey.owner)
    ]
    fitting.sort(key=lambda status: status.journey.name)
    limit = _limit(query.get("limit", str(MOST_JOURNEYS)), MOST_JOURNEYS)
    told = []
    for at, status in enumerate(fitting[:limit]):
        told.append(shapes.journey_summary(status))
        if at % 20 == 19:
            await asyncio.sleep(0)  # many journeys must not hold the loop
    return Json({"journeys": told, "next": told[-1]["name"] if len(fitting) > limit else None})


async def journey(monitor: Monitor, request: Request) -> Response:
    """One journey with its text and its last runs."""
    return Json(shapes.journey_detail(_journey(monitor, request)))


async def runs(monitor: Monitor, request: Request) -> Response:
    """Runs, the newest first; `next` is the `before` of the page after this one."""
    query = request.query_params
    limit = _limit(query.get("limit", "50"), MOST_RUNS)
    found = await monitor.history.recent(
        query.get("journey"), _outcomes(query.getlist("outcome")), limit + 1, _instant(query.get("before"))
    )
    told = _page(found, limit)
    more = told[-1].slot if len(told) < len(found) else None
    return Json({"runs": [shapes.run_summary(record) for record in told], "next": more})


async def run(monitor: Monitor, request: Request) -> Response:
    """One run, whole: steps, attempts, checks, debts."""
    return Json(shapes.run_detail(await _run(monitor, request.path_params["id"])))


async def investigation(monitor: Monitor, request: Request) -> Response:
    """One run, looked into: its story, what differs from good runs, suspects, and a verdict in words."""
    record = await _run(monitor, request.path_params["id"])
    good = _number("good", request.query_params.get("good", str(GOOD_RUNS)), MOST_GOOD)
    found = await _insight(request).investigate(record, good, skew_of(monitor, record.journey))
    return Json(findings.investigation(found))


async def compare(monitor: Monitor, request: Request) -> Response:
    """One run beside good runs of its journey, or beside another run."""
    query, insight = request.query_params, _insight(request)
    good = _number("good", query.get("good", str(GOOD_RUNS)), MOST_GOOD)
    record = await _run(monitor, request.path_params["id"])
    skew_s = skew_of(monitor, record.journey)
    if other_id := query.get("other"):
        other = await _run(monitor, other_id)
        return Json(findings.comparison(await insight.compare_two(record, other, skew_s), f"run {other.run_id}"))
    found, of = await insight.compare(record, good, skew_s)
    return Json(findings.comparison(found, of))


async def suspects(monitor: Monitor, request: Request) -> Response:
    """What goes along with the failures of a journey, the most suspicious first, and on how many runs that is based."""
    status = _journey(monitor, request)
    limit = _limit(request.query_params.get("limit", "20"), MOST_RUNS)
    name = status.journey.name
    found = await _insight(request).rank(name, status.journey.digest, skew_of(monitor, name))
    return Json(findings.suspects(found, limit))


async def run_now(monitor: Monitor, request: Request) -> Response:
    """Start one run outside the schedule."""
    try:
        run_id = await monitor.run_now(_journey(monitor, request).journey.name)
    except Busy as error:
        raise Refused(409, "Busy", str(error) or "It is running already.") from error
    return Json({"run": run_id}, 202, {"location": f"/runs/{run_id}"})


async def pause(monitor: Monitor, request: Request) -> Response:
    """Start no more runs of a journey, stop the one under way, clean up; survives a restart."""
    monitor.pause(_journey(monitor, request).journey.name)
    return Json(shapes.journey_summary(_journey(monitor, request)))


async def resume(monitor: Monitor, request: Request) -> Response:
    """Run a paused journey again."""
    _resume(monitor, _journey(monitor, request).journey.name)
    return Json(shapes.journey_summary(_journey(monitor, request)))


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


async def reload(monitor: Monitor, request: Request) -> Response:
    """Read the files again; journeys with problems keep their old version."""
    return Json(shapes.reloaded(await monitor.reload()))


async def debts(monitor: Monitor, request: Request) -> Response:
    """Effects not yet taken back for certain, and how many there may be."""
    return Json(
        {"debts": [dict(debt) for debt in monitor.debts()], "budget": shapes.debt_budget(monitor.debt_budget())}
    )


async def problems(monitor: Monitor, request: Request) -> Response:
    """What was wrong with the files at the last load."""
    return Json({"problems": [shapes.problem(told) for told in monitor.problems]})


_RUN_QUERY = {
    "journey": "only of this journey",
    "outcome": f"only with this outcome, may be repeated: {', '.join(Outcome)}",
    "limit": f"at most so many, 1 to {MOST_RUNS}; default 50",
    "before": "only slots before this instant (RFC 3339)",
}

_JOURNEY_QUERY = {
    "state": f"only of this state: {', '.join(State)}",
    "owner": "only of this owner",
    "limit": f"at most so many, 1 to {MOST_JOURNEYS}, which is the default",
    "after": "only those whose name comes after this one",
}

_GOOD_QUERY = {"good": f"beside at most so many good runs, 1 to {MOST_GOOD}; default {GOOD_RUNS}"}
_COMPARE_QUERY = {**_GOOD_QUERY, "other": "beside this run instead: its id, or the first 6 digits"}
_SUSPECTS_QUERY = {"limit": f"at most so many, 1 to {MOST_RUNS}; default 20"}

# actions first: the name of a journey may contain `/`
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/journeys/{name}/run", "Run a journey now", "Started", run_now, {}, 202),
    Endpoint("POST", "/journeys/{name}/pause", "Pause a journey", "JourneySummary", pause, {}),
    Endpoint("POST", "/journeys/{name}/resume", "Resume a journey", "JourneySummary", resume, {}),
    Endpoint("GET", "/journeys/{name}/suspects", "What goes along with failure", "Suspects", suspects, _SUSPECTS_QUERY),
    Endpoint("GET", "/journeys/{name}", "One journey", "Journey", journey, {}),
    Endpoint("GET", "/journeys", "All journeys", "Journeys", journeys, _JOURNEY_QUERY),
    Endpoint("GET", "/runs/{id}/investigation", "One run, looked into", "Investigation", investigation, _GOOD_QUERY),
    Endpoint("GET", "/runs/{id}/compare", "One run beside others", "Comparison", compare, _COMPARE_QUERY),
    Endpoint("GET", "/runs/{id}", "One run; the first 6 digits do if only one run has them", "Run", run, {}),
    Endpoint("GET", "/runs", "Runs, the newest first", "Runs", runs, _RUN_QUERY),
    Endpoint("GET", "/debts", "Open debts", "Debts", debts, {}),
    Endpoint("GET", "/problems", "Problems of the files", "Problems", problems, {}),
    Endpoint("POST", "/reload", "Read the files again", "Reloaded", reload, {}),
    Endpoint("POST", "/pause", "Pause everything", "Paused", pause_all, {}),
    Endpoint("POST", "/resume", "Resume everything", "Paused", resume_all, {}),
)


def routes(monitor: Monitor) -> list[BaseRoute]:
    """The table as routes."""
    return [_route(monitor, endpoint) for endpoint in ENDPOINTS]


def _route(monitor: Monitor, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint.answer(monitor, request)
        except Refused as refused:
            return ProblemJson(refused.status, refused.title, refused.detail)
        except Crowded as crowded:
            return ProblemJson(503, "Busy", str(crowded))
        except Invalid as invalid:
            told = [shapes.problem(problem) for problem in invalid.problems]
            return ProblemJson(422, "The files have problems", str(invalid), {"problems": told})

    path = endpoint.path.replace("{name}", "{name:path}")
    return Route(PREFIX + path, answer, methods=[endpoint.method])


def _page(found: Sequence[Record], limit: int) -> Sequence[Record]:
    """As many as asked for, but never a part of those of one slot: `before` would leave out the rest of them."""
    if len(found) <= limit:
        return found
    cut = found[limit].slot
    return [record for record in found if record.slot > cut] or found[:limit]


def _journey(monitor: Monitor, request: Request) -> JourneyStatus:
    name = request.path_params["name"]
    if (status := monitor.journey(name)) is None:
        raise Refused(404, "No such journey", f"{name!r} is not loaded. See /api/v1/journeys and /api/v1/problems.")
    return status


async def _run(monitor: Monitor, run_id: str) -> Record:
    try:
        record = await monitor.history.run(run_id)
    except LookupError as error:
        raise Refused(404, "Which run?", str(error.args[0] if error.args else "Give more digits.")) from error
    if record is None:
        raise Refused(404, "No such run", "It is not kept (any more), or it is still going.")
    return record


def _insight(request: Request) -> Insight:
    insight: Insight = request.app.state.insight
    return insight


def _limit(text: str, most: int) -> int:
    return _number("limit", text, most)


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
        raise Refused(400, f"Bad {name}", f"{name} is a number from 1 to {most}.")
    return int(text)


def _outcomes(texts: list[str]) -> list[Outcome]:
    try:
        return [Outcome(text) for text in texts]
    except ValueError as error:
        raise Refused(400, "Bad outcome", f"outcome is one of {', '.join(Outcome)}.") from error


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + arrives as a space
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(400, "Bad instant", "before is an instant such as 2026-03-01T12:00:00Z.") from error
