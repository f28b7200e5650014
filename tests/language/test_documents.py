"""YAML without its traps: what looks like text is text, and nothing but a problem comes of a bad file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.language.documents import LARGEST_BYTES, MOST_DOCUMENTS, read
from synthmon.language.load import load
from tests.language.yaml_bombs import BOMBS


def test_scalars_follow_the_core_schema_of_yaml_1_2() -> None:
    texts = "on: on, no: NO, yes: yes, t: 12:30:45, d: 2026-01-01, u: 1_000, b: 0b1, s: '1'"
    text = f"{{{texts}, o: 0o17, x: 0x1F, f: 1.50, e: 1e3, n: ~}}"

    (document,), problems = read("f.yaml", text)

    assert problems == ()
    assert document.tree == {
        "on": "on", "no": "NO", "yes": "yes", "t": "12:30:45", "d": "2026-01-01", "u": "1_000", "o": 15, "x": 31,
        "b": "0b1", "f": 1.5, "e": 1000.0, "n": None, "s": "1",
    }  # fmt: skip


def test_a_number_with_zeros_in_front_is_read_and_warned_about() -> None:
    (document,), (problem,) = read("f.yaml", "branch: 017\n")

    assert document.tree == {"branch": 17}
    assert (problem.code, problem.level) == ("digits-lost", "warning")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('a: "x\\u0041y ${foo} z"', "plain"),
        ("a: 'it''s ${foo}'", "quoted"),
        ("a: plain\n  folded ${foo}", "folded plain"),
        ("a: |\n  line one\n    ${foo} x", "literal"),
        ("a: >\n  folded\n  here ${foo}", "folded"),
        ('a: "a\\\n  b ${foo}"', "broken line"),
        ("a: é ${foo}", "not ASCII"),
        ("a: |\n\n\n  x\n\n  y ${foo}", "empty lines"),
    ],
)
def test_a_place_inside_a_text_is_counted_as_written(written: str, value: str) -> None:
    (document,), _ = read("f.yaml", written)

    place = document.marks.inside(("a",), document.tree["a"].index("foo"))

    assert written.split("\n")[place.line - 1][place.column - 1 :].startswith("foo"), value


def test_each_document_of_a_file_is_one_of_its_own() -> None:
    documents, problems = read("f.yaml", "a: 1\n---\nb: 2\n--- \n# nothing\n")

    assert problems == ()
    assert [(document.tree, document.text) for document in documents] == [
        ({"a": 1}, "a: 1\n"),
        ({"b": 2}, "---\nb: 2\n"),
    ]


def test_an_alias_stands_for_its_anchor() -> None:
    (document,), problems = read("f.yaml", "a: &x {k: v}\nb: *x\n")

    assert problems == ()
    assert document.tree == {"a": {"k": "v"}, "b": {"k": "v"}}
    assert document.marks.value(("b", "k")).line == 1


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_a_place_and_a_remedy(name: str) -> None:
    documents, problems = read("bomb.yaml", BOMBS[name])

    assert documents == ()
    assert problems
    assert all(p.place.file == "bomb.yaml" and p.fault and p.remedy for p in problems)


def test_no_bomb_takes_long_or_much() -> None:
    assert len(BOMBS) >= 40

    told = subprocess.run([sys.executable, "-m", "tests.language.yaml_bombed"], capture_output=True, check=True).stdout

    seen = json.loads(told)
    assert {name for name in BOMBS if not seen[name]["refused"]} == set()
    # of this process's own time, which a busy machine stretches somewhat as well; a quiet one needs under 150 ms
    assert {name: took for name in BOMBS if (took := seen[name]["took_ms"]) > 600} == {}
    assert {name: grown for name in BOMBS if (grown := seen[name]["grown_bytes"]) > 64 << 20} == {}


def test_a_file_of_many_documents_is_read_up_to_its_limit() -> None:
    documents, problems = read("f.yaml", "--- a\n" * MOST_DOCUMENTS)

    assert (len(documents), problems) == (MOST_DOCUMENTS, ())


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("n", "n"), ("N", "N"), ("y", "y"), ("no", "no"), ("Off", "Off"), ("oN", "oN"), ("YES", "YES"),
        ("190:20:30", "190:20:30"), ("22:22", "22:22"), ("-1:30", "-1:30"), ("1:30.5", "1:30.5"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"), ("2001-12-14", "2001-12-14"),
        ("685_230", "685_230"), ("0b1010", "0b1010"), ("-0b1", "-0b1"), ("0x_1", "0x_1"), ("1__0.5", "1__0.5"),
        ("+0x1F", "+0x1F"), ("0o8", "0o8"), ("=", "="), ("<<", "<<"), ("1e", "1e"), ("1.e3", 1000.0), (".5", 0.5),
        ("+12", 12), ("-0", 0), ("tRUE", "tRUE"), ("nULL", "nULL"), ("~x", "~x"), ("1,000", "1,000"),
        ("1.2.3", "1.2.3"), ("0xdeadbeefg", "0xdeadbeefg"), ("infinity", "infinity"), ("nan", "nan"),
        ("e5", "e5"), ("12e03", 12000.0), ("...x", "...x"), ("3.", 3.0), ("+.5", 0.5), ("١٢", "١٢"),
    ],
)  # fmt: skip
def test_nothing_of_yaml_1_1_turns_a_text_into_something_else(written: str, read_as: object) -> None:
    (document,), problems = read("f.yaml", f"a: {written}\n")

    assert problems == ()
    assert (document.tree["a"], type(document.tree["a"])) == (read_as, type(read_as))


def test_a_merge_key_merges_nothing() -> None:
    (document,), problems = read("f.yaml", "a: &a {x: 1}\nb:\n  <<: *a\n")

    assert problems == ()
    assert document.tree["b"] == {"<<": {"x": 1}}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_key_that_stands_twice_anywhere_is_refused(data: st.DataObject) -> None:
    keys = st.sampled_from(["a", "b", "c d", "é", "x-y", "k" * 40])
    leaf = st.sampled_from(["1", "x", "'q'", "[]", "{}", "null"])
    key, depth = data.draw(keys), data.draw(st.integers(0, 6))
    spelled = [key, f'"{key}"', f"'{key}'"]
    between = "".join(f"n{n}: {data.draw(leaf)}, " for n in range(data.draw(st.integers(0, 4))))
    first, second = data.draw(st.sampled_from(spelled)), data.draw(st.sampled_from(spelled))
    text = f"{{{first}: {data.draw(leaf)}, {between}{second}: 2}}"
    for n in range(depth):
        text = f"[{text}]" if data.draw(st.booleans()) else f"{{w{n}: {text}}}"

    documents, problems = read("f.yaml", f"top: {text}\n")

    assert documents == ()
    assert [problem.code for problem in problems] == ["duplicate-key"]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "{a: 1, a: 2}",
        "x:\n  - {k: 1, k: 1}",
        '"a": 1\na: 2',
        "a: 1\nb: {c: {d: 1, e: 2, d: 3}}",
        "a: 1\n'a': 2\n",
    ],
)
def test_every_duplicate_key_is_refused(text: str) -> None:
    documents, problems = read("f.yaml", text)

    assert documents == ()
    assert "duplicate-key" in {problem.code for problem in problems}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*"[]{}:,-?&*!|>'\"%@` \n\t#.$0a~=<", "<<: ", "*a", "&a ", "!!int ", "---\n", "...\n", "\u2028", "é"]
        ),
        max_size=60,
    )
)
def test_any_text_gives_values_or_problems_and_never_an_exception(pieces: list[str]) -> None:
    documents, problems = read("f.yaml", "".join(pieces))

    assert all(document.tree is not None for document in documents)
    assert all(problem.place.line >= 1 and problem.place.column >= 1 for problem in problems)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_characters_give_values_or_problems_and_never_an_exception(text: str) -> None:
    documents, problems = read("f.yaml", text)

    assert isinstance(documents, tuple)
    assert isinstance(problems, tuple)


def test_the_first_byte_that_is_not_utf8_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"journey: a\ntitle: caf\xe9\n")

    problems = load([file], [], environ={}).problems

    assert [str(problem.place) for problem in problems] == [f"{file}:2:11"]
    assert problems[0].remedy == "Save it as UTF-8."


def test_a_file_that_is_too_large_is_to_be_split(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text("# " + "x" * LARGEST_BYTES)

    problems = load([file], [], environ={}).problems

    said = [(problem.fault, problem.remedy) for problem in problems]
    assert said == [("The file cannot be read: it is larger than 1 MiB.", "Split it into several files.")]
