"""What an endpoint of the API is, and what all of them read from a request: a journey, a run, a number."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from synthmon.core.run import Record
from synthmon.core.status import JourneyStatus, Monitor

MOST_RUNS = 500

Answer = Callable[[Monitor, Request], Awaitable[Response]]


class Refused(Exception):
    """A request that cannot be done as it is meant: its status, in short, and what to do."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers or {}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be asked. `query`: name → what it means; `shape`, `body`: the names of its answer's schema and
    of its request's, if it has one; `statuses`: those of an answer that is no fault."""

    method: str
    path: str
    summary: str
    shape: str
    answer: Answer
    query: Mapping[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (200,)
    body: str = ""


def journey_of(monitor: Monitor, request: Request) -> JourneyStatus:
    """The journey of the path."""
    name = request.path_params["name"]
    if (status := monitor.journey(name)) is None:
        raise Refused(404, "No such journey", f"{name!r} is not loaded. See /api/v1/journeys and /api/v1/problems.")
    return status


async def run_of(monitor: Monitor, run_id: str) -> Record:
    """A run by its id or the first digits of it."""
    try:
        record = await monitor.history.run(run_id)
    except LookupError as error:
        raise Refused(404, "Which run?", str(error.args[0] if error.args else "Give more digits.")) from error
    if record is None:
        raise Refused(404, "No such run", "It is not kept (any more), or it is still going.")
    return record


def limit_of(text: str, most: int) -> int:
    """`limit` of a query."""
    return number_of("limit", text, most)


def number_of(name: str, text: str, most: int) -> int:
    """A number of a query, 1 to `most`."""
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
        raise Refused(400, f"Bad {name}", f"{name} is a number from 1 to {most}.")
    return int(text)
