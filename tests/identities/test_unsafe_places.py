"""Wherever a probe can hold a value that may be somebody's, it is stopped before a socket opens."""

import asyncio
import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug import Request, Response

from synthmon.cli.main import app
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.language.load import load
from synthmon.runtime.living import find_living
from synthmon.runtime.once import run_once

LIVE = {
    "card number": "4000 0000 0000 0010",
    "e-mail address": "anna@gmail.com",
    "phone number": "+44 20 7123 4567",
    "bank account": "DE89370400440532013000",
    "social security number": "123-45-6789",
    "API key": "sk_" + "live_51H8xYzAbCdEfGhIj",
}
HEAD = "journey: j\nevery: 1m\nsystem: shop\n"
STEP = "steps:\n  - http: POST /x\n    leaves: nothing\n    expect: [status == 200]\n"
PLACES = {
    "vars": HEAD + "vars:\n  who: 'LIVE'\n" + STEP,
    "cases": HEAD + "cases:\n  one: {who: 'LIVE'}\n" + STEP,
    "json": HEAD + STEP + "    json: {a: [{who: 'x LIVE'}]}\n",
    "json key": HEAD + STEP + "    json: {'LIVE': 1}\n",
    "form": HEAD + STEP + "    form: {who: 'LIVE'}\n",
    "body": HEAD + STEP + "    body: 'who=LIVE'\n",
    "params": HEAD + STEP.replace("POST", "GET").replace("    leaves: nothing\n", "") + "    params: {who: 'LIVE'}\n",
    "headers": HEAD + STEP + "    headers: {X-Who: 'LIVE'}\n",
    "url": HEAD + STEP.replace("POST /x", "'POST /x?who=LIVE'"),
    "expression": HEAD + STEP + "    json: {who: '${\"LIVE\" + run.id}'}\n",
    "undo": HEAD
    + STEP.replace("    leaves: nothing\n", "    undo: {http: 'DELETE /x', ttl: 1h, json: {who: 'LIVE'}}\n"),
    "called": HEAD + "steps:\n  - call: called.yaml\n",
    "with": HEAD + "steps:\n  - call: plain.yaml\n    with: {who: 'LIVE'}\n",
    "case file": HEAD + "cases: {file: cases.yaml}\n" + STEP,
    "body file": HEAD + STEP + "    body: {file: body.txt}\n",
    "form file": HEAD + STEP + "    form: {doc: {file: body.txt}}\n",
}


@pytest.fixture
def folder(tmp_path: Path, httpserver: HTTPServer) -> Path:
    base = httpserver.url_for("").rstrip("/")
    (tmp_path / "synthmon.yaml").write_text(f'systems: {{shop: {{base: "{base}", writes: true}}}}\n')
    (tmp_path / "plain.yaml").write_text(STEP + '    json: {who: "${vars.who}"}\n')
    return tmp_path


def write(folder: Path, probe: str, live: str) -> Path:
    (folder / "called.yaml").write_text(STEP + f"    json: {{who: '{live}'}}\n")
    (folder / "cases.yaml").write_text(f"one: {{who: '{live}'}}\n")
    (folder / "body.txt").write_text(f"a line\nwho: {live}\n")
    (folder / "probe.yaml").write_text(probe.replace("LIVE", live))
    return folder / "probe.yaml"


@pytest.mark.parametrize("kind", LIVE)
@pytest.mark.parametrize("place", PLACES)
def test_a_live_looking_value_is_told_wherever_it_stands(folder: Path, place: str, kind: str) -> None:
    probe = write(folder, PLACES[place], LIVE[kind])

    loaded = load([probe], [folder / "synthmon.yaml"])

    told = [problem for problem in loaded.errors if problem.code == "unsafe-literal"]
    assert told, loaded.problems
    assert all(kind in problem.fault for problem in told)
    assert not any(LIVE[kind] in str(problem) for problem in told)
    assert not loaded.journeys


@pytest.mark.parametrize("place", PLACES)
def test_the_same_places_hold_what_is_nobodys(folder: Path, place: str) -> None:
    probe = write(folder, PLACES[place], "4242 4242 4242 4242 anna@example.com")

    assert [problem.code for problem in load([probe], [folder / "synthmon.yaml"]).errors] == []


