"""Logins that runs share: made when first needed, made anew when forgotten, used by clean-up, never shown."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from synthmon.core.door import Trouble
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.language.load import load
from synthmon.runtime.once import run_once
from synthmon.runtime.sessions import Sessions, _Login

TOKEN = "token-that-nobody-may-see"
PROBE = """
journey: orders
every: 1m
system: shop
auth: shop_api
steps:
  - id: order
    http: POST /orders
    json: {}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /orders/${order.id}
      ttl: 1h
    repeatable: true
  - id: read
    http: GET /orders/${order.id}
    expect:
      - status == 200
"""
LOGIN = """
steps:
  - id: token
    http: POST /login
    json: {user: clerk, password: "${secret.password}"}
    leaves: nothing
    expect:
      - status == 200
    save:
      value: secret(body.token)
"""


class Shop:
    """Wants a bearer token for everything but the login; `known` is the one that it takes."""

    def __init__(self, server: HTTPServer) -> None:
        self.logins, self.known, self.there = 0, "", False
        self.refused = 0
        self.same_again = False
        server.expect_request("/login", method="POST").respond_with_handler(self.log_in)
        server.expect_request("/orders", method="POST").respond_with_handler(self.guarded(self.make))
        server.expect_request("/orders/7", method="GET").respond_with_handler(self.guarded(self.read))
        server.expect_request("/orders/7", method="DELETE").respond_with_handler(self.guarded(self.remove))

    def log_in(self, request: Request) -> Response:
        if request.json["password"] != "correct-horse":
            return Response(json.dumps({"fault": "no"}), 403, content_type="application/json")
        self.logins += 1
        self.known = TOKEN if self.same_again else f"{TOKEN}-{self.logins}"
        return Response(json.dumps({"token": self.known}), 200, content_type="application/json")

    def guarded(self, then: Callable[[], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if request.headers.get("Authorization") != f"Bearer {self.known}" or not self.known:
                self.refused += 1
                return Response("{}", 401, content_type="application/json")
            return then()

        return answer

    def make(self) -> Response:
        self.there = True
        return Response(json.dumps({"id": 7}), 201, content_type="application/json")

    def read(self) -> Response:
        return Response(json.dumps({"echo": self.known}), 200 if self.there else 404, content_type="application/json")

    def remove(self) -> Response:
        there, self.there = self.there, False
        return Response(status=204 if there else 404)


@pytest.fixture
def shop(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("CLERK_PASSWORD", "correct-horse")
    (tmp_path / "login.yaml").write_text(LOGIN)
    (tmp_path / "orders.yaml").write_text(PROBE)
    (tmp_path / "synthmon.yaml").write_text(f"""
systems: {{shop: {{base: "{httpserver.url_for("").rstrip("/")}", writes: true}}}}
secrets: {{password: "env:CLERK_PASSWORD"}}
sessions:
  shop_api: {{call: login.yaml, keep: 50m, system: shop, headers: {{Authorization: "Bearer ${{token.value}}"}}}}
