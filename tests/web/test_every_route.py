"""Whatever can be asked at any door, asked by a stranger: the routes come from the applications themselves."""

from __future__ import annotations

import re

import httpx
import pytest
from starlette.routing import Mount, Route

from synthmon.core.inbound import Hook
from synthmon.web.auth import Access
from synthmon.web.collector import Collector
from synthmon.web.gate import OPEN_PATHS, Doors
from synthmon.web.inbound import create_inbound
from synthmon.web.switchboard import Switchboard
from tests.web.calls import Awaited
from tests.web.conftest import MAY_CHANGE, an_app
from tests.web.schema_cases import ask
from tests.web.some import a_monitor

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TOKEN = "correct-horse-battery-staple"
VALUES = {"name": "refund", "id": "9f86d0", "token": "0" * 32, "more": "x", "path": "synthmon.css"}
STRANGERS = (
    {},
    {"authorization": "Bearer wrong-wrong-wrong-wrong"},
    {"authorization": "Basic YWxpY2U6d3Jvbmc="},
    {"authorization": f"Bearer {TOKEN}x"},
    {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "forwarded": "for=127.0.0.1", "host": "localhost"},
    {"x-http-method-override": "GET", "x-original-url": "/healthz", "x-rewrite-url": "/healthz"},
)


def paths_of(app):
    """One path for every route of an application; a value for each of its parameters."""
    for route in app.routes:
        assert isinstance(route, (Route, Mount)), f"{route}: nobody asks it here"
        template = route.path + ("/{path}" if isinstance(route, Mount) else "")
        yield re.sub(r"{(\w+)(:\w+)?}", lambda found: VALUES[found[1]], template)


async def front():
    return an_app(await a_monitor(), Doors(Access((TOKEN,)), local_only=False))


async def inbound():
    switchboard = Switchboard()
    switchboard.open(Hook(), Awaited())
    return create_inbound(switchboard, Collector(Access((TOKEN,)), local_only=False))


@pytest.mark.parametrize("door", [front, inbound])
@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
async def test_no_route_of_any_door_lets_a_stranger_in(door, stranger):
    app = await door()
    let_in, asked = [], 0
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    body = {"content-type": "application/json", **MAY_CHANGE, **stranger}
    async with httpx.AsyncClient(transport=transport, base_url="http://synthmon.example.com") as client:
        for path in paths_of(app):
            for method in METHODS:
                for written in (path, path + "/", "/" + path, path + "?token=" + TOKEN, path.upper()):
                    answer = await client.request(method, written, headers=body, content=b"{}")
                    asked += 1
                    assert answer.status_code < 500, (method, written)
                    if answer.is_success and written.partition("?")[0] not in OPEN_PATHS:
                        let_in.append((method, written, answer.status_code))

    assert asked >= 35 * len(list(paths_of(app)))
    assert not let_in


async def test_the_routes_are_those_that_there_are():
    there = set(paths_of(await front()))
    assert {"/metrics", "/healthz", "/readyz", "/", "/static/synthmon.css"} <= there
    assert {"/api/v1/runs/9f86d0/replay", "/api/v1/identities"} <= there
    assert set(paths_of(await inbound())) == {
        *("/h/" + "0" * 32, "/h/" + "0" * 32 + "/x", "/v1/traces", "/v1/logs", "/healthz")
    }


def test_the_api_keeps_what_its_document_promises():
    told = ask(300)

    assert not told.faults, told.faults[0]
    assert told.cases.total() >= 100
    assert told.cases["2xx"] >= 20
    assert told.cases["5xx"] == 0


@pytest.mark.torture
def test_the_api_keeps_what_its_document_promises_ten_thousand_times():
    told = ask(18_000)  # some operations have not so many different questions

    assert not told.faults, told.faults[0]
    assert told.cases.total() >= 10_000
    assert told.cases["5xx"] == 0
