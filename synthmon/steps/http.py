"""`http` sends one HTTP request and reads the whole answer.

```yaml
journey: catalogue
every: 5m
steps:
  - id: page
    http: GET https://shop.example.com/products
    params: {query: "tea ${run.namespace}", size: 20}
    headers: {Accept: application/json}
    timeout: 5s
    expect:
      - status == 200
      - headers["content-type"].startsWith("application/json")
      - size(body.items) > 0
      - elapsed < duration("2s")
    save:
      id: body.items[0].id
  - id: product
    http: GET https://shop.example.com/products/${page.id}
    expect:
      - status == 200
```

A URL that is not absolute is put behind the base of the system. A `${…}` in it is percent-encoded, so that its value
stays one path segment or one value of the query; only at the very beginning of the URL it stands as it is, for a link
that an answer gave. At most one body: `json`, `body` (text, or `{file: path}` as it is) or `form` (with a
`{file: path, type: image/png}` among its values it goes out as multipart/form-data). Lists in `params`, `form` and
`headers` repeat the name. GET, HEAD, OPTIONS and TRACE read; every other method is a write and needs `undo:` or
`leaves:`.

Offers: `status` (int), `headers` (lower-case names; repeated ones joined by ", "), `body` (the parsed JSON, or the text
if the answer does not say that it is JSON), `text`, `bytes`, `elapsed` (from asking for a socket to the last byte),
`phase.dns` `phase.connect` `phase.tls` `phase.wait` `phase.read`, and over TLS `tls.expires_in`.
An answer that says it is JSON and is not (NaN, a key that stands twice, cut short) has no `body`: every check on it
fails, and the step's line says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Door, Envelope, HttpAnswer, HttpRequest, Trouble
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.headers import why_not
from synthmon.core.kinds import Maker, Path
from synthmon.core.payload import FilePart, FixedPayload, FormPayload, JsonPayload, Payload, TextPayload
from synthmon.core.secrets import masked
from synthmon.core.templates import Tree
from synthmon.core.urls import UrlTemplate, pairs, query, url_template
from synthmon.steps.http_answer import OFFERS, fault_of_body, offered, on_the_wire

READS = ("GET", "HEAD", "OPTIONS", "TRACE")
METHODS = (*READS, "POST", "PUT", "PATCH", "DELETE")

Scalar = str | int | float | bool
_CLOSED = ConfigDict(frozen=True, extra="forbid")


class FileKeys(BaseModel):
    """A file beside the probe."""

    model_config = _CLOSED

    file: str = Field(description="Path of a file, relative to the probe; at most 1 MiB.")
    type: str = Field("application/octet-stream", description="Its media type.")


class HttpKeys(BaseModel):
    """The keys of an `http` step."""

    model_config = _CLOSED

    http: str = Field(description="The method and the URL, absolute or behind the system's base: `POST /orders`.")
    params: Mapping[str, Scalar | list[Scalar]] = Field({}, description="The query, percent-encoded; a list repeats.")
    json_body: Any = Field(None, alias="json", description="A body as JSON; `${…}` may stand in any value.")
    body: str | FileKeys | None = Field(
        None, description="A body as text, or `{file: path, type: media/type}` as it is."
    )
    form: Mapping[str, Scalar | FileKeys | list[Scalar]] | None = Field(
        None, description="Form fields; a value `{file: path, type: media/type}` makes it multipart/form-data."
    )
    headers: Mapping[str, Scalar | list[Scalar]] = Field({}, description="Request headers; a list repeats its name.")


@dataclass(frozen=True, slots=True, eq=False)
class HttpSpec:
    """A request with values still to be filled in (`core.journey.Spec`)."""

    method: str
    url: UrlTemplate
    params: Tree | None = None
    payload: Payload | None = None
    headers: Tree | None = None
    typed: bool = False  # the writer names the media type

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "http"

    @property
    def effect(self) -> bool:
        """Whether it is a write."""
        return self.method not in READS

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        return self.url.refs.union(*(part.refs for part in (self.params, self.payload, self.headers) if part))

    def render(self, scope: Scope) -> HttpRequest:
        """The request with all values filled in. Raises `ExpressionError`."""
        url = self.url.render(scope)
        if self.params is not None:
            url += ("&" if "?" in url else "?") + query(pairs(self.params.render(scope)))
        headers = [] if self.headers is None else pairs(self.headers.render(scope))
        if self.payload is None:
            return HttpRequest(self.method, url, tuple(headers))
        body, kind = self.payload.render(scope)
        if not self.typed:
            headers.append(("Content-Type", kind))
        return HttpRequest(self.method, url, tuple(headers), body)

    def see(self, request: HttpRequest, answer: HttpAnswer) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use. Without `body` when the answer says JSON and is none."""
        return offered(request, answer)

    def excerpt(self, request: HttpRequest, answer: HttpAnswer | None) -> tuple[str, str]:
        """Both as they stand on the wire, their bodies cut, the handles of secrets masked."""
        asked = on_the_wire(f"{request.method} {request.url}", request.headers, request.body or b"")
        if answer is None:
            return asked, ""
        return asked, on_the_wire(f"{answer.status}", answer.headers, answer.content)

    def complaint(self, request: HttpRequest, answer: HttpAnswer | None) -> str:
        """What is wrong with a body that says it is JSON."""
        return fault_of_body(request, answer) if answer is not None else ""

    def describe(self, request: HttpRequest, answer: HttpAnswer | None) -> str:
        """`POST /orders → 201`, secrets masked."""
        asked = f"{request.method} {masked(request.url)}"
        return asked if answer is None else f"{asked} → {answer.status}"


