"""Writes journeys from the operations of an API: a thing is made, read, taken back and gone, or things are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthmon.identities.literals import find_unsafe_literals
from synthmon.imports.draft import Draft, DraftLook, DraftStep, DraftSystem, DraftUndo, Request
from synthmon.imports.exchanges import write_rules
from synthmon.imports.links import selected
from synthmon.imports.naming import journey_name, step_id, system_name, word_of
from synthmon.imports.openapi_document import Api, Operation
from synthmon.imports.openapi_examples import merged, properties_of, required_of, type_of
from synthmon.imports.openapi_requests import Making, body_for, request_of, segments
from synthmon.imports.people import fields_used
from synthmon.imports.sealing import Safe, covers
from synthmon.imports.texts import Path, Text, Value, constant, fill

_OWN_NUMBER = 'int(digits("id", 9))'
GONE = "status in [404, 410]"


@dataclass(frozen=True, slots=True)
class _Id:
    """Where the id of a new thing comes from: an expression over the answer to save, or else a variable."""

    expression: str
    known: Text
    path: Path = ()
    guessed: bool = False


class Writer:
    """Writes drafts for one API; `left_out` are operations that none of them has."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.left_out: list[str] = []

    def leave_out(self, operations: Sequence[Operation]) -> None:
        """Remember operations that are not drafted."""
        for one in operations:
            why = " (it has no DELETE that takes it back)" if one.method == "POST" else ""
            self.left_out.append(f"{one.method} {one.url}{why}")

    def whole(self, create: Operation, read: Operation | None, delete: Operation, others: Sequence[Operation]) -> Draft:
        """Create, read, undo, gone."""
        self.leave_out(others)
        making = self._making()
        name = step_id("POST", _static(create), ())
        body = body_for(create, making)
        parameter = delete.path[-1].strip("{}")
        found = self._id_of_new(create, name, parameter, body, making)
        body = self._with_own_id(create, body, parameter, found)
        request = request_of(create, {}, body, making)
        filled = {parameter: found.known}
        gone = None
        if read is not None:
            filled[read.path[-1].strip("{}")] = found.known
            gone = DraftLook(request_of(read, filled, None, making), (GONE,))
        undo = DraftUndo(request_of(delete, filled, None, making), gone)
        expect = [_status(create), *self._first(self._echoes(create, body, found), self._has_id(create, found))]
        guess = ("Where the id of the new thing stands was guessed: look at `save`.",) if found.guessed else ()
        steps = [
            DraftStep(
                name,
                request,
                tuple(expect),
                _title(create),
                save={"id": found.expression} if found.expression else {},
                undo=undo,
                repeatable=any(
                    one.place == "header" and one.name.lower() == "idempotency-key" for one in create.parameters
                ),
                comments=guess,
            )
        ]
        if read is not None:
            steps.append(self._read_back(read, filled, name, found, create, making))
        writes = (
            write_rules("POST", segments(create, {}, making)),
            write_rules("DELETE", segments(delete, filled, making)),
        )
        return self._draft(
            journey_name(name, "is", "made", "and", "gone"),
            f"{_title(create)}, read it, and take it back",
            steps,
            writes,
            making,
        )

    def reading(self, tag: str, pairs: Sequence[tuple[Operation | None, Operation | None]]) -> Draft | None:
        """Lists, and the first thing of each."""
        making = self._making()
        steps: list[DraftStep] = []
        for listing, read in pairs:
            steps.extend(self._list_and_read(listing, read, [step.id for step in steps], making))
        if not steps:
            return None
        return self._draft(journey_name(tag, "can", "be", "read"), f"{tag}: what can be read", steps, (), making)

    def _list_and_read(
        self, listing: Operation | None, read: Operation | None, used: Sequence[str], making: Making
    ) -> Iterator[DraftStep]:
        filled: dict[str, Text] = {}
        if listing is not None:
            name = step_id("GET", _static(listing), used)
            place = self._id_in_list(listing, read) if read else None
            checks = self._list_checks(listing, bool(place))
            save = {"id": selected(place)} if place else {}
            yield DraftStep(
                name, request_of(listing, {}, None, making), (_status(listing), *checks), _title(listing), save=save
            )
            used = [*used, name]
            if read and place:
                filled[read.path[-1].strip("{}")] = fill(f"{name}.id")
        if read is not None:
            name = step_id("GET", (*_static(read), None), used)
            request = request_of(read, filled, None, making)
            place = _id_place(properties_of(self.api, self._answer(read)), read.path[-1].strip("{}"), self.api)
            known = next(iter(filled.values())).only if filled else ""
            checks = [f"{selected(place)} == {known}"] if place and known else self._has_first(read)
            yield DraftStep(name, request, (_status(read), *checks), _title(read))

    def _read_back(
        self, read: Operation, filled: Mapping[str, Text], made_by: str, found: _Id, create: Operation, making: Making
    ) -> DraftStep:
        place = _id_place(properties_of(self.api, self._answer(read)), read.path[-1].strip("{}"), self.api)
        same = bool(place) and (
            found.path or not found.expression
        )  # an id out of Location is a text, whatever the body says
        checks = [f"{selected(place)} == {found.known.only}"] if place and same else self._has_first(read)
        within = f"10s after {made_by}" if create.success == "202" else ""
        name = step_id("GET", (*_static(read), None), (made_by,))
        return DraftStep(
            name, request_of(read, filled, None, making), (_status(read), *checks), _title(read), within=within
        )

    def _id_of_new(self, create: Operation, name: str, parameter: str, body: Value, making: Making) -> _Id:
        saved = fill(f"{name}.id")
        properties = properties_of(self.api, self._answer(create))
        if path := _id_place(properties, parameter, self.api):
            return _Id(selected(path), saved, path)
        if "location" in create.answer_headers:
            return _Id('find(headers["location"], "([^/?#]+)/?$")', saved)
        own = next((key for key in body if word_of(key) == word_of(parameter)), "") if isinstance(body, dict) else ""
        if own and isinstance(body[own], str | Text):
            word = word_of(own)
            making.vars[word] = body[own] if isinstance(body[own], Text) else fill("run.namespace")
            return _Id("", fill(f"vars.{word}"))
        return _Id("body.id", saved, ("id",), guessed=True)

    def _with_own_id(self, create: Operation, body: Value, parameter: str, found: _Id) -> Value:
        """The body with an id of this run, or without one if the system gives it."""
        if not isinstance(body, dict):
            return body
        schema = merged(self.api, self.api.resolved(create.body.get("schema")))
        made: dict[str, Value] = {}
        for key, value in body.items():
            if word_of(key) != word_of(parameter) and (key,) != found.path:
                made[key] = value
            elif not found.expression:
                made[key] = found.known
            elif key in required_of(schema):
                made[key] = (
                    value
                    if isinstance(value, Text)
                    else fill(_OWN_NUMBER if isinstance(value, int) else "run.namespace")
                )
        return made

    def _echoes(self, create: Operation, body: Value, found: _Id) -> Iterator[str]:
        """Values that the answer should repeat, texts first."""
        properties = properties_of(self.api, self._answer(create))
        sent = {key: value for key, value in body.items() if key in properties} if isinstance(body, dict) else {}
        for key, value in sorted(sent.items(), key=lambda each: not isinstance(each[1], str | Text)):
            hidden = covers((key,)) or properties[key].get("writeOnly") is True or "password" in constant(value)
            plain = (
                isinstance(value, str | int | Text)
                and "run.started" not in constant(value)
                and "secret." not in constant(value)
            )
            if (key,) != found.path and plain and not hidden and constant(value):
                yield f"{selected((key,))} == {constant(value)}"

    def _has_id(self, create: Operation, found: _Id) -> Iterator[str]:
        if found.path and isinstance(found.path[-1], str) and not selected(found.path).endswith("]"):
            yield f"has({selected(found.path)})"
        elif found.expression.startswith("find(headers"):
            yield 'headers["location"] != ""'

    def _first(self, *sources: Iterator[str]) -> list[str]:
        return next(([check] for source in sources for check in source), [])

    def _id_in_list(self, listing: Operation, read: Operation | None) -> Path:
        schema = merged(self.api, self._answer(listing))
        parameter = read.path[-1].strip("{}") if read else "id"
        for place, items in _lists(self.api, schema):
            if found := _id_place(properties_of(self.api, items), parameter, self.api):
                return (*place, 0, *found)
        return ()

    def _list_checks(self, listing: Operation, needs_one: bool) -> list[str]:
        schema = merged(self.api, self._answer(listing))
        place = next((place for place, _ in _lists(self.api, schema)), None)
        if place is None:
            return self._has_first(listing)
        return [f"size({selected(place)}) {'> 0' if needs_one else '>= 0'}"]

    def _has_first(self, operation: Operation) -> list[str]:
        schema = merged(self.api, self._answer(operation))
        places = (selected((name,)) for name in (*required_of(schema), *properties_of(self.api, schema)))
        return next(([f"has({place})"] for place in places if place.startswith("body.")), [])

    def _answer(self, operation: Operation) -> Mapping[str, Any]:
        return self.api.resolved(operation.answer.get("schema"))

    def _making(self) -> Making:
        return Making(self.api, Safe(system_name(self.api.base)))

    def _draft(
        self, name: str, title: str, steps: Sequence[DraftStep], writes: tuple[str, ...], making: Making
    ) -> Draft:
        requests = [request for step in steps for request in _requests(step)]
        used = fields_used([[dict(making.vars)], *([r.url, dict(r.params), dict(r.headers), r.body] for r in requests)])
        system = DraftSystem(system_name(self.api.base), self.api.base, tuple(dict.fromkeys(writes)))
        notes = (*making.notes, *making.safe.notes)
        return Draft(name, title, (system,), tuple(steps), making.vars, "5m", dict(making.safe.variables), used, notes)


