"""Example values for what an OpenAPI description asks for: its own examples, else something that fits the schema."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthmon.imports.exchanges import LARGEST_INT, fits
from synthmon.imports.naming import word_of
from synthmon.imports.openapi_document import Api
from synthmon.imports.texts import Path, Text, Value, fill, mapped
from synthmon.language.expressions import literal

DEEPEST = 8
MOST_PROPERTIES = 60
MOST_VALUES = 500  # of one example; what is beyond stays empty
_NAMESPACE_LENGTH = 28  # of `run.namespace`


def example_body(api: Api, media: Mapping[str, Any]) -> Value:
    """A body for a media type object. Values of persons and ids are made up anew in every run."""
    given = _given(api, media)
    schema = api.resolved(media.get("schema"))
    if given is None or not fits(given):
        return example(api, schema)
    return _with_formats(api, schema, given)


@dataclass(slots=True)
class Around:
    """The schemas around a part of an example, so that one that holds itself ends; and how many values it has."""

    schemas: list[int] = field(default_factory=list)
    values: int = 0


def example(api: Api, schema: Mapping[str, Any], name: str = "", around: Around | None = None) -> Value:
    """A value for a schema; `name` is the property that it is for. A schema inside itself is empty."""
    around = around or Around()
    around.values += 1
    if id(schema) in around.schemas:
        return [] if type_of(merged(api, schema)) == "array" else {}
    around.schemas.append(id(schema))
    made = _example(api, merged(api, schema), name, around)
    around.schemas.pop()
    return made


def _example(api: Api, schema: Mapping[str, Any], name: str, around: Around) -> Value:
    kind = type_of(schema)
    made = _by_format(schema, name, kind)
    if made is not None:
        return made
    for word in ("const", "example", "default"):
        if word in schema and fits(schema[word]):
            return schema[word]
    for word in ("examples", "enum"):
        if isinstance(schema.get(word), list) and schema[word] and fits(schema[word][0]):
            return schema[word][0]
    match kind:
        case "object":
            return _object(api, schema, around)
        case "array":
            item = [] if _full(around) else [example(api, api.resolved(schema.get("items")), name, around)]
            least = schema.get("minItems")
            return item * (min(least, 20) if isinstance(least, int) and least > 1 else 1)
        case "boolean":
            return True
        case "integer" | "number":
            return _number(schema, kind)
        case "null":
            return None
    return _text(schema, name)


def merged(api: Api, schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A schema with `allOf` joined and the first of `oneOf` and `anyOf` chosen."""
    made = {key: value for key, value in schema.items() if key not in ("allOf", "oneOf", "anyOf")}
    chosen: list[Any] = list(schema["allOf"]) if isinstance(schema.get("allOf"), list) else []
    for word in ("oneOf", "anyOf"):
        options = [api.resolved(one) for one in schema[word]] if isinstance(schema.get(word), list) else []
        chosen += [one for one in options if one.get("type") != "null"][:1]
    for one in chosen if depth < DEEPEST else ():
        part = merged(api, api.resolved(one), depth + 1)
        properties = {**_map(made.get("properties")), **_map(part.get("properties"))}
        required = [*_list(made.get("required")), *_list(part.get("required"))]
        made = {**part, **made}
        if properties:
            made["properties"] = properties
        if required:
            made["required"] = required
    return made


def type_of(schema: Mapping[str, Any]) -> str:
    """The type of a merged schema; `object` and `array` also where only their keys say so, else empty."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else ""


def properties_of(api: Api, schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The properties of a schema, resolved."""
    return {name: api.resolved(one) for name, one in _map(merged(api, schema).get("properties")).items()}


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """The names that a merged schema requires."""
    return [name for name in _list(schema.get("required")) if isinstance(name, str)]


def _given(api: Api, media: Mapping[str, Any]) -> Any:
    if "example" in media:
        return media["example"]
    examples = api.resolved(media.get("examples"))
    return next((one["value"] for one in map(api.resolved, examples.values()) if "value" in one), None)


def _with_formats(api: Api, schema: Mapping[str, Any], given: Any) -> Value:
    """An example of the description with what has to be new in every run."""

    def change(path: Path, leaf: Any) -> Value:
        part: Mapping[str, Any] = merged(api, schema)
        for step in path:
            inner = part.get("items") if isinstance(step, int) else _map(part.get("properties")).get(step)
            part = merged(api, api.resolved(inner))
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        kind = type_of(part) or ("string" if isinstance(leaf, str) else "")
        made = _by_format(part, name, kind) if isinstance(leaf, str) else None
        return leaf if made is None else made

    return mapped(given, change)


