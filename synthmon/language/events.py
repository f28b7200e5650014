"""`events` and `verify`: names for what other systems report, and what has to hold of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from synthmon.core.journey import Check, Promises
from synthmon.core.sequence.clauses import EVENT_NAMES, Clause, EventSpec, Word
from synthmon.core.sources import Source
from synthmon.language.evidence import find_sources
from synthmon.language.faults import check_keys, keys_of
from synthmon.language.marks import Path
from synthmon.language.names import Names
from synthmon.language.schema import ClauseKeys, EventKeys, VerifyKeys
from synthmon.language.schema_words import CheckKeys
from synthmon.language.step_parts import Parts
from synthmon.language.within import read_within
from synthmon.language.words import listed, meant, near

_FIELDS = ("step", "status", "name", "dependency", "attempt")
_WORDS = (*(str(word) for word in Word), "order")
_WITHIN_S = 30.0


def compile_verify(
    keys: VerifyKeys, events: Mapping[str, EventKeys], names: Names, parts: Parts
) -> tuple[tuple[Check, ...], Promises]:
    """The checks of `verify`, and its clauses with the events and sources that they are about."""
    checks: list[Check] = []
    clauses: list[Clause] = []
    promised = False  # by a line that may have a fault: then it is no news that there is no clause
    for i, one in enumerate(keys.expect):
        path: Path = ("verify", "expect", i)
        if isinstance(one, dict) and "check" not in one:
            promised = True
            clauses.extend(_clauses(one, path, events, names, parts))
        else:
            checks.extend(_check(one, path, names, parts))
    specs = tuple(spec for name, event in events.items() if (spec := _event(name, event, parts)) is not None)
    used = {spec.source for spec in specs} | {c.events[0] for c in clauses if c.word is Word.EMPTY}
    sources = tuple(source for name, source in parts.shop.settings.evidence.items() if name in used)
    if not promised:
        _say_idle(keys, events, parts)
    promises = Promises(specs, tuple(clauses), sources, keys.within or _WITHIN_S, keys.settle or 0.0)
    return tuple(checks), promises if clauses else Promises()


def _check(one: Any, path: Path, names: Names, parts: Parts) -> tuple[Check, ...]:
    if isinstance(one, dict):
        keys = check_keys(CheckKeys, one, path, parts.faults)
        return parts.checks([keys], path, names, only=path) if keys is not None else ()
    if not isinstance(one, str) or not one.strip():
        fault = "This is neither an expression nor a clause."
        remedy = "Write a CEL expression, or a map with one word: {happens: posted}."
        parts.faults.say(path, "not-an-expression", fault, remedy)
        return ()
    return parts.checks([one], path, names, only=path)


def _event(name: str, keys: EventKeys, parts: Parts) -> EventSpec | None:
    path: Path = ("events", name)
    source = _source(keys.from_, (*path, "from"), parts)
    if source is None:
        return None
    if find_sources()[source.word].kind.counts:
        fault = f"`{keys.from_}` only counts: it reports no events."
        parts.faults.say((*path, "from"), "bad-clause", fault, f"Use it with `empty: {keys.from_}`.")
        return None
    fields = {word: str(value) for word in _FIELDS if (value := getattr(keys, word)) is not None}
    if keys.service is not None:
        fields["clock"] = keys.service
    where = parts.expressions.truth(keys.where, (*path, "where"), Names(dict(EVENT_NAMES))) if keys.where else None
    if not fields and keys.where is None:
        fault = f"`{name}` would be every record of `{keys.from_}`."
        parts.faults.say(path, "bad-clause", fault, "Say which: step, status, name, service, dependency or where.")
    return EventSpec(name, keys.from_, fields, where)


def _clauses(
    raw: dict[str, Any], path: Path, events: Mapping[str, EventKeys], names: Names, parts: Parts
) -> tuple[Clause, ...]:
    """One clause, or for `order` all that it stands for."""
    faults = parts.faults
    keys = check_keys(ClauseKeys, raw, path, faults)
    if keys is None:
        return ()
    words = [word for word in _WORDS if getattr(keys, word) is not None]
    if len(words) != 1:
        _say_words(raw, words, path, parts)
        return ()
    word, value = words[0], getattr(keys, words[0])
    at: Path = (*path, word)
    within_s, after = read_within(keys.within, (*path, "within"), parts.progress.sent, faults)
    when = parts.expressions.truth(keys.when, (*path, "when"), names) if keys.when else None
    if after and word == Word.FOLLOWS:
        fault = "`follows` counts from each of its first events, not from a step."
        faults.say((*path, "within"), "bad-clause", fault, "Write a duration alone: within: 5s.")

    def clause(form: Word, *about: str, limit: int = 0) -> Clause:
        place = faults.marks.value(path)
        return Clause(form, about, place, keys.name, limit, within_s, after, when)

    if word == Word.EMPTY:
        source = _source(value, at, parts)
        if source is not None and not find_sources()[source.word].kind.counts:
            remedy = "Name a queue under `evidence:`, such as {amqp: bus, queue: billing.dlq}."
            faults.say(at, "bad-clause", f"`{value}` reports events and counts nothing.", remedy)
        return (clause(Word.EMPTY, value, limit=int(source.exclusive if source else False)),)
    about = [value] if isinstance(value, str) else list(value)
    for name in about:
        if name not in events:
            faults.say(at, "unknown-event", f"There is no event `{name}`.", meant(name, events, "Add it to `events:`."))
    if any(name not in events for name in about):
        return ()
    if word == "order":
        pairs = tuple(clause(Word.BEFORE, first, then) for first, then in pairwise(about))
        return (*(clause(Word.HAPPENS, name) for name in about), *pairs)
    return (clause(Word(word), *about, limit=next(iter(value.values())) if isinstance(value, dict) else 0),)


def _say_words(raw: dict[str, Any], words: list[str], path: Path, parts: Parts) -> None:
    if words:
        fault = f"One clause cannot be {listed(words)} at once."
        parts.faults.say((*path, words[1]), "bad-clause", fault, "Write a line of its own for each.", at_key=True)
        return
    strange = next((str(key) for key in raw if key not in keys_of(ClauseKeys)), "")
    if not strange or near(strange, _WORDS) is None:  # else it was said as an unknown key
        parts.faults.say(path, "bad-clause", "This clause promises nothing.", f"Write one of {listed(_WORDS)}.")


def _source(name: str, path: Path, parts: Parts) -> Source | None:
    known = parts.shop.settings.evidence
    source = known.get(name)
    if source is None:
        fault = f"The settings have no evidence `{name}`."
        parts.faults.say(path, "unknown-evidence", fault, meant(name, known, "Add it to `evidence:` in synthmon.yaml."))
    return source


def _say_idle(keys: VerifyKeys, events: Mapping[str, EventKeys], parts: Parts) -> None:
    """What has no meaning without a clause."""
    for word in ("within", "settle"):
        if getattr(keys, word) is not None:
            fault = f"`{word}` in `verify` is about events, and there is no clause about any."
            parts.faults.say(("verify", word), "bad-clause", fault, "Add one: {happens: posted}.", at_key=True)
    for name in events:
        fault = f"No clause is about `{name}`."
        parts.faults.say(("events", name), "bad-clause", fault, "Add one to `verify`, or remove it.", at_key=True)