def test_a_key_in_the_headers_of_a_session_or_of_every_request_is_told(folder: Path) -> None:
    settings = folder / "synthmon.yaml"
    (folder / "login.yaml").write_text(STEP + "    id: t\n    save: {v: body.v}\n")
    settings.write_text(
        settings.read_text() + f"propagation: {{headers: {{X-Key: '{LIVE['API key']}'}}}}\n"
        f"sessions:\n  s: {{call: login.yaml, system: shop, headers: {{Authorization: 'Bearer {LIVE['API key']}'}}}}\n"
    )

    told = [problem for problem in load([], [settings]).errors if problem.code == "unsafe-literal"]

    places = sorted(problem.place.path for problem in told)
    assert places == ["propagation.headers.X-Key", "sessions.s.headers.Authorization"]


@pytest.mark.parametrize("kind", LIVE)
def test_the_run_is_refused_before_the_target_hears_anything(folder: Path, httpserver: HTTPServer, kind: str) -> None:
    probe = write(folder, PLACES["json"], LIVE[kind])

    done = CliRunner().invoke(
        app, ["run", str(probe), "--settings", str(folder / "synthmon.yaml"), "--store", "memory:"]
    )

    assert done.exit_code == 3
    assert "unsafe-literal" in done.output
    assert not httpserver.log


# what exists only at run time ---------------------------------------------------------------------------------------


COMPUTED = {
    "put together in vars": ("vars: {who: \"${'anna' + '@' + 'gmail.com'}\"}\n", 'json: {who: "${vars.who}"}'),
    "of a case": ("cases: {one: {user: anna, host: gmail.com}}\n", 'json: {who: "${case.user}@${case.host}"}'),
    "in the query": ("", "params: {who: \"${'anna' + '@' + 'gmail.com'}\"}"),
    "in a form": ("", "form: {who: \"${'anna' + '@' + 'gmail.com'}\"}"),
    "in a header": ("", "headers: {X-Who: \"${'4000 0000 ' + '0000 0010'}\"}"),
}


def run(folder: Path, settings: str = "") -> Record:
    if settings:
        with (folder / "synthmon.yaml").open("a") as file:
            file.write(settings)
    loaded = load([folder / "probe.yaml"], [folder / "synthmon.yaml"])
    assert not loaded.errors, "\n".join(map(str, loaded.errors))

    async def story() -> Record:
        (record,) = [record async for record in run_once(loaded.journeys, loaded.settings, "memory:")]
        return record

    return asyncio.run(story())


@pytest.mark.parametrize("way", COMPUTED)
def test_a_value_that_a_run_puts_together_does_not_leave(folder: Path, httpserver: HTTPServer, way: str) -> None:
    head, carried = COMPUTED[way]
    (folder / "probe.yaml").write_text(HEAD + head + STEP + f"    {carried}\n")

    record = run(folder)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.UNSAFE_VALUE)
    assert "looks like a live" in record.message
    assert "anna@gmail.com" not in record.message
    assert not httpserver.log


def test_what_the_target_gave_may_go_back_to_it(folder: Path, httpserver: HTTPServer) -> None:
    def answer(request: Request) -> Response:
        return Response(json.dumps({"mail": "anna@gmail.com"}), 200, content_type="application/json")

    httpserver.expect_request("/me").respond_with_handler(answer)
    httpserver.expect_request("/x", method="POST").respond_with_handler(answer)
    (folder / "probe.yaml").write_text(
        HEAD + "steps:\n  - id: me\n    http: GET /me\n    expect: [status == 200]\n    save: {mail: body.mail}\n"
        '  - http: POST /x\n    leaves: nothing\n    json: {mail: "${me.mail}"}\n    expect: [status == 200]\n'
    )

    record = run(folder)

    assert (record.outcome, record.message) == (Outcome.PASSED, "")


def test_a_test_account_may_use_its_own_address(folder: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/x", method="POST").respond_with_data("{}", content_type="application/json")
    (folder / "clerks.yaml").write_text("- {name: clerk-1, email: clerk@real-shop.eu}\n")
    (folder / "probe.yaml").write_text(HEAD + "identity: clerk\n" + STEP + '    json: {mail: "${identity.email}"}\n')

    record = run(folder, "identities: {clerk: {accounts: clerks.yaml}}\n")

    assert (record.outcome, record.message) == (Outcome.PASSED, "")


def test_a_percent_encoded_value_is_found_and_a_secret_is_not_looked_into() -> None:
    assert "e-mail" in find_living(("https://x/?who=anna%40gmail.com",), (), dict)
    assert find_living(("\ue000secret.anna@gmail.com\ue001",), (), dict) == ""
    assert find_living((b'{"a": 1}', {"k": ["v"]}), (), dict) == ""
    assert "card" in find_living({"k": ["4000 0000 0000 0010"]}, (), dict)


def test_names_are_asked_for_only_when_something_was_found() -> None:
    def never() -> dict[str, str]:
        raise AssertionError("asked")

    assert find_living("anna@example.com", (), never) == ""
