"""An OpenAPI description (3.0 and 3.1, https://spec.openapis.org/oas/v3.1.0) as its operations, references resolved."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from synthmon.core.errors import Invalid, Place, Problem
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.language.documents import read

LARGEST_BYTES = 8 << 20
MOST_REFERENCES = 20  # in a row
_VERBS = ("get", "head", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation; `place` is path, query, header or cookie."""

    name: str
    place: str
    required: bool
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `path` are its segments, parameters as `{name}`; `success` is the first 2xx status, or
    empty; `body` and `answer` are media type objects for JSON (or a form), or empty."""

    method: str
    path: tuple[str, ...]
    tag: str
    title: str
    parameters: tuple[Parameter, ...]
    success: str
    answer: Mapping[str, Any]
    answer_headers: Collection[str]
    body: Mapping[str, Any]
    body_type: str
    security: tuple[str, ...]  # names of the schemes of the first way in
    name: str = ""

    @property
    def url(self) -> str:
        """As the description writes it."""
        return "/" + "/".join(self.path)


@dataclass(slots=True)
class Api:
    """A description: where the API is, its operations, its security schemes; `notes` are told to the person."""

    root: Mapping[str, Any]
    base: str = ""
    operations: tuple[Operation, ...] = ()
    schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def resolved(self, value: Any) -> Mapping[str, Any]:
        """A map, its `$ref` followed inside this document; an empty one for everything else."""
        for _ in range(MOST_REFERENCES):
            if not isinstance(value, dict):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            if not reference.startswith("#"):
                self._note(f"The reference {reference[:80]} leads out of the file and was left out.")
                return {}
            beside = {key: item for key, item in value.items() if key != "$ref"}
            target = self._at(reference[1:])
            value = {**target, **beside} if isinstance(target, dict) and beside else target
        return {}

    def _at(self, pointer: str) -> Any:
        """RFC 6901, in a URI fragment."""
        found: Any = self.root
        for word in unquote(pointer).split("/")[1:]:
            word = word.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and word in found:
                found = found[word]
            else:
                self._note(f"The reference #{pointer[:80]} leads nowhere.")
                return {}
        return found

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def read_api(text: str, base: str = "") -> Api:
    """Read a description, JSON or YAML. Raises `Invalid`."""
    root = _parsed(text)
    version = root.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        found = f"Swagger {root['swagger']}" if "swagger" in root else "no OpenAPI 3 description"
        raise _refused("openapi-version", f"This is {found}.", "Use OpenAPI 3.0 or 3.1; converters from 2.0 exist.")
    api = Api(root)
    api.base = _base(api, base)
    schemes = api.resolved(api.resolved(root.get("components")).get("securitySchemes"))
    api.schemes = {name: api.resolved(scheme) for name, scheme in schemes.items()}
    api.operations = tuple(_operations(api))
    return api


def _parsed(text: str) -> Mapping[str, Any]:
    if len(text) > LARGEST_BYTES:
        raise _refused(
            "openapi-too-large",
            f"The description is larger than {LARGEST_BYTES >> 20} MB.",
            "Cut it to the paths that matter.",
        )
    tree: Any
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            tree = parse_json(text.encode("utf-8", "replace"))
        except InvalidJson as error:
            raise _refused("openapi-json", f"It is not valid JSON: {error}.", "Correct it.") from None
    else:
        documents, problems = read("openapi", text)
        if not documents and any(problem.code == "yaml-key" for problem in problems):
            documents, problems = read("openapi", _with_texts_as_keys(text, problems))
        if not documents:
            raise Invalid([problem for problem in problems if problem.level == "error"] or [_EMPTY])
        tree = documents[0].tree
    if not isinstance(tree, dict):
        raise Invalid([_EMPTY])
    return tree


def _with_texts_as_keys(text: str, problems: Sequence[Problem]) -> str:
    """Status codes are commonly written without quotes; a probe's reader wants keys that are texts."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for place in sorted((problem.place for problem in problems if problem.code == "yaml-key"), reverse=True):
        line, at = lines[place.line - 1], place.column - 1
        lines[place.line - 1] = line[:at] + re.sub(r"^\d+", r'"\g<0>"', line[at:])
    return "\n".join(lines)


