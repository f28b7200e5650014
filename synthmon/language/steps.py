"""The steps of one file, in order: each sees what the ones before it saved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from synthmon.core.expressions import Expression
from synthmon.core.journey import Hears, Retry, Step
from synthmon.core.kinds import Listens
from synthmon.language.faults import check_keys, keys_of
from synthmon.language.kinds import STRUCTURE, Forms
from synthmon.language.marks import Path
from synthmon.language.names import RUN, Names, Story
from synthmon.language.raw_steps import id_of, ids, saved
from synthmon.language.rules import check_asserts, check_step
from synthmon.language.schema import JourneyKeys, VerifyKeys
from synthmon.language.step_parts import Parts
from synthmon.language.step_schema import ListenKeys, PauseKeys, StepKeys, TogetherKeys
from synthmon.language.systems import check_write
from synthmon.language.undo import compile_undo
from synthmon.language.within import compile_within
from synthmon.language.words import TAKEN, meant, word_fault

Call = Callable[["Steps", Any, Path, str], tuple[Step, ...]]
"""Expands a `call` step: (the steps around it, its map, its path, its default id) → the called file's steps."""

_LISTENS = "a step that sends something; this one listens"
_ELSEWHERE: Mapping[str, str] = (
    dict.fromkeys(keys_of(JourneyKeys), "the journey, not of a step")
    | dict.fromkeys(("find", "gone", "sweep", "ttl"), "`undo`")
    | {key: "`verify`" for key in keys_of(VerifyKeys) if key == "settle"}
)
_NOT_LISTENING: Mapping[str, str] = dict.fromkeys(set(keys_of(StepKeys)) - set(keys_of(ListenKeys)), _LISTENS) | dict(
    _ELSEWHERE
)


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a called file stands: the prefix of its ids, what `with` gives (name → expression of the journey and its
    type), the condition of the call, and the files that are being called."""

    prefix: str = ""
    given: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    when: Expression | None = None
    calling: tuple[str, ...] = ()


class Steps:
    """Compiles a list of steps, those of a journey or of a file that it calls; `call` expands a called file."""

    def __init__(self, parts: Parts, call: Call, inside: Inside | None = None) -> None:
        self.parts, self.call, self.inside = parts, call, inside or Inside()
        self.progress, self.faults, self.prefix = parts.progress, parts.faults, self.inside.prefix
        self._story = Story(offers=parts.shop.offers)

    def compile(self, raw: list[Any], path: Path) -> tuple[Step, ...]:
        """Every step of the list; those with a fault are left out, what they save is known all the same."""
        self._story = Story(saved(raw), frozenset(ids(raw)), offers=self.parts.shop.offers)
        made: list[Step] = []
        for i, one in enumerate(raw):
            self._reached(one, f"step_{i + 1}")
            made.extend(self._step(one, (*path, i), f"step_{i + 1}"))
        return tuple(made)

    def names(self) -> Names:
        """The names that the next step may use."""
        hidden = frozenset(self.progress.hidden) | self.progress.sealed
        if not self.prefix:
            return Names(self.progress.types, hidden=hidden, story=self._story, identity=self.progress.identity)
        local = self.progress.local(self.prefix)
        everywhere = {
            n: t for n, t in self.progress.types.items() if n in RUN or n.startswith(("identity.", "secret."))
        }
        given = {f"vars.{name}": kind for name, (_, kind) in self.inside.given.items()}
        spelled = {**local, **{f"vars.{name}": text for name, (text, _) in self.inside.given.items()}}
        types = {**everywhere, **given, **{name: self.progress.types[full] for name, full in local.items()}}
        secrets = frozenset(name for name, full in local.items() if full in hidden) | self.progress.sealed
        return Names(types, spelled, self.progress.types, secrets, self._story, self.progress.identity)

    def _step(self, raw: Any, path: Path, default_id: str) -> tuple[Step, ...]:
        before = len(self.faults.problems)
        forms = self.parts.choose(raw, path)
        word = next((key for key in raw if key in STRUCTURE), "") if isinstance(raw, dict) else ""
        if forms is not None:
            compile_one = self._listener if isinstance(forms.kind, Listens) else self._leaf
            made = compile_one(forms, raw, path, default_id)
            step_id = made.id if made else self._id(raw.get("id"), default_id)
            self._keep(step_id, raw, made)
            return (made,) if made else ()
        if word and not any(p.level == "error" for p in self.faults.problems[before:]):
            match word:
                case "together":
                    return self._together(raw, path, default_id)
                case "pause":
                    return self._pause(raw, path, default_id)
                case "call":
                    return self.call(self, raw, path, default_id)
        if isinstance(raw, dict):
            self._keep(self._id(raw.get("id"), default_id), raw, None)
        return ()

    def _leaf(self, forms: Forms, raw: dict[str, Any], path: Path, default_id: str) -> Step | None:
        """A step of one kind."""
        keys = check_keys(forms.step, raw, path, self.faults, elsewhere=_ELSEWHERE)
        if not isinstance(keys, StepKeys):
            return None
        parts, kind = self.parts, forms.kind
        names = self.names()
        step_id = self.take_id(keys.id, default_id, path)
        made = parts.spec(kind, keys, raw, path, names, keys.system)
        seen = names.plus(kind.offers)
        expect = parts.checks(keys.expect or [], (*path, "expect"), seen)
        save = parts.saves(keys.save, (*path, "save"), seen)
        blame = parts.truths(keys.blame, (*path, "blame"), seen)
        within = compile_within(keys, path, self.prefix, self._story, self.progress.sent, self.faults)
        sealed = frozenset(f"{step_id}.{name}" for name, e in save if _seals(e.text) or e.refs & self.progress.hidden)
        own = names.saving(keys.id or default_id, step_id, {name: e.type for name, e in save}, sealed)
        undo = None
        if keys.undo is not None:
            undo = compile_undo(
                keys.undo, (*path, "undo"), step_id, keys.id or default_id, names, own, sealed, parts, keys.system
            )
        if made is None:
            return None
        spec, system = made
        step = Step(
            id=step_id,
            place=self.faults.marks.value(path),
            spec=spec,
            title=keys.title,
            system=system.name if system else "",
            expect=expect,
            save=save,
            when=self.compile_when(keys.when, path),
            within=within,
            retry=Retry(keys.retry.times, frozenset(keys.retry.on)) if keys.retry else None,
            timeout_s=keys.timeout,
            undo=undo,
            leaves=keys.leaves or "",
            repeatable=keys.repeatable,
            auth=self._auth(keys.auth, path),
            blame=blame,
        )
        check_step(step, keys, raw, path, kind, system, parts)
        return step

    def _listener(self, forms: Forms, raw: dict[str, Any], path: Path, default_id: str) -> Step | None:
        """A step of a kind that listens."""
        keys = check_keys(forms.step, raw, path, self.faults, elsewhere=_NOT_LISTENING)
        if not isinstance(keys, ListenKeys):
            return None
        parts, kind = self.parts, forms.kind
        names = self.names()
        step_id = self.take_id(keys.id, default_id, path)
        made = parts.spec(kind, keys, raw, path, names, keys.system)
        seen = names.plus(kind.offers)
        where = parts.expressions.truth(keys.where, (*path, "where"), seen) if keys.where else None
        expect = parts.checks(keys.expect or [], (*path, "expect"), seen)
        save = parts.saves(keys.save, (*path, "save"), seen)
        blame = parts.truths(keys.blame, (*path, "blame"), seen)
        within = compile_within(keys, path, self.prefix, self._story, self.progress.sent, self.faults)
        if made is None:
            return None
        spec, system = made
        needs = where.refs - kind.offers.keys() if where else frozenset()
        step = Step(
            id=step_id,
            place=self.faults.marks.value(path),
            spec=spec,
            title=keys.title,
            system=system.name if system else "",
            expect=expect,
            save=save,
            when=self.compile_when(keys.when, path),
            within=within,
            timeout_s=keys.timeout,
            auth=self._auth(keys.auth, path),
            blame=blame,
            hears=Hears(where, needs, keys.settle or 0.0, isinstance(kind, Listens) and kind.addressed),
        )
        check_asserts(step, raw, path, kind, parts)
        if spec.effect and system is not None:  # it says something first
            check_write(system, raw[kind.word], (*path, kind.word), system is self.progress.implicit, self.faults)
        return step

    def _together(self, raw: dict[str, Any], path: Path, default_id: str) -> tuple[Step, ...]:
        keys = check_keys(TogetherKeys, raw, path, self.faults, elsewhere=_common_only("together"), hollow=True)
        if keys is None or not isinstance(keys.together, list):
            return ()
        group_id = self.take_id(keys.id, default_id, path)
        when = self.compile_when(keys.when, path)
        types, hidden, sent = dict(self.progress.types), set(self.progress.hidden), set(self.progress.sent)
        branches: list[Step] = []
        after: list[tuple[dict[str, str], set[str], set[str]]] = []
        own = frozenset(ids(keys.together, f"{default_id}_"))
        story = self._story
        for i, one in enumerate(keys.together):
            self.progress.types, self.progress.hidden, self.progress.sent = dict(types), set(hidden), set(sent)
            self._story = replace(story, siblings=own - {id_of(one, f"{default_id}_{i + 1}")})
            if isinstance(one, dict) and (word := next((w for w in ("together", "call", "pause") if w in one), "")):
                fault = f"`{word}` cannot stand in `together`."
                self.faults.say(
                    (*path, "together", i, word), "bad-nesting", fault, "Write one step for each branch.", at_key=True
                )
            else:
                branches.extend(self._step(one, (*path, "together", i), f"{default_id}_{i + 1}"))
            after.append((self.progress.types, self.progress.hidden, self.progress.sent))
        self._story = story
        self.progress.types, self.progress.hidden, self.progress.sent = types, hidden, sent
        for its_types, its_hidden, its_sent in after:
            types.update(its_types)
            hidden |= its_hidden
            sent |= its_sent
        return (Step(group_id, self.faults.marks.value(path), None, keys.title, when=when, together=tuple(branches)),)

    def _pause(self, raw: dict[str, Any], path: Path, default_id: str) -> tuple[Step, ...]:
        keys = check_keys(PauseKeys, raw, path, self.faults, elsewhere=_common_only("pause"))
        if keys is None:
            return ()
        self.faults.warn(
            (*path, "pause"),
            "pause-instead-of-within",
            "A pause is always too short or too long.",
            "Use `within:` on the step that has to wait.",
        )
        step_id = self.take_id(keys.id, default_id, path)
        when = self.compile_when(keys.when, path)
        return (Step(step_id, self.faults.marks.value(path), None, keys.title, when=when, pause_s=keys.pause),)

    def take_id(self, asked: str | None, default: str, path: Path) -> str:
        """The id of a step in the journey; said if it is taken."""
        full = self._id(asked, default)
        if asked and (fault := word_fault(asked, TAKEN)):
            self.faults.say((*path, "id"), "bad-name", f"{fault}.", "Choose another id.")
        elif full in self.progress.ids:
            fault = f"There are two steps `{asked or default}`."
            self.faults.say(
                (*path, "id") if asked else path, "duplicate-step", fault, "Give each step an id of its own."
            )
        self.progress.ids.add(full)
        return full

    def compile_when(self, text: str | None, path: Path) -> Expression | None:
        """The condition of a step; in a called file together with that of the call."""
        own = self.parts.expressions.truth(text, (*path, "when"), self.names()) if text else None
        if own is None or self.inside.when is None:
            return own or self.inside.when
        both = f"({self.inside.when.text}) && ({own.text})"
        return self.parts.shop.shelf.compiler.compile(both, self.progress.types)

    def _id(self, asked: Any, default: str) -> str:
        return self.prefix + (asked if isinstance(asked, str) and asked else default)

    def _reached(self, raw: Any, default_id: str) -> None:
        reached = {id_of(raw, default_id)}
        if isinstance(raw, dict) and isinstance(raw.get("together"), list):
            reached |= set(ids(raw["together"], f"{default_id}_"))
        self._story = replace(self._story, later=self._story.later - reached)

    def _keep(self, step_id: str, raw: Mapping[str, Any], made: Step | None) -> None:
        """What a step saves is known from here on; of one with a fault, in any type."""
        kept = dict(made.save) if made else {}
        asked = raw.get("save")
        for name in asked if isinstance(asked, dict) else ():
            expression = kept.get(name)
            full = f"{step_id}.{name}"
            self.progress.types[full] = expression.type if expression else "dyn"
            if expression and (_seals(expression.text) or expression.refs & self.progress.hidden):
                self.progress.hidden.add(full)
        self.progress.sent.add(step_id)

    def _auth(self, asked: str | None, path: Path) -> str:
        sessions = self.parts.shop.settings.sessions
        if asked and asked not in sessions:
            self.faults.say(
                (*path, "auth"),
                "unknown-session",
                f"The settings have no session `{asked}`.",
                meant(asked, sessions, "Add it to `sessions:` in synthmon.yaml."),
            )
        return asked or self.progress.auth


def _seals(text: str) -> bool:
    return re.search(r"(?<![\w.])secret\(", text) is not None


def _common_only(word: str) -> Mapping[str, str]:
    return dict.fromkeys(
        keys_of(StepKeys),
        f"the steps inside, not of `{word}`" if word == "together" else f"a step of its own, not of `{word}`",
    ) | dict(_ELSEWHERE)
