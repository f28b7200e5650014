"""The password of a test account: sent to the target, and shown, kept and compared nowhere."""

import asyncio
import base64
import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.secrets import MASK
from synthmon.identities.credentials import looks_secret, secret_name
from synthmon.language.load import Loaded, load
from synthmon.language.settings import Accounts
from synthmon.runtime.once import run_once

BY_ENV, BY_FILE, AS_IT_IS = "from-the-environment-1", "from-a-file-of-its-own-2", "written-into-the-file-3"
PROBE = """
journey: login
every: 1m
system: shop
identity: clerk
steps:
  - id: order
    http: POST /orders
    headers:
      Authorization: ${basic(identity.name, identity.password)}
      X-Api-Key: "key ${identity.apiKey}"
      X-Pass: "${identity.pass_file}"
    json: {who: "${identity.name}"}
    expect:
      - status == 201
      - body.who == identity.name
    save:
      id: body.id
    undo:
      http: DELETE /orders/${order.id}
      headers: {Authorization: "${basic(identity.name, identity.password)}"}
      ttl: 1h
"""


class Shop:
    """Tells everything that it was told, so that a leak would show."""

    def __init__(self, server: HTTPServer) -> None:
        self.base = server.url_for("").rstrip("/")
        self.seen: list[dict[str, str]] = []
        server.expect_request("/orders", method="POST").respond_with_handler(self.make)
        server.expect_request("/orders/7", method="DELETE").respond_with_handler(self.remove)

    def make(self, request: Request) -> Response:
        self.seen.append(dict(request.headers))
        told = {"id": 7, "who": (request.json or {})["who"], "echo": dict(request.headers)}
        return Response(json.dumps(told), 201, content_type="application/json")

    def remove(self, request: Request) -> Response:
        self.seen.append(dict(request.headers))
        return Response(status=204 if len(self.seen) == 2 else 404)


