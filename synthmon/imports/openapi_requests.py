"""One operation as a request of a step: its path, what it requires, an example body, and how it is let in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from synthmon.core.headers import why_not
from synthmon.imports.draft import Request
from synthmon.imports.naming import word_of
from synthmon.imports.openapi_document import Api, Operation, Parameter
from synthmon.imports.openapi_examples import example, example_body
from synthmon.imports.openapi_security import entry_of
from synthmon.imports.people import harmless
from synthmon.imports.sealing import Safe
from synthmon.imports.texts import Path, Text, Value, fill, joined, mapped

_SET_ELSEWHERE = frozenset(("accept", "content-type", "authorization", "idempotency-key"))  # the first three by OpenAPI


@dataclass(slots=True)
class Making:
    """A draft in the making: its secrets, its variables, its notes."""

    api: Api
    safe: Safe
    vars: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Tell something once."""
        if text not in self.notes:
            self.notes.append(text)


def request_of(operation: Operation, filled: Mapping[str, Text], body: Value, making: Making) -> Request:
    """The request of an operation; `filled` are parameters of the path that are known, others become variables."""
    entry = entry_of(making.api, operation, making.safe)
    for note in entry.notes:
        making.note(note)
    params: dict[str, Value] = {}
    headers: dict[str, Value] = {}
    for one in operation.parameters:
        if not one.required or one.place == "path" or one.name in entry.params or one.name in entry.headers:
            continue
        value = _parameter(one, making)
        if value is None:
            making.note(f"{operation.method} {operation.url} needs {one.name}: write it by hand.")
        elif one.place == "query":
            params[one.name] = value
        elif one.place == "header" and one.name.lower() not in _SET_ELSEWHERE and not why_not(one.name):
            headers[one.name] = value
    word = "" if body is None else "form" if "form" in operation.body_type else "json"
    if word == "json" and operation.body_type not in ("application/json", "*/*"):
        headers["Content-Type"] = operation.body_type
    url = joined(*(piece for segment in segments(operation, filled, making) for piece in ("/", segment)))
    return Request(operation.method, url, {**params, **entry.params}, {**headers, **entry.headers}, word, body)


def segments(operation: Operation, filled: Mapping[str, Text], making: Making) -> tuple[str | Text, ...]:
    """The segments of a path with every parameter filled."""
    return tuple(_segment(piece, operation, filled, making) for piece in operation.path)


def body_for(operation: Operation, making: Making) -> Value:
    """An example body, without anything that may belong to a real person; None if there is none."""
    if not operation.body:
        return None
    body = _clean(example_body(making.api, operation.body), making)
    if "form" not in operation.body_type:
        return body
    fields = body if isinstance(body, dict) else {}
    flat = {name: value for name, value in fields.items() if isinstance(value, str | int | float | Text)}
    for name in fields.keys() - flat.keys():
        making.note(f"The form field {name} was left out: write it by hand.")
    return flat


def _segment(piece: str, operation: Operation, filled: Mapping[str, Text], making: Making) -> str | Text:
    parts: list[str | Text] = []
    for i, part in enumerate(re.split(r"\{([^{}]+)\}", piece)):
        if i % 2 == 0:
            parts.append(quote(part, safe="%:@!&'(),;=~+-._$*"))
        else:
            parts.append(filled.get(part) or _variable(part, operation, making))
    return joined(*parts)


def _variable(name: str, operation: Operation, making: Making) -> Text:
    """A parameter of the path that nothing before tells: a variable to be filled in by the person."""
    word = word_of(name, "parameter")
    if word not in making.vars:
        parameter = next((one for one in operation.parameters if one.place == "path" and one.name == name), None)
        schema = making.api.resolved(parameter.raw.get("schema")) if parameter else {}
        told = parameter is not None and (
            "example" in parameter.raw or {"example", "default", "enum", "examples"} & schema.keys()
        )
        value = _parameter(parameter, making) if parameter and told else "1"
        making.vars[word] = value if isinstance(value, str | int | float | Text) else "1"
        making.note(f"Put a {word} that exists into `vars:`.")
    return fill(f"vars.{word}")


def _parameter(one: Parameter, making: Making) -> Value:
    """A value for a parameter: a scalar or a list of scalars, else None."""
    schema = making.api.resolved(one.raw.get("schema"))
    if "example" in one.raw:
        value: Value = one.raw["example"]
    elif examples := making.api.resolved(one.raw.get("examples")):
        value = making.api.resolved(next(iter(examples.values()))).get("value")
    else:
        value = example(making.api, schema, one.name)
    value = _clean(value, making)
    items = value if isinstance(value, list) else [value]
    return value if items and all(isinstance(item, str | int | float | Text) for item in items) else None


def _clean(value: Value, making: Making) -> Value:
    def change(_: Path, leaf: Value) -> Value:
        return harmless(leaf, making.safe)

    return mapped(value, change)