""")
    return Shop(httpserver)


def _login(token: str) -> _Login:
    return _Login((("Authorization", token),), {"learned.1": token}, 1e9)


def run(tmp_path: Path, times: int = 1, between: Callable[[], None] = lambda: None) -> list[Record]:
    loaded = load([tmp_path / "orders.yaml"], [tmp_path / "synthmon.yaml"])
    assert not loaded.problems, "\n".join(map(str, loaded.problems))

    async def story() -> list[Record]:
        records = []
        store = f"sqlite:///{tmp_path / 'store.db'}"
        async for record in run_once(loaded.journeys, loaded.settings, store, times):
            records.append(record)
            between()
        return records

    return asyncio.run(story())


def test_one_login_serves_many_runs_and_their_clean_up(shop: Shop, tmp_path: Path) -> None:
    records = run(tmp_path, times=3)

    assert [(record.outcome, record.message) for record in records] == [(Outcome.PASSED, "")] * 3
    assert [debt.state for record in records for debt in record.debts] == ["closed"] * 3
    assert (shop.logins, shop.there) == (1, False)


def test_a_login_that_the_target_forgot_is_made_anew_once(shop: Shop, tmp_path: Path) -> None:
    def forget() -> None:
        shop.known = ""

    records = run(tmp_path, times=2, between=forget)

    assert [record.outcome for record in records] == [Outcome.PASSED, Outcome.PASSED]
    assert (shop.logins, shop.refused) == (2, 1)


def test_a_thousand_runs_with_a_token_that_ended_make_one_login() -> None:
    sessions = Sessions()
    old, new = _login("old"), _login("new")
    sessions.keep("shop", old)

    async def run(n: int) -> tuple[bool, bool]:
        """As `Performer` does it: a 401, a new login if there is none yet, the same request again."""
        for _ in range(n % 7):  # some hear of the 401 when others have logged in already
            await asyncio.sleep(0)
        again = sessions.renew("shop", old.headers, 0.0)
        async with sessions.turn("shop"):
            if sessions.kept("shop", 0.0) is not None:
                return again, False
            await asyncio.sleep(0)
            sessions.keep("shop", new)
            return again, True

    async def all_of_them() -> list[tuple[bool, bool]]:
        return await asyncio.gather(*(run(n) for n in range(1000)))

    told = asyncio.run(all_of_them())

    assert all(again for again, _ in told)
    assert sum(logged_in for _, logged_in in told) == 1


def test_a_target_that_answers_401_to_everything_is_not_stormed_with_logins() -> None:
    sessions, logins = Sessions(), 0

    for n in range(1000):
        if (login := sessions.kept("shop", n / 20)) is None:
            logins += 1
            sessions.keep("shop", login := _login(f"token {n}"))
        sessions.renew("shop", login.headers, n / 20)

    assert logins == 4


def test_a_login_that_is_refused_is_left_alone_for_longer_and_longer() -> None:
    sessions, tries = Sessions(), []

    for second in range(300):
        if sessions.refused("shop", second) is None:
            tries.append(second)
            sessions.refuse("shop", Trouble(Reason.EXPECTATION, "no"), second)

    assert tries == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_what_a_login_brought_is_remembered_as_secret() -> None:
    remembered: list[str] = []
    Sessions(remembered.extend).keep("shop", _login("token"))

    assert remembered == ["token"]


def test_a_target_that_gives_the_same_token_again_can_still_be_used(shop: Shop, tmp_path: Path) -> None:
    shop.same_again = True

    records = run(tmp_path, times=3, between=lambda: setattr(shop, "known", ""))

    assert [record.outcome for record in records] == [Outcome.PASSED] * 3


def test_a_login_that_is_refused_fails_the_step_and_says_so(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLERK_PASSWORD", "wrong-horse")

    (record,) = run(tmp_path)

    assert (record.outcome, record.step) == (Outcome.FAILED, "order")
    assert "the login shop_api did not come about" in record.message


def test_a_secret_that_cannot_be_read_is_ours(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded_before = load([tmp_path / "orders.yaml"], [tmp_path / "synthmon.yaml"])
    monkeypatch.delenv("CLERK_PASSWORD")

    async def story() -> Record:
        (kept,) = [r async for r in run_once(loaded_before.journeys, loaded_before.settings, "memory:")]
        return kept

    record = asyncio.run(story())

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.MISSING_SECRET)


def test_neither_token_nor_password_is_kept_anywhere(shop: Shop, tmp_path: Path) -> None:
    records = run(tmp_path, times=2)

    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if "store" in file.name) + repr(records).encode()
    with sqlite3.connect(tmp_path / "store-journal.db") as journal:
        kept += repr(journal.execute("select * from sqlite_master").fetchall()).encode()
    assert b"7" in kept
    assert TOKEN.encode() not in kept
    assert b"correct-horse" not in kept
