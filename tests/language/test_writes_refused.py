"""Wherever a write may stand in a journey, it is refused unless the settings and the journey both answer for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.language.load import load

WRITES = ["POST", "PUT", "PATCH", "DELETE"]
SETTINGS: dict[str, Any] = {
    "systems": {
        "shop": {"base": "https://shop.example.com", "writes": True},
        "ledger": {"base": "https://ledger.example.com"},
        "graph": {"base": "https://graph.example.com", "writes": ["POST /graphql", "DELETE /orders/*"]},
    }
}
REFUSALS = {"write-not-allowed", "write-without-undo", "look-writes", "http-method"}
paths = st.sampled_from(["/orders", "/orders/1", "/graphql", "/a/b?c=d", "/${run.id}"])
verbs = st.sampled_from(WRITES)
systems = st.sampled_from(["shop", "ledger", "graph"])


def read(**more: Any) -> dict[str, Any]:
    return {"http": "GET /orders", "expect": ["status == 200"], **more}


def kept(write: dict[str, Any]) -> dict[str, Any]:
    """A good write that is taken back, around what is under test."""
    return {
        "id": "made",
        "http": "POST /graphql",
        "expect": ["status == 201"],
        "save": {"id": "body.id"},
        "repeatable": True,
        "undo": {"http": "DELETE /orders/${made.id}", **write},
    }


@st.composite
def places(draw: st.DrawFn, step: dict[str, Any]) -> dict[str, Any]:
    """A journey in which a step stands somewhere, and the files that it calls."""
    place = draw(st.sampled_from(["steps", "together", "call", "together in call", "last", "tenth"]))
    called = {"steps": [{"id": "inner", **step}]}
    match place:
        case "steps":
            return {"steps": [step], "parts": {}}
        case "together":
            return {"steps": [{"together": [read(), step]}], "parts": {}}
        case "call":
            return {"steps": [{"id": "made", "call": "parts/part.yaml"}], "parts": {"part": called}}
        case "together in call":
            both = {"steps": [{"together": [read(), {"id": "inner", **step}]}]}
            return {"steps": [{"id": "made", "call": "parts/part.yaml"}], "parts": {"part": both}}
        case "last":
            return {"steps": [read(), step], "parts": {}}
    return {"steps": [*(read() for _ in range(9)), step], "parts": {}}


@st.composite
def unanswered(draw: st.DrawFn) -> dict[str, Any]:
    """A journey with a write that nobody answers for: what is missing is one of many things."""
    verb, path, system = draw(verbs), draw(paths), draw(systems)
    step: dict[str, Any] = {"http": f"{verb} {path}", "expect": ["status < 300"]}
    step |= draw(st.sampled_from([{}, {"json": {"a": 1}}, {"body": "x"}, {"form": {"a": "b"}}]))
    step |= draw(
        st.sampled_from([{}, {"when": "run.attempt == 1"}, {"timeout": "3s"}, {"blame": {"psp": "status == 502"}}])
    )
    step |= draw(st.sampled_from([{}, {"retry": {"times": 1, "on": ["5xx"]}}, {"within": "5s"}, {"repeatable": True}]))
    answered = draw(st.sampled_from([{}, {"leaves": "nothing"}, {"leaves": "a row"}]))
    if answered and not _refused_by(system, verb, path):
        system = "ledger"
    journey = draw(places({**step, **answered}))
    return {"system": system, **journey}


def _refused_by(system: str, verb: str, path: str) -> bool:
    match system:
        case "shop":
            return False
        case "graph":
            return (verb, path) not in (("POST", "/graphql"), ("DELETE", "/orders/1"))
    return True


@settings(max_examples=250, deadline=None)
@given(unanswered())
def test_a_write_that_nobody_answers_for_is_refused_wherever_it_stands(journey: dict[str, Any]) -> None:
    codes, loaded = told_of(journey)

    assert codes & REFUSALS, codes
    assert loaded == set()


@settings(max_examples=60, deadline=None)
@given(verbs, paths, st.sampled_from(["find", "gone"]), systems)
def test_a_look_never_writes(verb: str, path: str, look: str, system: str) -> None:
    looking: dict[str, Any] = {"http": f"{verb} {path}", "expect": ["status == 404"]}
    if look == "find":
        looking = {"http": f"{verb} {path}", "save": {"id": "body.id"}}

    codes, loaded = told_of({"system": system, "steps": [kept({look: looking})], "parts": {}})

    assert "look-writes" in codes
    assert loaded == set()


@settings(max_examples=60, deadline=None)
@given(verbs, st.sampled_from(["ledger", "graph"]), st.booleans())
def test_an_undo_is_a_write_like_any_other(verb: str, system: str, elsewhere: bool) -> None:
    undo = {"undo": {"http": f"{verb} /elsewhere/1", "gone": "unchecked"}}
    step = {"http": "POST /graphql", "expect": ["status == 201"], "repeatable": True, **undo}
    journey: dict[str, Any] = {"system": system, "steps": [{"id": "made", **step}], "parts": {}}
    if elsewhere:
        journey = {
            "system": system,
            "steps": [{"id": "c", "call": "parts/part.yaml"}],
            "parts": {"part": {"steps": [step]}},
        }

    codes, loaded = told_of(journey)

    assert "write-not-allowed" in codes
    assert loaded == set()


@settings(max_examples=60, deadline=None)
@given(verbs, paths, st.sampled_from(["ledger", "shop"]), st.sampled_from(["", "run", "identity"]))
def test_a_login_writes_as_little_as_a_step(verb: str, path: str, system: str, per: str) -> None:
    login: dict[str, Any] = {
        "id": "token",
        "http": f"{verb} {path}",
        "expect": ["status == 200"],
        "save": {"value": "body.t"},
    }
    if system == "ledger":
        login["leaves"] = "nothing"
    session = {"call": "parts/login.yaml", "system": system, "headers": {"Authorization": "Bearer ${token.value}"}}

    codes, loaded = told_of(
        {"system": system, "auth": "login", "steps": [read()], "parts": {"login": {"steps": [login]}}},
        sessions={"login": session | ({"per": per} if per == "identity" else {})},
    )

    assert codes & {"write-not-allowed", "write-without-undo"}, codes
    assert loaded == set()


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override", "X-Original-URL"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_header_makes_no_write_of_a_read(header: str, verb: str) -> None:
    step = {"http": f"{verb} /graphql", "headers": {header: "DELETE"}, "expect": ["status == 200"]}
    step |= {"leaves": "nothing"} if verb == "POST" else {}

    codes, loaded = told_of({"system": "graph", "steps": [step], "parts": {}})

    assert "http-header" in codes
    assert loaded == set()


@pytest.mark.parametrize(
    "verb", ["post", "Delete", "pUT", "patch", "POST\t", "MERGE", "PROPFIND", "LINK", "CONNECT", "PURGE"]
)
def test_a_method_is_one_that_is_known_and_in_capitals(verb: str) -> None:
    codes, loaded = told_of(
        {"system": "ledger", "steps": [{"http": f"{verb} /orders", "expect": ["status == 200"]}], "parts": {}}
    )

    assert codes & REFUSALS
    assert loaded == set()


@pytest.mark.parametrize(
    ("system", "step"),
    [
        ("shop", kept({"gone": "unchecked"})),
        ("graph", kept({"gone": "unchecked"})),
        ("graph", {"http": "POST /graphql", "leaves": "nothing", "expect": ["status == 200"]}),
        ("shop", {"http": "DELETE /orders/1", "leaves": "nothing", "expect": ["status == 204"]}),
        ("ledger", read()),
    ],
)
def test_a_write_that_somebody_answers_for_is_taken(system: str, step: dict[str, Any]) -> None:
    """That the tests above do not refuse everything."""
    codes, loaded = told_of({"system": system, "steps": [step], "parts": {}})

    assert not codes & REFUSALS
    assert loaded == {"generated"}


def told_of(
    journey: dict[str, Any], sessions: dict[str, Any] | None = None, systems: dict[str, Any] | None = None
) -> tuple[set[str], set[str]]:
    """The codes of what is said, and the names of the journeys that would run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "parts").mkdir()
        for part, content in journey["parts"].items():
            (folder / "parts" / f"{part}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        whole = {"journey": "generated", "every": "1m"} | {k: v for k, v in journey.items() if k != "parts"}
        (folder / "generated.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        said = {"systems": systems or SETTINGS["systems"]} | ({"sessions": sessions} if sessions else {})
        (folder / "synthmon.yaml").write_text(yaml.safe_dump(said))
        loaded = load([folder / "generated.yaml"], [folder / "synthmon.yaml"], environ={})
    return {problem.code for problem in loaded.problems}, {each.name for each in loaded.journeys}


def test_a_system_whose_login_is_at_fault_is_not_asked_without_it() -> None:
    login = {"id": "token", "http": "POST /token", "expect": ["status == 200"], "save": {"value": "body.t"}}
    session = {"call": "parts/login.yaml", "system": "shop", "headers": {"Authorization": "Bearer ${token.value}"}}
    systems = {"shop": {"base": "https://shop.example.com", "writes": True, "auth": "login"}}

    codes, loaded = told_of(
        {"system": "shop", "steps": [read()], "parts": {"login": {"steps": [login]}}},
        sessions={"login": session},
        systems=systems,
    )

    assert {"write-without-undo", "unknown-session"} <= codes
    assert loaded == set()