@pytest.fixture
def shop(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(httpserver)
    monkeypatch.setenv("CLERK_1_PASSWORD", BY_ENV)
    (tmp_path / "pass.txt").write_text(f"{BY_FILE}\n")
    (tmp_path / "probe.yaml").write_text(PROBE)
    (tmp_path / "clerks.yaml").write_text(
        f'- {{name: clerk 1, password: "env:CLERK_1_PASSWORD", apiKey: {AS_IT_IS},'
        f' pass_file: "file:{tmp_path / "pass.txt"}", team: blue}}\n'
    )
    (tmp_path / "synthmon.yaml").write_text(f"""
systems: {{shop: {{base: "{made.base}", writes: true}}}}
identities: {{clerk: {{accounts: clerks.yaml}}}}
""")
    return made


def loaded(tmp_path: Path) -> Loaded:
    return load([tmp_path / "probe.yaml"], [tmp_path / "synthmon.yaml"])


def run(tmp_path: Path) -> Record:
    got = loaded(tmp_path)
    assert not got.errors, "\n".join(map(str, got.errors))

    async def story() -> Record:
        store = f"sqlite:///{tmp_path / 'store.db'}"
        (record,) = [record async for record in run_once(got.journeys, got.settings, store)]
        return record

    return asyncio.run(story())


def said(got: Loaded) -> list[str]:
    return [f"{Path(problem.place.file).name} {problem.code}" for problem in got.errors]


def test_the_secrets_of_an_account_reach_the_target_and_nothing_else(shop: Shop, tmp_path: Path) -> None:
    record = run(tmp_path)

    basic = "Basic " + base64.b64encode(f"clerk 1:{BY_ENV}".encode()).decode()
    assert [(seen["Authorization"], seen.get("X-Api-Key"), seen.get("X-Pass")) for seen in shop.seen[:2]] == [
        (basic, f"key {AS_IT_IS}", BY_FILE),
        (basic, None, None),
    ]
    assert record.outcome is Outcome.PASSED, record.message
    assert dict(record.identity) == {
        "name": "clerk 1", "password": MASK, "apiKey": MASK, "pass_file": MASK, "team": "blue"
    }  # fmt: skip
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*")) + repr(record).encode()
    for secret in (BY_ENV, BY_FILE, AS_IT_IS, basic.removeprefix("Basic ")):
        assert secret.encode() not in kept
    assert b"clerk 1" in kept


def test_a_check_cannot_look_at_the_password_of_an_account(shop: Shop, tmp_path: Path) -> None:
    text = PROBE.replace("body.who == identity.name", 'identity.password != ""')
    (tmp_path / "probe.yaml").write_text(text)

    got = loaded(tmp_path)

    assert said(got) == ["probe.yaml secret-misuse"]
    assert "`identity.password` is a secret" in got.errors[0].fault


@pytest.mark.parametrize("wrong", ["save: {p: identity.password}", 'when: identity.password == "x"'])
def test_neither_save_nor_when_can(shop: Shop, tmp_path: Path, wrong: str) -> None:
    (tmp_path / "probe.yaml").write_text(PROBE.replace("save:\n      id: body.id", wrong).partition("    undo:")[0])

    assert "probe.yaml secret-misuse" in said(loaded(tmp_path))


def test_a_called_file_and_verify_cannot_either(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "called.yaml").write_text(
        "steps:\n  - http: GET /x\n    expect: ['identity.password == \"x\"', status == 200]\n"
    )
    (tmp_path / "probe.yaml").write_text(
        "journey: login\nevery: 1m\nsystem: shop\nidentity: clerk\nsteps:\n  - call: called.yaml\n"
        "verify:\n  expect: ['identity.apiKey == \"x\"']\n"
    )

    assert sorted(said(loaded(tmp_path))) == ["called.yaml secret-misuse", "probe.yaml secret-misuse"]


def test_a_password_that_cannot_be_read_is_our_fault(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLERK_1_PASSWORD")

    record = run(tmp_path)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.MISSING_SECRET)
    assert not shop.seen


def test_a_written_password_is_sealed_and_a_short_one_refused(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "clerks.yaml").write_text("- {name: a, password: short, apiKey: long-enough-1, pass_file: x2345678}\n")

    got = loaded(tmp_path)

    assert said(got) == ["clerks.yaml short-secret"]
    assert got.errors[0].place.line == 1
    assert "short," not in str(got.errors[0])
    source = got.settings.identities["clerk"]
    assert isinstance(source, Accounts)
    assert source.sealed == {"password", "apiKey", "pass_file"}
    assert "long-enough-1" not in repr(got.settings)


def test_two_accounts_of_one_name_are_told_when_the_file_is_loaded(shop: Shop, tmp_path: Path) -> None:
    row = "- {name: a, password: long-enough-1, apiKey: long-enough-1, pass_file: x2345678}\n"
    (tmp_path / "clerks.yaml").write_text(row * 2)

    got = loaded(tmp_path)

    assert said(got) == ["clerks.yaml bad-accounts"]
    assert "two runs would share a login" in got.errors[0].fault


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("4000000000000010", True), ("GB29NWBK60161331926819", True), ("sk_" + "live_51H8xYzAbCdEfGhIj", True),
        ("clerk@shop.eu", False), ("+442071234567", False), ("4242424242424242", False),
    ],
)  # fmt: skip
def test_an_account_may_have_its_own_address_and_no_live_card(
    shop: Shop, tmp_path: Path, value: str, told: bool
) -> None:
    row = f'- {{name: "a", password: long-enough-1, apiKey: long-enough-1, pass_file: x2345678, other: "{value}"}}\n'
    (tmp_path / "clerks.yaml").write_text(row)

    assert said(loaded(tmp_path)) == (["clerks.yaml unsafe-literal"] if told else [])


@pytest.mark.parametrize(
    "key",
    ["password", "Password", "db_password", "passwd", "pwd", "secret", "clientSecret", "client-secret", "token",
     "accessToken", "token_2", "api_key", "apiKey", "API_KEY", "x.api.key", "private_key", "credentials", "otp",
     "totp_seed", "authorization", "session_cookie"],
)  # fmt: skip
def test_a_key_that_looks_like_a_credential_is_secret(key: str) -> None:
    assert looks_secret(key)


@pytest.mark.parametrize(
    "key",
    ["name", "email", "username", "customer_id", "pin", "keyboard", "secretary", "tokenised", "monkey", "compass"],
)
def test_other_keys_are_not(key: str) -> None:
    assert not looks_secret(key)


def test_the_name_of_a_secret_has_no_space_and_is_no_other_account() -> None:
    assert secret_name("clerk", "a b", "password") == "clerk/a%20b/password"
    assert secret_name("clerk", "a/b", "c") != secret_name("clerk", "a", "b/c")
