"""YAML without its traps: what looks like text is text, and nothing but a problem comes of a bad file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.language.documents import LARGEST_BYTES, read

_DEEP = 100_000


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


BOMBS = {
    "aliases": "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "aliases of maps": "a0: &a0 {k: v}\n"
    + "".join(f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}\n" for i in range(1, 30)),
    "an anchor inside itself": "a: &a [*a]",
    "lists": "[" * _DEEP,
    "closed lists": "[" * _DEEP + "]" * _DEEP,
    "maps": "{" * _DEEP,
    "keys": "? " * _DEEP,
    "dashes": "- " * _DEEP,
    "colons": "a: " * _DEEP,
    "both": "[{" * _DEEP,
    "anchors": "&" * _DEEP,
    "tags": "!" * _DEEP,
    "python tag": "a: !!python/object/apply:os.system [id]",
    "quotes": '"' * _DEEP + "x",
    "many keys": "\n".join(f"k{i}: {i}" for i in range(60_000)),
    "many items": "[" + "1," * 300_000 + "]",
    "a long number": "a: " + "9" * 900_000,
    "a large number": "a: 1e999999",
    "binary digits": "a: 0x" + "f" * 900_000,
    "too large": "a: " + "x" * LARGEST_BYTES,
    "indentation": "\n".join(" " * i + "a:" for i in range(1_300)),
    "control characters": "a: \x00\x01\x07",
    "surrogate": "a: \ud800",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_a_place_and_a_remedy(name: str) -> None:
    documents, problems = read("bomb.yaml", BOMBS[name])

    assert documents == ()
    assert problems
    assert all(p.place.file == "bomb.yaml" and p.fault and p.remedy for p in problems)


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
