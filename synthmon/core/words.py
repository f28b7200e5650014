"""The words of an expression: which names it reads, how it is respelled, which of its parts are worth showing."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from functools import lru_cache

STRINGS = re.compile(r"""[rbRB]*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_CHAIN = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\s*\.\s*\w+)*")
_STRING_OR_CHAIN = re.compile(rf"(?:{STRINGS.pattern})|(?P<chain>{_CHAIN.pattern})")
_STRING_OR_CALL = re.compile(
    rf"(?:{STRINGS.pattern})|\.\s*(?P<method>[a-zA-Z]\w*)\s*\(|(?<![\w.])(?P<function>[a-zA-Z]\w*)\("
)
_MACRO = re.compile(r"\.(?:all|exists|exists_one|existsOne|map|filter|optMap|optFlatMap)\(\s*([A-Za-z_]\w*)\s*,")
_LITERAL = re.compile(
    r"""-?[\d.]+(?:[eE][-+]?\d+)?u?|true|false|null|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[\]|\{\}|duration\("[^"]*"\)"""
)


def respell(text: str, spelled: Mapping[str, str]) -> str:
    """The expression with names written otherwise (name → text); strings and bound variables are left alone."""
    if not spelled:
        return text
    bound = _bound(text)

    def replace(found: re.Match[str]) -> str:
        word = found.group()
        if found.lastgroup != "chain" or _is_call(word, text, found.end()):
            return word
        word = "".join(word.split())  # blanks may stand around a dot
        name = "" if word.partition(".")[0] in bound else declared_part(word, spelled)
        return spelled[name] + word[len(name) :] if name else found.group()

    return _STRING_OR_CHAIN.sub(replace, text)


def recall(text: str, seeded: Container[str], bounded: Container[str]) -> str:
    """The expression with `run.seed` as the first argument of some functions, and `_` behind the name of some methods;
    strings are left alone."""

    def replace(found: re.Match[str]) -> str:
        if found["method"] is not None:
            return f".{found['method']}_(" if found["method"] in bounded else found.group()
        if found["function"] is not None and found["function"] in seeded:
            return f"{found['function']}(run.seed, "
        return found.group()

    return _STRING_OR_CALL.sub(replace, text) if "(" in text else text


def references(text: str, names: Container[str]) -> set[str]:
    """The declared names that an expression reads, found by its words (strings and bound variables apart)."""
    return {name for chain in chains(text) if (name := declared_part(chain, names))}


def chains(text: str) -> frozenset[str]:
    """Every `a.b.c` of an expression that may be a name: no function, nothing in a string, no bound variable."""
    bare = STRINGS.sub('""', text)
    bound = _bound(bare)
    found = (f for f in _CHAIN.finditer(bare) if not _is_call(f.group(), bare, f.end()))
    words = ("".join(f.group().split()) for f in found)
    return frozenset(word for word in words if word.partition(".")[0] not in bound)


def _is_call(word: str, text: str, end: int) -> bool:
    """Whether a word that ends here is the name of a function: `bytes("a")`."""
    return "." not in word and text[end : end + 1] == "("


def declared_part(word: str, names: Container[str]) -> str:
    """The longest declared name that a chain `a.b.c` begins with, or nothing."""
    while word not in names:
        word, dot, _ = word.rpartition(".")
        if not dot:
            return ""
    return word


def _bound(text: str) -> set[str]:
    return set(_MACRO.findall(text))


@lru_cache(maxsize=1024)
def operands(text: str) -> tuple[str, ...]:
    """What is worth showing of a check that fails: both sides of each comparison, and bare parts, literals left out."""
    found: list[str] = []
    for clause in _clauses(text):
        sides = _cut(clause, ("==", "!=", "<=", ">=", "<", ">", " in "))
        for side in sides:
            bare = _unwrap(side)
            if len(sides) == 1 and "(" in bare:
                bare = _receiver(bare)  # what contains() or all() was asked of; their own value tells nothing
            if bare and bare[0] not in "[{" and not _LITERAL.fullmatch(bare) and bare not in found:
                found.append(bare)
    return tuple(found)


def _receiver(call: str) -> str:
    """`body.items` of `body.items.all(i, i.ok)`; nothing for a function that is asked of nothing."""
    return call.partition("(")[0].rpartition(".")[0]


def _clauses(text: str) -> list[str]:
    """What `&&`, `||` and `!` join, taken apart."""
    bare = _unwrap(text)
    pieces = _cut(bare, ("&&", "||"))
    if len(pieces) > 1:
        return [clause for piece in pieces for clause in _clauses(piece)]
    return _clauses(bare[1:]) if bare.startswith("!") else [bare]


def _cut(text: str, words: tuple[str, ...]) -> list[str]:
    """Split at operators that stand outside of brackets and strings."""
    masked = STRINGS.sub(lambda m: "\0" * len(m.group()), text)
    pieces, depth, at, i = [], 0, 0, 0
    while i < len(masked):
        depth += (masked[i] in "([{") - (masked[i] in ")]}")
        word = next((w for w in words if depth == 0 and masked.startswith(w, i)), None)
        if word:
            pieces.append(text[at:i])
            i = at = i + len(word)
        else:
            i += 1
    return [piece.strip() for piece in [*pieces, text[at:]]]


def _unwrap(text: str) -> str:
    text = text.strip()
    while text.startswith("(") and _closes_at(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closes_at(text: str) -> int:
    """Where the bracket closes that a text begins with."""
    depth = 0
    for i, char in enumerate(STRINGS.sub(lambda m: "\0" * len(m.group()), text)):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return i
    return -1
