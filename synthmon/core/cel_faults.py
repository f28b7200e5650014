"""What CEL says of an expression that it cannot compile or evaluate, in words for a person."""

from __future__ import annotations

import re

from synthmon.core import functions

_NO_KEY = re.compile(r"Key not found in map : (.*)")
_NO_NAME = re.compile(r'No value with name "(.*)" found in Activation')
_NO_ITEM = re.compile(r"Index error: index=(-?\d+) size=(\d+)")
_METHOD = re.compile(rf"\b({'|'.join(functions.BOUNDED)})_\b")
_WHERE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


def located(message: str, text: str) -> tuple[int, str, str]:
    """Where a text cannot be meant and why, by what CEL says of it: a column from 1 in the whole of a text of many
    lines, the fault, the name that is unknown (empty: it is something else)."""
    found = _WHERE.search(message)
    if not found:
        return 1, plainly(message), ""
    column = sum(len(line) + 1 for line in text.split("\n")[: int(found[1]) - 1]) + int(found[2])
    fault = _METHOD.sub(r"\1", found[3].replace(" (in container '')", ""))
    name = re.search(r"undeclared reference to '([^']+)'", fault)
    return column, fault, name[1] if name else ""


def plainly(message: str) -> str:
    """CEL's words without its status code, and the two commonest in words of our own."""
    bare = _METHOD.sub(r"\1", re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message))
    if found := _NO_KEY.fullmatch(bare):
        return f"there is no key {found[1]}"
    if found := _NO_NAME.fullmatch(bare):
        return f"the answer has no {found[1]}"
    if found := _NO_ITEM.fullmatch(bare):
        return f"there is no item {found[1]} in a list of {found[2]}"
    return bare
