"""A probe that was drafted from something else, and the settings that it needs, as YAML for a person to look at.

A draft holds no secret and no text that may belong to a real person: whoever makes one has replaced them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from synthmon.imports.texts import Text, Value, joined, mapped, written
from synthmon.language.yaml_text import Noted, comments, lines

SCHEMA_LINE = "# yaml-language-server: $schema=../synthmon.schema.json"
PERSON = "person"  # the name of the identity that a draft proposes

LEAVES_UNKNOWN = "say what this leaves behind, or write undo:"


@dataclass(frozen=True, slots=True)
class Request:
    """What a step sends. `url` is behind the base of its system; `word` says what the body is: json, body or form."""

    method: str
    url: str | Text
    params: Mapping[str, Value] = field(default_factory=dict)
    headers: Mapping[str, Value] = field(default_factory=dict)
    word: str = ""
    body: Value = None


@dataclass(frozen=True, slots=True)
class DraftLook:
    """A read that says whether an effect is gone."""

    request: Request
    expect: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DraftUndo:
    """How an effect is taken back; without `gone` the language's own default counts."""

    request: Request
    gone: DraftLook | None = None
    ttl: str = "1h"


@dataclass(frozen=True, slots=True)
class DraftStep:
    """One step. `comments` stand above it; `leaves` with its remark is there for a write without `undo`."""

    id: str
    request: Request
    expect: tuple[str, ...]
    title: str = ""
    system: str = ""  # if not the draft's first
    save: Mapping[str, str] = field(default_factory=dict)
    within: str = ""
    timeout: str = ""
    undo: DraftUndo | None = None
    leaves: str = ""
    leaves_remark: str = ""
    repeatable: bool = False
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftSystem:
    """A proposal for `systems:`; `writes` are no more than what the steps send."""

    name: str
    base: str
    writes: tuple[str, ...] = ()
    follow: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """One journey to be, with what its settings need and what its reader is told.

    `secrets` are names → environment variables. `identity` are fields to invent. `notes` are sentences for the person.
    """

    name: str
    title: str
    systems: tuple[DraftSystem, ...]
    steps: tuple[DraftStep, ...]
    vars: Mapping[str, Value] = field(default_factory=dict)
    every: str = "5m"
    secrets: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def system(self) -> DraftSystem:
        """Who is tested."""
        return self.systems[0]


def render(draft: Draft) -> str:
    """The probe as YAML."""
    keys: dict[str, Any] = {"journey": draft.name, "title": draft.title, "every": draft.every}
    keys["system"] = draft.system.name
    if draft.identity:
        keys["identity"] = PERSON
    if draft.vars:
        keys["vars"] = _plain(draft.vars)
    text = [
        SCHEMA_LINE,
        *comments(("A draft. Look at every step before it runs: " + _LOOK, *draft.notes)),
        *lines(keys),
    ]
    text += ["", "steps:"]
    for i, step in enumerate(draft.steps):
        text += [""] * bool(i)
        text += [f"  {line}" for line in lines([Noted(dict(_step(step)), step.comments)])]
    return "\n".join(text) + "\n"


def render_settings(*drafts: Draft) -> str:
    """What `synthmon.yaml` needs for these drafts, as YAML; of things with one name the writes are joined."""
    keys: dict[str, Any] = {"systems": {name: _system(system) for name, system in _systems(drafts).items()}}
    secrets = {name: variable for draft in drafts for name, variable in draft.secrets.items()}
    if secrets:
        keys["secrets"] = {name: f"env:{variable}" for name, variable in secrets.items()}
    if fields := list(dict.fromkeys(field for draft in drafts for field in draft.identity)):
        invent = {"invent": fields, "locale": "en_GB", "domain": "synthetic.example.com"}
        keys["identities"] = {PERSON: Noted(invent, beside="a new person in every run, who exists nowhere else")}
    head = ("A proposal for synthmon.yaml: add what is missing there. No secret is written down: set the variables.",)
    return "\n".join((*comments(head), *lines(keys))) + "\n"


_LOOK = "what it sends, what it expects, what it leaves behind."


def _step(step: DraftStep) -> Iterator[tuple[str, Any]]:
    yield "id", step.id
    if step.title:
        yield "title", step.title
    if step.system:
        yield "system", step.system
    yield from _request(step.request)
    for word, value in (("within", step.within), ("timeout", step.timeout)):
        if value:
            yield word, value
    yield "expect", list(step.expect)
    if step.save:
        yield "save", dict(step.save)
    if step.undo:
        yield "undo", dict(_undo(step.undo))
    elif step.leaves:
        yield "leaves", Noted(step.leaves, beside=step.leaves_remark)
    if step.repeatable:
        yield "repeatable", True


def _undo(undo: DraftUndo) -> Iterator[tuple[str, Any]]:
    yield from _request(undo.request)
    if undo.gone:
        yield "gone", {**dict(_request(undo.gone.request)), "expect": list(undo.gone.expect)}
    yield "ttl", undo.ttl


def _request(request: Request) -> Iterator[tuple[str, Any]]:
    yield "http", written(joined(f"{request.method} ", request.url))
    if request.params:
        yield "params", _plain(request.params)
    if request.headers:
        yield "headers", _plain(request.headers)
    if request.word:
        yield request.word, _plain(request.body)


def _plain(value: Value) -> Any:
    return mapped(
        dict(value) if isinstance(value, Mapping) else value,
        lambda _, leaf: written(leaf) if isinstance(leaf, str | Text) else leaf,
    )


def _systems(drafts: tuple[Draft, ...]) -> dict[str, DraftSystem]:
    made: dict[str, DraftSystem] = {}
    for system in (system for draft in drafts for system in draft.systems):
        old = made.get(system.name, system)
        writes = tuple(dict.fromkeys((*old.writes, *system.writes)))
        made[system.name] = DraftSystem(old.name, old.base, writes, old.follow or system.follow)
    return made


def _system(system: DraftSystem) -> dict[str, Any]:
    keys: dict[str, Any] = {"base": system.base}
    if system.writes:
        keys["writes"] = Noted(list(system.writes), ("No more than what the probe sends; everything else is refused.",))
    if system.follow:
        keys["follow"] = True
    keys["rate"] = "5/s"
    return keys
