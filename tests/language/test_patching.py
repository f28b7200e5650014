"""A clause is added to a probe, and nothing else of it changes."""

from __future__ import annotations

import difflib

import pytest

from synthmon.core.clauses import Clause, EventSpec, Word
from synthmon.core.errors import Place
from synthmon.language.documents import read
from synthmon.language.patching import Unpatchable, with_clause

GUARD = Clause(Word.BEFORE, ("profile", "credits"), Place("guardrail"), "profile-first")
EVENTS = {"credits": EventSpec("credits", "logs", {"step": "credits-granted", "status": "ok"})}

WHOLE = """\
# a probe
journey: signup   # its name
every: 1m
events:
  profile: {from: logs, step: profile-created}

  # the last one
  welcome: {from: logs, step: welcome-sent}
# the steps
steps:
  - id: signup
    http: GET /signups

verify:
  within: 5s
  expect:
    - happens: profile
      within: 5s after signup

    - once: welcome   # one mail

  # stay a little
  settle: 2s
# the end
"""


def added(text: str, journey: str = "signup", events: object = EVENTS) -> tuple[str, list[str]]:
    """The new text, and the lines that are new; fails when a line of the old one is gone."""
    new = with_clause("probe.yaml", text, journey, GUARD, events, "Guardrail: for run 1")  # type: ignore[arg-type]
    changes = list(difflib.ndiff(text.splitlines(), new.splitlines()))
    assert not [line for line in changes if line.startswith("- ")]
    documents, problems = read("probe.yaml", new)
    assert not problems
    tree = next(document.tree for document in documents if document.tree["journey"] == journey)
    assert tree["verify"]["expect"][-1] == {"name": "profile-first", "before": ["profile", "credits"]}
    if events:
        assert tree["events"]["credits"] == {"from": "logs", "step": "credits-granted", "status": "ok"}
    return new, [line[2:] for line in changes if line.startswith("+ ")]


def test_the_clause_follows_the_last_one_and_the_event_the_last_event() -> None:
    new, lines = added(WHOLE)

    assert "      within: 5s after signup\n" in new
    assert lines == [
        "  credits:",
        "    from: logs",
        "    step: credits-granted",
        "    status: ok",
        "    # Guardrail: for run 1",
        "    - name: profile-first",
        "      before:",
        "        - profile",
        "        - credits",
    ]
    assert new.index("credits:") < new.index("# the steps")
    assert new.index("one mail") < new.index("# Guardrail") < new.index("# stay a little")


def test_a_probe_without_events_gets_them_above_verify() -> None:
    text = (
        "journey: signup\nsteps:\n  - id: a\n    http: GET /\n# what holds\nverify:\n  expect:\n  - size(vars.a) > 0\n"
    )

    new, _ = added(text)

    assert new.index("http: GET /") < new.index("events:") < new.index("# what holds") < new.index("verify:")


@pytest.mark.parametrize("end", ["", "\n", "\n\n# bye\n"])
def test_a_probe_without_verify_gets_one_at_its_end(end: str) -> None:
    new, _ = added(f"journey: signup\nsteps:\n  - id: a\n    http: GET /{end}")

    assert new.index("http: GET /") < new.index("events:") < new.index("verify:")


def test_a_verify_without_expect_gets_one() -> None:
    added("journey: signup\nsteps:\n  - id: a\n    http: GET /\nverify:\n  settle: 2s\n")


@pytest.mark.parametrize("which", ["signup", "other"])
def test_of_several_documents_the_right_one_is_changed(which: str) -> None:
    other = WHOLE.replace("journey: signup", "journey: other")

    new, _ = added(f"{WHOLE}---\n{other}", which)

    first, second = new.split("---\n")
    assert (first == WHOLE, second == other) == (which == "other", which == "signup")


def test_an_event_that_is_there_is_not_written_again() -> None:
    _, lines = added(WHOLE, events={})

    assert len(lines) == 5


@pytest.mark.parametrize("part", ["events: {profile: {from: logs, step: profile-created}}", "events: {\n  a: 1}"])
def test_what_is_written_in_braces_is_told_with_what_to_add_by_hand(part: str) -> None:
    text = f"journey: signup\n{part}\nsteps:\n  - id: a\n    http: GET /\n"

    with pytest.raises(Unpatchable, match=r"probe\.yaml:2:1 .*by hand:\n  credits:\n    from: logs"):
        with_clause("probe.yaml", text, "signup", GUARD, EVENTS, "note")


def test_a_journey_that_is_not_there_is_told() -> None:
    with pytest.raises(Unpatchable, match="no journey other"):
        with_clause("probe.yaml", WHOLE, "other", GUARD, {}, "note")


def test_a_file_that_is_no_yaml_is_told() -> None:
    with pytest.raises(Unpatchable, match=r"probe\.yaml:2:1 YAML cannot"):
        with_clause("probe.yaml", "journey: [", "signup", GUARD, {}, "note")