_MANUAL = __doc__


class HttpKind:
    """The kind of step that `http:` chooses (`core.kinds.Kind`)."""

    word: str = "http"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = HttpKeys
    via: Literal["system"] = "system"
    offers: Mapping[str, str] = OFFERS

    def compile(self, keys: HttpKeys, make: Maker) -> HttpSpec:
        """From checked keys to a spec; faults go to `make`."""
        method, url = _target(keys, make)
        _check_headers(keys, make)
        return HttpSpec(
            method=method,
            url=url,
            params=make.tree(dict(keys.params), ("params",)) if keys.params else None,
            payload=_payload(keys, make),
            headers=make.tree(dict(keys.headers), ("headers",)) if keys.headers else None,
            typed=any(name.lower() == "content-type" for name in keys.headers),
        )

    async def perform(self, request: HttpRequest, door: Door, envelope: Envelope) -> HttpAnswer | Trouble:
        """Send it through the door."""
        return await door.http(request, envelope)


KIND = HttpKind()


def _target(keys: HttpKeys, make: Maker) -> tuple[str, UrlTemplate]:
    """The whole text is compiled, so that a column counts from its beginning; then the method is cut off."""
    path: Path = ("http",)
    parts = make.template(keys.http, path).parts
    first = parts[0] if parts and isinstance(parts[0], str) else ""
    method, space, rest = first.partition(" ")
    if method not in METHODS or not space:
        make.fault(path, "http-method", f"{keys.http!r} does not begin with a method.", _method_meant(keys.http))
        return "GET", url_template(("/",))
    rest = rest.lstrip()
    if not rest and len(parts) == 1:
        make.fault(path, "http-url", f"{method} has no URL.", "Write `GET /path` or `GET https://host/path`.")
    if any(isinstance(part, str) and "#" in part for part in parts):
        make.fault(path, "http-fragment", "A fragment (#…) never leaves the client.", "Leave it out, or write %23.")
    return method, url_template((*((rest,) if rest else ()), *parts[1:]))


def _payload(keys: HttpKeys, make: Maker) -> Payload | None:
    given = [word for word in ("json", "body", "form") if _FIELDS[word] in keys.model_fields_set]
    if len(given) > 1:
        make.fault((given[1],), "http-bodies", f"A request has one body, not {_listed(given)}.", "Keep one of them.")
    if "json" in given:
        return _constant(JsonPayload(make.tree(keys.json_body, ("json",))))
    match keys.body:
        case str():
            return _constant(TextPayload(make.template(keys.body, ("body",))))
        case FileKeys():
            return FixedPayload(make.read(keys.body.file, ("body", "file")), keys.body.type)
    return None if keys.form is None else _form(keys.form, make)


def _form(form: Mapping[str, Any], make: Maker) -> Payload:
    fields = {name: value for name, value in form.items() if not isinstance(value, FileKeys)}
    files = tuple(
        FilePart(name, PurePosixPath(value.file).name, value.type, make.read(value.file, ("form", name, "file")))
        for name, value in form.items()
        if isinstance(value, FileKeys)
    )
    return FormPayload(make.tree(fields, ("form",)), files)


def _constant(payload: Payload) -> Payload:
    """A body without values in it is written once, here."""
    if payload.refs:
        return payload
    try:
        return FixedPayload(*payload.render(Scope({})))
    except ExpressionError:
        return payload  # it will say so when it is rendered


def _check_headers(keys: HttpKeys, make: Maker) -> None:
    for name in keys.headers:
        if why := why_not(name):
            make.fault(("headers", name), "http-header", f"The header {name!r} {why}.", "Leave it out.")


def _method_meant(said: str) -> str:
    """The method that was probably meant, or all there are."""
    near = get_close_matches(said.partition(" ")[0].upper(), METHODS, 1)
    return f"Did you mean {near[0]}?" if near else f"Write one of {_listed(METHODS)}."


def _listed(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}"


_FIELDS = {"json": "json_body", "body": "body", "form": "form"}
