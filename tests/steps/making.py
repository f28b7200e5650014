"""A maker for kinds of steps that knows a few names, and keeps the faults that it is told."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

from synthmon.core.expressions import Compiler, Scope
from synthmon.core.kinds import Path
from synthmon.core.templates import Template, Tree, compile_template

NAMES = {
    "run.id": "string",
    "order.id": "dyn",
    "vars.text": "string",
    "vars.number": "int",
    "vars.ratio": "double",
    "vars.host": "string",
    "vars.link": "string",
    "secret.token": "string",
}


class TestMaker:
    """See `core.kinds.Maker`."""

    __test__ = False

    def __init__(self, folder: File = File("/nowhere")) -> None:
        self.settings: Any = None
        self.faults: list[tuple[Path, str, str, str]] = []
        self._folder, self._compiler = folder, Compiler()

    def template(self, text: str, path: Path) -> Template:
        return compile_template(self._compiler, text, NAMES)

    def tree(self, value: Any, path: Path) -> Tree:
        refs = set[str]()
        return Tree(self._node(value, path, refs), frozenset(refs))

    def read(self, file: str, path: Path) -> bytes:
        return (self._folder / file).read_bytes()

    def fault(self, path: Path, code: str, fault: str, remedy: str) -> None:
        self.faults.append((path, code, fault, remedy))

    def _node(self, value: Any, path: Path, refs: set[str]) -> Any:
        match value:
            case str():
                template = self.template(value, path)
                refs |= template.refs
                return template
            case dict():
                return {key: self._node(each, (*path, key), refs) for key, each in value.items()}
            case list():
                return [self._node(each, (*path, n), refs) for n, each in enumerate(value)]
        return value


def scope(**names: Any) -> Scope:
    """Values for names written with `__` in place of the dot: `order__id=7`."""
    return Scope({name.replace("__", "."): value for name, value in names.items()})
