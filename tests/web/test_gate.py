"""Who comes in, from where, and what every answer carries."""

from __future__ import annotations

import asyncio
import base64

import bcrypt
import pytest

from synthmon.core.errors import Invalid, Place
from synthmon.web.api import ENDPOINTS, PREFIX
from synthmon.web.auth import Access, Doorkeeper, check
from synthmon.web.gate import Doors
from synthmon.web.web_config import read
from tests.web.conftest import MAY_CHANGE, a_client
from tests.web.monitor import MemoryMonitor
from tests.web.some import a_monitor

TOKEN = "correct-horse-battery-staple"
HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
CLOSED = Doors(Access((TOKEN,), {"alice": HASH}), local_only=False)
PLACE = Place("synthmon.yaml", 4, 9, "listen")


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def every_route():
    """(method, path) of everything that can be asked."""
    api = [(e.method, PREFIX + e.path.replace("{name}", "refund").replace("{id}", "9f86d0")) for e in ENDPOINTS]
    pages = ["/", "/?view=wall", "/journeys/refund", "/runs/9f86d0", "/metrics", "/readyz", "/api/v1/openapi.json"]
    return [*api, *(("GET", path) for path in [*pages, "/static/synthmon.css", "/static/htmx.min.js", "/nowhere"])]


@pytest.mark.parametrize("header", ["", "Bearer wrong-wrong-wrong-wrong", basic("alice", "open"), basic("bob", "x")])
async def test_nobody_comes_in_without_being_known(header):
    async with a_client(await a_monitor(), CLOSED, headers={**MAY_CHANGE, "authorization": header}) as client:
        for method, path in every_route():
            answer = await client.request(method, path)

            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == 'Basic realm="synthmon", Bearer realm="synthmon"'


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("alice", "open sesame")])
async def test_who_is_known_comes_in_everywhere(header):
    async with a_client(await a_monitor(), CLOSED, headers={**MAY_CHANGE, "authorization": header}) as client:
        for method, path in every_route():
            answer = await client.request(method, path)

            assert answer.status_code == (404 if path == "/nowhere" else 202 if path.endswith("/run") else 200), path


async def test_health_alone_is_told_to_anybody():
    async with a_client(MemoryMonitor(), CLOSED) as client:
        assert (await client.get("/healthz")).text == "alive\n"
        assert (await client.post("/healthz")).status_code == 401
        assert (await client.get("/healthz/")).status_code == 401
        assert (await client.get("//healthz")).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"alice").decode(),
        basic("alice", "open sesame\0"),
        basic("alice", "x" * 200),
        basic("", ""),
        "Bearer ",
        "Digest x",
        TOKEN,
    ],
)
async def test_a_broken_header_is_a_stranger(header):
    async with a_client(MemoryMonitor(), CLOSED, headers={"authorization": header}) as client:
        assert (await client.get("/")).status_code == 401


async def test_a_token_alone_lets_no_user_in_and_a_user_alone_no_token():
    users_only = Doors(Access((), {"alice": HASH}), False)
    async with a_client(MemoryMonitor(), Doors(Access((TOKEN,)), False)) as client:
        assert (await client.get("/", headers={"authorization": basic("alice", "open sesame")})).status_code == 401
    async with a_client(MemoryMonitor(), users_only) as client:
        assert (await client.get("/", headers={"authorization": "Bearer "})).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9880", "127.0.0.1.evil.example", "", "[::2]", "10.0.0.1"]
)
async def test_a_foreign_name_pointed_at_this_machine_is_not_answered(host):
    async with a_client(await a_monitor()) as client:
        for path in ("/", "/metrics", "/healthz"):
            assert (await client.get(path, headers={"host": host})).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:9880", "localhost", "LOCALHOST:1", "[::1]:9880", "127.0.0.2"])
async def test_names_of_this_machine_are_answered(host):
    async with a_client(await a_monitor()) as client:
        assert (await client.get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"content-type": "application/x-www-form-urlencoded"}, 403),
        ({"content-type": "text/plain"}, 403),
        ({"x-synthmon": "1"}, 202),
        ({"content-type": "application/json"}, 202),
        ({"x-synthmon": "1", "origin": "http://127.0.0.1:9880"}, 202),
        ({"x-synthmon": "1", "origin": "http://evil.example"}, 403),
        ({"x-synthmon": "1", "origin": "null"}, 403),
        ({"x-synthmon": "1", "origin": "http://127.0.0.1:9999"}, 403),
        ({"x-synthmon": "1", "sec-fetch-site": "cross-site"}, 403),
        ({"x-synthmon": "1", "sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_somebody_elses_page_can_change_nothing(headers, status):
    async with a_client(await a_monitor(), headers=headers) as client:
        assert (await client.post("/api/v1/journeys/refund/run")).status_code == status


async def test_reading_changes_nothing():
    async with a_client(await a_monitor(), headers=MAY_CHANGE) as client:
        for endpoint in ENDPOINTS:
            if endpoint.method == "POST":
                path = PREFIX + endpoint.path.replace("{name}", "refund")
                assert (await client.get(path)).status_code in (404, 405)


async def test_every_answer_is_safe_to_show():
    async with a_client(await a_monitor()) as client:
        for method, path in every_route():
            headers = (await client.request(method, path)).headers

            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers


async def test_headers_of_the_web_config_file_replace_ours():
    doors = Doors(headers={"X-Frame-Options": "SAMEORIGIN", "Strict-Transport-Security": "max-age=60"})
    async with a_client(MemoryMonitor(), doors) as client:
        headers = (await client.get("/")).headers

    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["strict-transport-security"] == "max-age=60"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "synthmon.example.com", ""])