def _base(api: Api, given: str) -> str:
    """Where the API is: as given, or the first server with the defaults of its variables."""
    server = api.resolved(next(iter(_list(api.root.get("servers"))), {}))
    url = str(server.get("url") or "/")
    for name, variable in api.resolved(server.get("variables")).items():
        url = url.replace(f"{{{name}}}", str(api.resolved(variable).get("default", "")))
    if given:
        relative = url if url.startswith("/") and urlsplit(given).path in ("", "/") else ""
        url = given.rstrip("/") + relative
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in url:
        raise _refused(
            "openapi-base",
            f"It does not say where the API is: its server is {url[:80]!r}.",
            "Say it with `base`: https://api.example.com.",
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _operations(api: Api) -> Iterator[Operation]:
    for url, raw in api.resolved(api.root.get("paths")).items():
        if not url.startswith("/"):
            continue
        item = api.resolved(raw)
        for verb in _VERBS:
            if isinstance(item.get(verb), dict):
                yield _operation(api, verb.upper(), url, item, api.resolved(item[verb]))


def _operation(api: Api, method: str, url: str, item: Mapping[str, Any], raw: Mapping[str, Any]) -> Operation:
    path = tuple(url.split("#")[0].partition("?")[0].split("/")[1:])
    tags = [tag for tag in _list(raw.get("tags")) if isinstance(tag, str)]
    success, answer = _success(api, raw)
    body, kind = _content(api, api.resolved(raw.get("requestBody")))
    security = raw.get("security", api.root.get("security"))
    first = next((api.resolved(one) for one in _list(security)), {})
    return Operation(
        method=method,
        path=path,
        tag=tags[0] if tags else next((piece for piece in path if piece and not piece.startswith("{")), "api"),
        title=str(raw.get("summary") or "").strip(),
        parameters=tuple(_parameters(api, item, raw)),
        success=success,
        answer=_content(api, answer)[0],
        answer_headers=[name.lower() for name in api.resolved(answer.get("headers"))],
        body=body,
        body_type=kind,
        security=tuple(first),
        name=str(raw.get("operationId") or ""),
    )


def _parameters(api: Api, item: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[Parameter]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in (*_list(item.get("parameters")), *_list(raw.get("parameters"))):
        parameter = api.resolved(one)
        if isinstance(parameter.get("name"), str) and isinstance(parameter.get("in"), str):
            found[(parameter["name"], parameter["in"])] = parameter
    for (name, place), parameter in found.items():
        yield Parameter(name, place, parameter.get("required") is True or place == "path", parameter)


def _success(api: Api, raw: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    responses = api.resolved(raw.get("responses"))
    codes = sorted(code for code in responses if re.fullmatch(r"2(\d\d|XX)", code, re.IGNORECASE))
    return (codes[0], api.resolved(responses[codes[0]])) if codes else ("", {})


def _content(api: Api, owner: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The media type object for JSON, else for a form; empty without either."""
    content = api.resolved(owner.get("content"))
    for fits in (_JSON.match, _FORM.match):
        for kind, media in content.items():
            if fits(kind):
                return api.resolved(media), kind.partition(";")[0].strip().lower()
    return {}, next(iter(content), "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _refused(code: str, fault: str, remedy: str) -> Invalid:
    return Invalid([Problem(Place("openapi"), code, fault, remedy)])


_JSON = re.compile(r"(application/([\w.-]+\+)?json|\*/\*)\b|\*/\*", re.IGNORECASE)
_FORM = re.compile(r"application/x-www-form-urlencoded|multipart/form-data", re.IGNORECASE)
_EMPTY = Problem(
    Place("openapi"), "openapi-version", "This is no OpenAPI 3 description.", "It begins with `openapi: 3.1.0`."
)
