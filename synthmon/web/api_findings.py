"""The API's findings: one run looked into, one beside others, and what goes along with failure."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from synthmon.core.finding.peers import GOOD_RUNS, MOST_GOOD
from synthmon.core.status import Monitor
from synthmon.web import findings
from synthmon.web.answers import Json
from synthmon.web.endpoints import MOST_RUNS, Endpoint, journey_of, limit_of, number_of, run_of
from synthmon.web.insight import Insight, skew_of


async def investigation(monitor: Monitor, request: Request) -> Response:
    """One run, looked into: its story, what differs from good runs, suspects, and a verdict in words."""
    record = await run_of(monitor, request.path_params["id"])
    good = number_of("good", request.query_params.get("good", str(GOOD_RUNS)), MOST_GOOD)
    found = await _insight(request).investigate(record, good, skew_of(monitor, record.journey))
    return Json(findings.investigation(found))


async def compare(monitor: Monitor, request: Request) -> Response:
    """One run beside good runs of its journey, or beside another run."""
    query, insight = request.query_params, _insight(request)
    good = number_of("good", query.get("good", str(GOOD_RUNS)), MOST_GOOD)
    record = await run_of(monitor, request.path_params["id"])
    skew_s = skew_of(monitor, record.journey)
    if other_id := query.get("other"):
        other = await run_of(monitor, other_id)
        return Json(findings.comparison(await insight.compare_two(record, other, skew_s), f"run {other.run_id}"))
    found, of = await insight.compare(record, good, skew_s)
    return Json(findings.comparison(found, of))


async def suspects(monitor: Monitor, request: Request) -> Response:
    """What goes along with the failures of a journey, the most suspicious first, and on how many runs that is based."""
    status = journey_of(monitor, request)
    limit = limit_of(request.query_params.get("limit", "20"), MOST_RUNS)
    name = status.journey.name
    found = await _insight(request).rank(name, status.journey.digest, skew_of(monitor, name))
    return Json(findings.suspects(found, limit))


def _insight(request: Request) -> Insight:
    insight: Insight = request.app.state.insight
    return insight


_GOOD_QUERY = {"good": f"beside at most so many good runs, 1 to {MOST_GOOD}; default {GOOD_RUNS}"}
_COMPARE_QUERY = {**_GOOD_QUERY, "other": "beside this run instead: its id, or the first 6 digits"}
_SUSPECTS_QUERY = {"limit": f"at most so many, 1 to {MOST_RUNS}; default 20"}

ENDPOINTS = (
    Endpoint("GET", "/journeys/{name}/suspects", "What goes along with failure", "Suspects", suspects, _SUSPECTS_QUERY),
    Endpoint("GET", "/runs/{id}/investigation", "One run, looked into", "Investigation", investigation, _GOOD_QUERY),
    Endpoint("GET", "/runs/{id}/compare", "One run beside others", "Comparison", compare, _COMPARE_QUERY),
)