def test_an_open_door_to_the_network_is_refused(host):
    with pytest.raises(Invalid) as caught:
        check(host, Access(), PLACE)

    (problem,) = caught.value.problems
    assert str(problem).startswith("synthmon.yaml:4:9 listen  listens on")
    assert "127.0.0.1" in problem.remedy
    check(host, Access((TOKEN,)), PLACE)
    check(host, Access(), PLACE, certified=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.8.8.8"])
def test_anybody_on_this_machine_may_come_in(host):
    check(host, Access(), PLACE)


def test_a_short_token_is_refused_without_being_told():
    with pytest.raises(Invalid) as caught:
        check("127.0.0.1", Access(("hunter2",)), PLACE)

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Access(("hunter2",), {"a": "hunter2"}))


def test_a_web_config_file_of_prometheus_is_read(tmp_path):
    told = read(
        {
            "tls_server_config": {"cert_file": "server.pem", "key_file": "/keys/server.key", "min_version": "TLS13"},
            "http_server_config": {"http2": True, "headers": {"X-Frame-Options": "deny"}},
            "basic_auth_users": {"alice": HASH},
        },
        str(tmp_path / "web.yaml"),
    )

    assert told.users == {"alice": HASH}
    assert told.headers == {"X-Frame-Options": "deny"}
    assert (told.tls.cert, str(told.tls.key)) == (tmp_path / "server.pem", "/keys/server.key")
    assert read(None, "web.yaml").tls is None


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ([], "web.yaml:1:1  is not a map."),
        ({"basic_auth": {}}, "web.yaml:1:1 basic_auth  cannot be done here. Known: tls_server_config"),
        ({"basic_auth_users": {"bob": "secret"}}, "basic_auth_users.bob  is no bcrypt hash."),
        ({"basic_auth_users": ["bob"]}, "basic_auth_users  is not a map."),
        ({"tls_server_config": {"cert_file": "x"}}, "tls_server_config.key_file  is missing."),
        (
            {
                "tls_server_config": {
                    "cert_file": "x",
                    "key_file": "y",
                    "client_auth_type": "RequireAndVerifyClientCert",
                }
            },
            "client_ca_file  is missing.",
        ),
        (
            {"tls_server_config": {"cert_file": "x", "key_file": "y", "client_auth_type": "RequireAnyClientCert"}},
            "RequireAnyClientCert is not possible.",
        ),
        ({"tls_server_config": {"cert_file": "x", "key_file": "y", "min_version": "TLS10"}}, "TLS10 is not offered."),
        ({"tls_server_config": {"cipher_suites": ["X"]}}, "tls_server_config.cipher_suites  cannot be done here."),
        ({"http_server_config": {"headers": {"Set-Cookie": "x"}}}, "headers.Set-Cookie  is not allowed."),
        ({"http_server_config": {"headers": {"X-Frame-Options": "a\nb"}}}, "is no header value."),
    ],
)
def test_what_a_web_config_file_cannot_mean_is_refused(tree, said):
    with pytest.raises(Invalid) as caught:
        read(tree, "web.yaml")

    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_hash_that_would_hold_a_core_for_hours_is_refused():
    with pytest.raises(Invalid, match=r"costs too much \(31\)"):
        read({"basic_auth_users": {"alice": HASH.replace("$04$", "$31$")}}, "web.yaml")


async def test_guessing_passwords_takes_one_core_holds_no_loop_and_sends_no_known_user_away():
    doors = Doors(Access((), {"alice": HASH}), False)
    async with a_client(MemoryMonitor(), doors) as client:
        known = {"authorization": basic("alice", "open sesame")}
        assert (await client.get("/readyz", headers=known)).status_code == 200

        async def guess(number):
            return (
                await client.get("/readyz", headers={"authorization": basic("alice", f"guess {number}")})
            ).status_code

        answers = await asyncio.gather(*(guess(number) for number in range(600)))
        assert (await client.get("/readyz", headers=known)).status_code == 200

    assert set(answers) == {401, 503}
    assert answers.count(503) > 500  # not one of them cost a check


async def test_a_crowd_of_guesses_is_checked_one_at_a_time(monkeypatch):
    at_once, most = [0], [0]
    real = bcrypt.checkpw

    def counted(password, hashed):
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        try:
            return real(password, hashed)
        finally:
            at_once[0] -= 1

    monkeypatch.setattr("synthmon.web.auth.bcrypt.checkpw", counted)
    keeper = Doorkeeper(Access((), {"alice": HASH}))
    answers = await asyncio.gather(*(keeper.admits(basic("alice", str(number))) for number in range(32)))

    assert not any(answers)
    assert most == [1]
