"""A clause is added to a probe, and nothing else of it changes."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest

from synthmon.core.errors import Place
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
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

    with pytest.raises(Unpatchable, match=r"probe\.yaml:2:1 .*by hand:\n  events:\n    credits:\n      from: logs"):
        with_clause("probe.yaml", text, "signup", GUARD, EVENTS, "note")


def test_a_journey_that_is_not_there_is_told() -> None:
    with pytest.raises(Unpatchable, match="no journey other"):
        with_clause("probe.yaml", WHOLE, "other", GUARD, {}, "note")


def test_a_file_that_is_no_yaml_is_told() -> None:
    with pytest.raises(Unpatchable, match=r"probe\.yaml:2:1 YAML cannot"):
        with_clause("probe.yaml", "journey: [", "signup", GUARD, {}, "note")


HEAD = "journey: signup\nsteps:\n  - id: a\n    http: GET /\n"
ODD = {
    "comments between and behind": WHOLE,
    "carriage returns": WHOLE.replace("\n", "\r\n"),
    "lone carriage returns": WHOLE.replace("\n", "\r"),
    "mixed line ends": WHOLE.replace("steps:\n", "steps:\r\n"),
    "a byte order mark": "\ufeff" + WHOLE,
    "tabs in comments": WHOLE.replace("# ", "#\t").replace("   #", "\t#"),
    "spaces at ends": WHOLE.replace("\n", "  \n"),
    "letters of the world": WHOLE.replace("# its name", "# Größe 日本 🙂").replace(
        "signup\n    http", "größe\n    http"
    ),
    "line separators in a comment": WHOLE.replace("# one mail", "# one\u2028# mail\x85# two"),
    "no newline at the end": WHOLE.rstrip(),
    "no newline after a list": WHOLE[: WHOLE.index("\n\n  # stay")],
    "a whole document indented": "".join(f"  {line}\n" for line in WHOLE.splitlines()),
    "no verify, indented": "".join(f"    {line}\n" for line in HEAD.splitlines()),
    "a block text that ends like a comment": f"{HEAD}verify:\n  expect:\n    - |\n      size(x) > 0\n      # not one\n",
    "a block text before the end": f"{HEAD}verify:\n  expect:\n    - >-\n      a\n      # b\n  # c\n  settle: 2s\n",
    "a block text that keeps its end": f"{HEAD}verify:\n  expect:\n    - |+\n      a == 1\n\n\n",
    "a block text above": f"{HEAD}notes: |\n  ---\n  # no comment\nverify:\n  expect:\n    - a == 1\n",
    "quotes over lines": f"{HEAD}verify:\n  expect:\n    - 'a ==\n      # 1'\n",
    "an end of document": f"%YAML 1.2\n---\n{WHOLE}...\n",
    "an end before the next": f"---\n{WHOLE}...\n# between\n---\n# of the next\njourney: other\nsteps: []\n",
    "no comment between documents": f"{HEAD}---\njourney: other\n",
    "a flow document behind": f'{HEAD}--- {{"journey": "other"}}\n',
    "quoted keys": WHOLE.replace("verify:", '"verify":')
    .replace("expect:", "'expect':")
    .replace("events:", '"events" :'),
    "wide dashes": WHOLE.replace("- happens", "-   happens").replace(
        "      within: 5s after", "        within: 5s after"
    ),
    "a list at its key": f"{HEAD}verify:\n  expect:\n  - a == 1\n  # end\n",
    "anchors": WHOLE.replace("expect:\n", "expect: &all\n").replace("events:\n", "events: &those\n"),
    "a verify at the top": f"verify:\n  expect:\n    - a == 1\n# then\n{HEAD}",
    "events at the end": f"{HEAD}verify:\n  expect:\n    - a == 1\nevents:\n  profile: {{from: logs}}",
    "nothing but comments behind": f"{HEAD}# verify: later\n#\n\n# expect:\n",
    "clauses in braces": f"{HEAD}verify:\n  expect:\n    - {{happens: a}}\n    - {{once: a,\n      name: x}}\n",
}


def lines_kept(old: str, new: str) -> bool:
    """Whether every line of the old text is in the new one, byte by byte and in order; at its end one may begin."""
    rest = iter(new.splitlines(keepends=True))
    *most, last = old.splitlines(keepends=True)
    return all(any(line == there for there in rest) for line in most) and any(
        there.rstrip("\r\n") == last.rstrip("\r\n") for there in rest
    )


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_however_a_probe_is_written_it_is_the_same_with_the_clause(text: str) -> None:
    (before, *others), _ = read("probe.yaml", text)

    new, _ = added(text)

    (after, *kept), _ = read("probe.yaml", new)
    assert lines_kept(text, new)
    assert after.tree.pop("events")["credits"]["step"] == "credits-granted"
    assert after.tree["verify"].pop("expect")[:-1] == before.tree.get("verify", {}).get("expect", [])
    assert {**before.tree, "events": 0, "verify": 0} == {**after.tree, "events": 0, "verify": 0}
    assert [document.tree for document in kept] == [document.tree for document in others]


BY_HAND = {
    "a verify of nothing": f"{HEAD}verify:\n",
    "a verify in braces": f"{HEAD}verify: {{within: 5s}}\n",
    "an expect of nothing": f"{HEAD}verify:\n  expect:\n",
    "an expect in brackets": f"{HEAD}verify:\n  expect: [a == 1]\n",
    "an expect in brackets over lines": f"{HEAD}verify:\n  expect: [\n    a == 1\n  ]\n",
    "brackets in the next line": f"{HEAD}verify:\n  expect:\n    [a == 1,\n    b == 2]\n",
    "an expect that is a text": f"{HEAD}verify:\n  expect: a == 1\n",
    "a verify that is a list": f"{HEAD}verify:\n  - a == 1\n",
    "no events": f"{HEAD}events:\nverify:\n  expect:\n    - a == 1\n",
    "events that are a list": f"{HEAD}events:\n  - a\n",
    "all in braces": '{"journey": "signup", "steps": []}\n',
    "all in braces, one a line": '{\n"journey": "signup",\n"steps": [],\n"verify": {"expect": ["a"]}\n}\n',
    "a list shared with another place": f"{HEAD}vars:\n  x: &all\n    - a == 1\nverify:\n  expect: *all\n",
    "a list that another place shares": f"{HEAD}verify:\n  expect: &all\n    - a == 1\nvars:\n  x: *all\n",
    "a key with a question mark": f"{HEAD}verify:\n  ? expect\n  : - a == 1\n",
    "an event of that name": f"{HEAD}events:\n  credits: {{from: logs}}\nverify:\n  expect:\n    - a == 1\n",
}


@pytest.mark.parametrize("text", BY_HAND.values(), ids=BY_HAND)
def test_what_cannot_be_added_to_is_refused_with_all_that_is_to_be_added_by_hand(text: str) -> None:
    with pytest.raises(Unpatchable) as refused:
        with_clause("probe.yaml", text, "signup", GUARD, EVENTS, "note")

    said, _, by_hand = str(refused.value).partition("by hand:\n")
    assert said.startswith("probe.yaml:")
    (document,), problems = read("by hand", by_hand)
    assert not problems
    assert document.tree["events"]["credits"]["step"] == "credits-granted"
    assert document.tree["verify"]["expect"][0]["name"] == "profile-first"


ROOT = Path(__file__).parents[2]
UNUSED = {"zz_credits": EventSpec("zz_credits", "logs", {"step": "credits-granted"})}
SHIPPED = sorted([*ROOT.glob("probes/**/*.yaml"), *ROOT.glob("tests/language/good/**/*.yaml")])


@pytest.mark.parametrize("file", [file for file in SHIPPED if "journey:" in file.read_text()], ids=lambda f: f.name)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_every_journey_that_loads_can_be_added_to(file: Path, line_end: str) -> None:
    text = file.read_text().replace("\n", line_end)
    documents, _ = read(str(file), text)

    for nth, document in enumerate(documents):
        if "journey" not in document.tree:
            continue
        new = with_clause(str(file), text, document.tree["journey"], GUARD, UNUSED, "note")
        then = [json.loads(json.dumps(one.tree)) for one in read(str(file), new)[0]]

        assert lines_kept(text, new)
        assert then[nth]["verify"]["expect"].pop()["name"] == "profile-first"
        assert then[nth]["events"].pop("zz_credits")["from"] == "logs"
        old = json.loads(json.dumps([one.tree for one in documents]))
        old[nth] |= {"events": old[nth].get("events", {}), "verify": old[nth].get("verify", {"expect": []})}
        assert then == old