def _full(around: Around) -> bool:
    return len(around.schemas) > DEEPEST or around.values > MOST_VALUES


def _object(api: Api, schema: Mapping[str, Any], around: Around) -> dict[str, Value]:
    properties = {name: api.resolved(one) for name, one in _map(schema.get("properties")).items()}
    required = [name for name in required_of(schema) if name in properties]
    wanted = [name for name in properties if name in required or (not required and len(around.schemas) == 1)]
    if _full(around):
        return {}
    writable = [name for name in wanted if properties[name].get("readOnly") is not True][:MOST_PROPERTIES]
    return {name: example(api, properties[name], name, around) for name in writable}


def _by_format(schema: Mapping[str, Any], name: str, kind: str) -> Value:
    """What names a person, an id or a moment, by its format or its name; None for everything else."""
    if kind not in ("string", "") or "enum" in schema or "const" in schema:
        return None
    word = word_of(name, "")
    match schema.get("format"):
        case "email" | "idn-email":
            return fill("identity.email")
        case "uuid":
            return fill(f"uuid({literal(word or 'id')})")
        case "date":
            return fill('date(run.started, "%Y-%m-%d", "UTC")')
        case "date-time":
            return fill("run.started")
        case "password":
            return fill("identity.password")
        case "uri" | "url" | "uri-reference":
            return schema.get("example", "https://www.example.com/")
        case "ipv4":
            return "192.0.2.1"
        case "ipv6":
            return "2001:db8::1"
        case "hostname" | "idn-hostname":
            return "www.example.com"
        case "time":
            return "12:00:00Z"
        case "duration":
            return "PT1H"
        case "byte":
            return "c3ludGhldGlj"
    known = _PERSON.get(word.replace("_", ""))
    return fill(f"identity.{known}") if known and kind == "string" else None


def _number(schema: Mapping[str, Any], kind: str) -> Value:
    low, high = _bound(schema, "minimum", "exclusiveMinimum", 1), _bound(schema, "maximum", "exclusiveMaximum", -1)
    step = schema.get("multipleOf")
    made: float = max(1, low) if low is not None else 1
    if high is not None and made > high:
        made = high
    if isinstance(step, int | float) and step > 0:
        made = math.ceil(made / step) * step
    return (
        max(min(int(made), LARGEST_INT), -LARGEST_INT) if kind == "integer" or float(made).is_integer() else float(made)
    )


def _bound(schema: Mapping[str, Any], word: str, exclusive: str, away: int) -> float | None:
    """A limit: OpenAPI 3.0 says `exclusiveMinimum: true` beside it, 3.1 gives a number of its own."""
    limit, other = schema.get(word), schema.get(exclusive)
    if isinstance(other, int | float) and not isinstance(other, bool):
        return other + away
    if isinstance(limit, int | float):
        return limit + away if other is True else limit
    return None


def _text(schema: Mapping[str, Any], name: str) -> str | Text:
    """A text that shows whose it is, no longer than allowed."""
    longest, least = schema.get("maxLength"), schema.get("minLength")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and (
        found := re.fullmatch(r"\^?\\d\{(\d{1,2})(,\d*)?\}\$?|\^?\[0-9\]\{(\d{1,2})(,\d*)?\}\$?", pattern)
    ):
        return fill(f"digits({literal(word_of(name, 'number'))}, {max(int(found[1] or found[3]), 1)})")
    if isinstance(longest, int) and longest < _NAMESPACE_LENGTH:
        return "synthetic"[: max(longest, 0)]
    if isinstance(least, int) and least > _NAMESPACE_LENGTH:
        return Text((*fill("run.namespace").parts, "x" * min(least - _NAMESPACE_LENGTH, 2000)))
    return fill("run.namespace")


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_PERSON = {
    "email": "email",
    "emailaddress": "email",
    "mail": "email",
    "firstname": "first_name",
    "givenname": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "familyname": "last_name",
    "fullname": "name",
    "phone": "phone",
    "phonenumber": "phone",
    "mobile": "phone",
    "telephone": "phone",
    "street": "street",
    "city": "city",
    "postcode": "postcode",
    "zip": "postcode",
    "zipcode": "postcode",
    "postalcode": "postcode",
    "password": "password",
    "iban": "iban",
    "cardnumber": "card",
    "username": "username",
}
