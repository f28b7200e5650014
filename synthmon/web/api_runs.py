"""The API's runs: the newest first, and one of them whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.status import Monitor
from synthmon.web import shapes
from synthmon.web.answers import Json
from synthmon.web.endpoints import MOST_RUNS, Endpoint, Refused, limit_of, run_of


async def runs(monitor: Monitor, request: Request) -> Response:
    """Runs, the newest first; `next` is the `before` of the page after this one."""
    query = request.query_params
    limit = limit_of(query.get("limit", "50"), MOST_RUNS)
    found = await monitor.history.recent(
        query.get("journey"), _outcomes(query.getlist("outcome")), limit + 1, _instant(query.get("before"))
    )
    told = _page(found, limit)
    more = told[-1].slot if len(told) < len(found) else None
    return Json({"runs": [shapes.run_summary(record) for record in told], "next": more})


async def run(monitor: Monitor, request: Request) -> Response:
    """One run, whole: steps, attempts, checks, debts."""
    return Json(shapes.run_detail(await run_of(monitor, request.path_params["id"])))


def _page(found: Sequence[Record], limit: int) -> Sequence[Record]:
    """As many as asked for, but never a part of those of one slot: `before` would leave out the rest of them."""
    if len(found) <= limit:
        return found
    cut = found[limit].slot
    return [record for record in found if record.slot > cut] or found[:limit]


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


_RUN_QUERY = {
    "journey": "only of this journey",
    "outcome": f"only with this outcome, may be repeated: {', '.join(Outcome)}",
    "limit": f"at most so many, 1 to {MOST_RUNS}; default 50",
    "before": "only slots before this instant (RFC 3339)",
}

ENDPOINTS = (
    Endpoint("GET", "/runs/{id}", "One run; the first 6 digits do if only one run has them", "Run", run),
    Endpoint("GET", "/runs", "Runs, the newest first", "Runs", runs, _RUN_QUERY),
)
