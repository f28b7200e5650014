"""The JSON API: one table of what can be asked; its routes and its OpenAPI document are both made from it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from synthmon.core.errors import Invalid
from synthmon.core.status import Monitor, Unavailable
from synthmon.web import api_findings, api_journeys, api_replays, api_runs, shapes
from synthmon.web.answers import Json, ProblemJson
from synthmon.web.endpoints import Endpoint, Refused
from synthmon.web.insight import Crowded

PREFIX = "/api/v1"


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


async def identities(monitor: Monitor, request: Request) -> Response:
    """Whom journeys act as: people who are invented, and accounts, with the run that has each now; no secret of any."""
    try:
        return Json({"identities": await monitor.identities()})
    except Unavailable as error:
        raise Refused(503, "The leases do not answer", str(error)) from error


# what is longer first: the name of a journey may contain `/`
ENDPOINTS: tuple[Endpoint, ...] = (
    *api_findings.ENDPOINTS,
    *api_replays.ENDPOINTS,
    *api_journeys.ENDPOINTS,
    *api_runs.ENDPOINTS,
    Endpoint("GET", "/identities", "Who has which account", "Identities", identities),
    Endpoint("GET", "/debts", "Open debts", "Debts", debts),
    Endpoint("GET", "/problems", "Problems of the files", "Problems", problems),
    Endpoint("POST", "/reload", "Read the files again", "Reloaded", reload),
)


def routes(monitor: Monitor) -> list[BaseRoute]:
    """The table as routes."""
    return [_route(monitor, endpoint) for endpoint in ENDPOINTS]


def _route(monitor: Monitor, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint.answer(monitor, request)
        except Refused as refused:
            problem = ProblemJson(refused.status, refused.title, refused.detail)
            problem.headers.update(refused.headers)
            return problem
        except Crowded as crowded:
            return ProblemJson(503, "Busy", str(crowded))
        except Invalid as invalid:
            told = [shapes.problem(problem) for problem in invalid.problems]
            return ProblemJson(422, "The files have problems", str(invalid), {"problems": told})

    path = endpoint.path.replace("{name}", "{name:path}")
    return Route(PREFIX + path, answer, methods=[endpoint.method])
