"""The parts that steps, undos and looks have in common: the kind, what it sends, its checks and what it saves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from synthmon.core.expressions import Expression
from synthmon.core.journey import Check, Spec
from synthmon.core.kinds import Kind
from synthmon.core.system import System
from synthmon.language.expressions import Expressions
from synthmon.language.faults import Faults, keys_of, say_broken
from synthmon.language.kinds import ROOM, STRUCTURE, Forms
from synthmon.language.maker import StepMaker
from synthmon.language.marks import Path
from synthmon.language.names import Names
from synthmon.language.plugins import Origin, find, lacking, missing_program
from synthmon.language.schema_words import CheckKeys
from synthmon.language.step_schema import LookKeys, StepKeys, UndoKeys
from synthmon.language.systems import find_system
from synthmon.language.words import listed, near
from synthmon.language.workshop import Progress, Workshop

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE".split())


class Parts:
    """Compiles parts of the steps of one file, for one journey."""

    def __init__(self, shop: Workshop, progress: Progress, faults: Faults) -> None:
        self.shop, self.progress, self.faults = shop, progress, faults
        self.expressions = Expressions(shop.shelf, faults)

    def choose(self, raw: Any, path: Path, *, structure: bool = True) -> Forms | None:
        """The kind that one key of a step chooses; None after a fault, and for a word of `STRUCTURE`."""
        if not isinstance(raw, dict):
            self.faults.say(
                path, "wrong-type", "This is not a step.", "Write a map: `http: GET /path` and `expect:` below it."
            )
            return None
        words = [key for key in raw if key in self.shop.kinds or key in STRUCTURE]
        if len(words) > 1:
            fault = f"One step cannot be {listed(words)} at once."
            self.faults.say((*path, words[1]), "two-kinds", fault, "Make a step of its own of each.", at_key=True)
            return None
        if not words:
            self._say_no_kind(raw, path)
            return None
        if words[0] in STRUCTURE:
            if not structure:
                self.faults.say(
                    (*path, words[0]),
                    "bad-nesting",
                    f"`{words[0]}` cannot stand here.",
                    "Write one step, such as `http: DELETE /path`.",
                    at_key=True,
                )
            return None
        forms = self.shop.kinds[words[0]]
        if not structure and forms.undo is None:
            fault = f"`{words[0]}` listens: it takes nothing back and finds nothing."
            self.faults.say((*path, words[0]), "cannot-do", fault, "Write a request, such as `http:`.", at_key=True)
            return None
        return forms

    def spec(
        self, kind: Kind, keys: BaseModel, raw: Mapping[str, Any], path: Path, names: Names, asked: str | None
    ) -> tuple[Spec, System | None] | None:
        """What a step sends, and to whom."""
        system = self._system(kind, raw, path, asked)
        origin = self.shop.kinds[kind.word].origin if kind.word in self.shop.kinds else Origin()
        if remedy := lacking(kind, origin):
            fault = f"The library for `{kind.word}` is not installed."
            self.faults.say((*path, kind.word), "missing-extra", fault, f"{remedy}.", at_key=True)
        elif remedy := missing_program(kind):
            fault = f"The program that `{kind.word}` starts is not on this machine."
            self.faults.warn((*path, kind.word), "missing-program", fault, f"Where it runs, {remedy}.")
        maker = StepMaker(self.expressions, names, path, self.shop.settings, self.shop.sources, self.progress)
        try:
            return kind.compile(keys, maker), system
        except Exception as error:  # noqa: BLE001  a defect of a kind costs one journey and not all of them
            say_broken(kind.word, origin, error, (*path, kind.word), self.faults)
            return None

    def _system(self, kind: Kind, raw: Mapping[str, Any], path: Path, asked: str | None) -> System | None:
        """Whom a step talks to; what goes over a connection only bears the journey's system, if it has one."""
        if kind.via != "system" and not asked:
            return self.shop.settings.systems.get(self.progress.system)
        asked_path = (*path, "system") if "system" in raw else path
        text = raw[kind.word] if isinstance(raw[kind.word], str) else ""
        return find_system(asked, text, (*path, kind.word), asked_path, self.shop, self.progress, self.faults)

    def checks(
        self, listed_checks: Iterable[str | CheckKeys], path: Path, names: Names, only: Path | None = None
    ) -> tuple[Check, ...]:
        """The lines of an `expect`; `only` is the place of a single one."""
        made: list[Check] = []
        for i, one in enumerate(listed_checks):
            at: Path = only or (*path, i)
            if isinstance(one, CheckKeys):
                when = self.expressions.truth(one.when, (*at, "when"), names) if one.when else None
                expression = self.expressions.truth(one.check, (*at, "check"), names)
                place, name = self.faults.marks.value((*at, "check")), one.name
            else:
                when, name = None, ""
                expression = self.expressions.truth(one, at, names)
                place = self.faults.marks.value(at)
            if expression is not None:
                made.append(Check(expression, place, name, when))
        return tuple(made)

    def saves(self, save: Mapping[str, str], path: Path, names: Names) -> tuple[tuple[str, Expression], ...]:
        """The entries of a `save`."""
        made = ((name, self.expressions.value(text, (*path, name), names)) for name, text in save.items())
        return tuple((name, expression) for name, expression in made if expression is not None)

    def truths(self, given: Mapping[str, str], path: Path, names: Names) -> tuple[tuple[str, Expression], ...]:
        """The entries of a `blame`."""
        made = ((name, self.expressions.truth(text, (*path, name), names)) for name, text in given.items())
        return tuple((name, expression) for name, expression in made if expression is not None)

    def _say_no_kind(self, raw: Mapping[str, Any], path: Path) -> None:
        if refused := find(ROOM).refusal(raw):
            self.faults.say((*path, refused.word), "broken-kind", refused.fault, refused.remedy, at_key=True)
            return
        known = [*self.shop.kinds, *STRUCTURE]
        common = {*keys_of(StepKeys), *keys_of(UndoKeys), *keys_of(LookKeys)}
        for key in raw:
            if key not in common and str(key).upper() in _METHODS and isinstance(raw[key], str):
                fault, remedy = f"There is no kind of step `{key}`.", f"Write `http: {key.upper()} {raw[key]}`."
                self.faults.say((*path, key), "no-kind", fault, remedy, at_key=True)
                return
            if key not in common and (guess := near(key, known)):
                self.faults.say(
                    (*path, key),
                    "no-kind",
                    f"There is no kind of step `{key}`.",
                    f"Did you mean `{guess}`?",
                    at_key=True,
                )
                return
        self.faults.say(path, "no-kind", "Nothing says what this step does.", f"Add one of {listed(known)}.")
