"""The API's replays: one of synthmon's own runs again, on purpose, made by the daemon that is asked."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from synthmon.core import replaying
from synthmon.core.finding.order import CannotForce
from synthmon.core.replaying import MOST_TIMES, NotAllowed, NotNow, Wish
from synthmon.core.status import Monitor
from synthmon.web.answers import Json
from synthmon.web.bodies import BodyTooLarge, Gone, NoRoom, Room
from synthmon.web.endpoints import Endpoint, Refused, run_of

MOST_BYTES = 4096
MEANT: dict[str, tuple[type, Any]] = {
    "same_keys": (bool, False),
    "order": (str, ""),
    "times": (int, 0),
    "yes": (bool, False),
}
"""Member of the body → its type, and what stands for it when it is missing."""


async def replay(monitor: Monitor, request: Request) -> Response:
    """What a replay of a run would send; with `yes` it begins, and `location` says where to see how it stands.

    One at a time on a store, 20 an hour, and only against systems that say `replay: allow`.
    """
    asked = await _body(request)
    record = await run_of(monitor, request.path_params["id"])
    wish = Wish(record.run_id, asked["same_keys"], asked["order"], asked["times"])
    try:
        stands = await monitor.replay(wish, asked["yes"])
    except NotAllowed as refused:
        raise Refused(403, "Not allowed", str(refused)) from refused
    except NotNow as refused:
        headers = {"retry-after": str(math.ceil(refused.after_s))} if refused.after_s is not None else {}
        raise Refused(409, "Not now", str(refused), headers) from refused
    except replaying.Refused as refused:
        raise Refused(422, "Refused", str(refused)) from refused
    except CannotForce as why:
        raise Refused(422, CANNOT_FORCE, f"cannot force {wish.order}: {why}") from why
    if not asked["yes"]:
        return Json(stands)
    return Json(stands, 202, {"location": f"/api/v1/runs/{record.run_id}/replay"})


async def replay_stands(monitor: Monitor, request: Request) -> Response:
    """How the last replay of a run stands that this daemon was asked for: its runs, and what its orders come to."""
    record = await run_of(monitor, request.path_params["id"])
    if (stands := monitor.replaying(record.run_id)) is None:
        fault = f"This daemon was not asked to replay {record.run_id} since it started, or has forgotten."
        raise Refused(404, "No such replay", fault)
    return Json(stands)


async def _body(request: Request) -> dict[str, Any]:
    """What is asked for, each member with its meaning when it is missing; no body at all asks for the plan."""
    try:
        async with Room(MOST_BYTES).body(request, MOST_BYTES) as body:
            given = orjson.loads(body) if body else {}
            twice = _named_twice(body)
    except (BodyTooLarge, NoRoom) as error:
        raise Refused(413, "Too large", f"At most {MOST_BYTES} bytes are taken.") from error
    except Gone as error:
        raise Refused(400, "Gone", "The body did not come whole.") from error
    except orjson.JSONDecodeError as error:
        raise Refused(400, "Bad JSON", f"The body is no JSON: {error}.") from error
    except RecursionError as error:
        raise Refused(400, "Bad body", "The body is nested too deeply: its members are plain.") from error
    if twice is not None:
        raise Refused(400, "Bad body", f"{twice!r} stands there twice, and nobody knows which is meant. Say it once.")
    if not isinstance(given, dict):
        raise Refused(400, "Bad body", f"The body is an object with {', '.join(MEANT)}.")
    for name, value in given.items():
        if name not in MEANT:
            raise Refused(400, "Bad body", f"{name!r} is not known. There are {', '.join(MEANT)}.")
        kind = MEANT[name][0]
        if type(value) is not kind:
            raise Refused(400, f"Bad {name}", f"{name} is a {_WORDS[kind]}.")
    asked = {name: given.get(name, missing) for name, (_, missing) in MEANT.items()}
    if not 0 <= asked["times"] <= MOST_TIMES:
        raise Refused(400, "Bad times", f"times is a number from 0 to {MOST_TIMES}; 0: once, or five times each order.")
    return asked


def _named_twice(body: bytes) -> str | None:
    """A name that an object of the body has twice: readers of JSON do not agree on what that means (RFC 8259, 4).

    Raises `RecursionError` where it is nested too deeply.
    """
    found: list[str] = []

    def look(members: list[tuple[str, Any]]) -> None:
        found.extend(name for name, times in Counter(name for name, _ in members).items() if times > 1)

    json.loads(body or b"{}", object_pairs_hook=look)
    return next(iter(found), None)


CANNOT_FORCE = "Cannot force"
_WORDS = {bool: "boolean", str: "text", int: "whole number"}

ENDPOINTS = (
    Endpoint("POST", "/runs/{id}/replay", "Replay a run", "Replaying", replay, statuses=(200, 202), body="ReplayWish"),
    Endpoint("GET", "/runs/{id}/replay", "How its replay stands", "Replaying", replay_stands),
)
