"""What a kind of step is lent while one of its steps is compiled: templates, files, and a way to say faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthmon.core.connections import Connection, ConnectionKind
from synthmon.core.expressions import Expression
from synthmon.core.templates import Template, Tree
from synthmon.language.connections import find_connections
from synthmon.language.expressions import Expressions
from synthmon.language.marks import Path
from synthmon.language.names import Names
from synthmon.language.settings import Settings
from synthmon.language.sources import Sources, beside, why
from synthmon.language.unsafe import owned_domains, say_unsafe_file
from synthmon.language.words import meant
from synthmon.language.workshop import Progress


class StepMaker:
    """The `core.kinds.Maker` of one step, undo or look; paths are inside it."""

    def __init__(
        self, expressions: Expressions, names: Names, at: Path, settings: Settings, sources: Sources, progress: Progress
    ) -> None:
        self._expressions, self._names, self._at = expressions, names, at
        self._settings, self._sources, self._progress = settings, sources, progress

    @property
    def settings(self) -> Settings:
        return self._settings

    def template(self, text: str, path: Path) -> Template:
        at = (*self._at, *path)
        return self._expressions.template(text, at, self._names, self._expressions.faults.marks.before(at, text))

    def tree(self, value: Any, path: Path) -> Tree:
        return self._expressions.tree(value, (*self._at, *path), self._names)

    def truth(self, text: str, path: Path, names: Mapping[str, str]) -> Expression | None:
        return self._expressions.truth(text, (*self._at, *path), self._names.plus(names))

    def read(self, file: str, path: Path) -> bytes:
        faults = self._expressions.faults
        full = beside(faults.marks.file, file)
        self._progress.files[full] = self._sources.fingerprint(full)
        try:
            content = self._sources.content(full)
            say_unsafe_file(full, content, (*self._at, *path), owned_domains(self._settings), faults)
            return content
        except OSError as error:
            faults.say(
                (*self._at, *path),
                "unreadable-file",
                f"{full} cannot be read: {why(error)}.",
                "Correct the path; it is relative to this file.",
            )
            return b""

    def connection(self, name: str, path: Path) -> tuple[Connection, ConnectionKind] | None:
        connection = self._settings.connections.get(name)
        if connection is None:
            self.fault(
                path,
                "unknown-connection",
                f"The settings have no connection `{name}`.",
                meant(name, self._settings.connections, "Add it to `connections:` in synthmon.yaml."),
            )
            return None
        return connection, find_connections()[connection.word].kind

    def fault(self, path: Path, code: str, fault: str, remedy: str) -> None:
        self._expressions.faults.say((*self._at, *path), code, fault, remedy)