def _requests(step: DraftStep) -> Iterator[Request]:
    yield step.request
    if step.undo:
        yield step.undo.request
        if step.undo.gone:
            yield step.undo.gone.request


def _id_place(properties: Mapping[str, Mapping[str, Any]], parameter: str, api: Api, depth: int = 0) -> Path:
    """Where an object has its id: by the name of the parameter, else `id` and the like; also one level below."""
    for word in (word_of(parameter), "id", "uuid", "guid", word_of(parameter).removesuffix("_id") + "_id"):
        for name in properties:
            if word_of(name) == word:
                return (name,)
    for name in ("data", "result", "item", "payload") if not depth else ():
        if name in properties and (found := _id_place(properties_of(api, properties[name]), parameter, api, 1)):
            return (name, *found)
    return ()


def _lists(api: Api, schema: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Where an answer has a list, and what is in it."""
    if type_of(schema) == "array":
        yield (), api.resolved(schema.get("items"))
    for name, one in properties_of(api, schema).items():
        part = merged(api, one)
        if type_of(part) == "array":
            yield (name,), api.resolved(part.get("items"))


def _static(operation: Operation) -> tuple[str | None, ...]:
    return tuple(None if "{" in piece else piece for piece in operation.path)


def _status(operation: Operation) -> str:
    return f"status == {operation.success}" if operation.success.isdigit() else "status >= 200 && status < 300"


def _title(operation: Operation) -> str:
    told = re.sub(r"\s+", " ", operation.title)[:100]
    return f"{operation.method} {operation.url}" if not told or find_unsafe_literals(told) else told
