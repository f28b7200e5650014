"""From a curl command line, as a browser or a manual shows it, to a draft of a probe."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from synthmon.core.errors import Invalid, Place, Problem
from synthmon.core.foreign import disarm
from synthmon.imports.curl_options import NOTED, NOTED_WITH_VALUE, REMEDIES, SHORT, is_known, takes_value
from synthmon.imports.draft import Draft
from synthmon.imports.drafting import Extras, drafted
from synthmon.imports.exchanges import LARGEST_BODY, METHODS, BadUrl, Exchange, body_of, gathered, pairs_of, taken_apart
from synthmon.imports.noise import meant_headers
from synthmon.imports.shell_words import shell_words
from synthmon.imports.texts import Value

FORM = "application/x-www-form-urlencoded"
_LOOK = 'Expect what a right answer holds, not only its status: body.status == "placed"'


def from_curl(command: str) -> Draft:
    """The draft of one step. Secrets become names, people invented ones; files are named, not read.

    Raises `Invalid` with every problem of the command: no URL, an option that is not known here, `-k`.
    """
    try:
        words = shell_words(disarm(command))
    except ValueError:
        raise Invalid([_problem("curl-quote", "A quote is never closed.", "Copy the whole command again.")]) from None
    asked = _Asked()
    if not words or not re.fullmatch(r"(.*/)?curl(\.exe)?", words[0]):
        asked.say("curl-command", "This is no curl command.", "Begin with `curl`; a browser copies it as cURL (bash).")
        raise Invalid(asked.problems)
    for option, value in _options(words[1:], asked):
        asked.take(option, value)
    exchange = _exchange(asked)
    if asked.problems or exchange is None:
        raise Invalid(asked.problems)
    timeouts = {0: asked.timeout} if asked.timeout else {}
    return drafted([exchange], asked.notes, Extras({0: (_LOOK,)}, timeouts, asked.follow))


@dataclass(slots=True)
class _Asked:
    """What the options asked for."""

    urls: list[str] = field(default_factory=list)
    method: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    parts: list[tuple[str, Value]] = field(default_factory=list)
    file: str = ""
    as_query: bool = False
    json: bool = False
    head: bool = False
    upload: bool = False
    follow: bool = False
    timeout: str = ""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, code: str, fault: str, remedy: str) -> None:
        self.problems.append(_problem(code, fault, remedy))

    def header(self, name: str) -> str:
        return next((value for known, value in reversed(self.headers) if known.lower() == name.lower()), "")

    def take(self, option: str, value: str) -> None:
        """Understand one option (its long name)."""
        match option:
            case "url":
                self.urls.append(value)
            case "request":
                self.method = value.upper()
            case "header":
                name, colon, text = value.partition(":")
                if colon and text.strip():
                    self.headers.append((name.strip(), text.strip()))
            case "data" | "data-ascii" | "data-raw" | "data-binary" | "json":
                self._take_data(option, value)
            case "data-urlencode":
                self._take_encoded(value)
            case "form" | "form-string":
                self._take_part(value, plain=option == "form-string")
            case "user":
                packed = base64.b64encode((value if ":" in value else f"{value}:").encode()).decode()
                self.headers.append(("Authorization", f"Basic {packed}"))
            case "oauth2-bearer":
                self.headers.append(("Authorization", f"Bearer {value}"))
            case "cookie" if "=" in value:
                self.headers.append(("Cookie", value))
            case "cookie":
                self.notes.append("The file of cookies (-b) was left out: a step that logs in can save its cookie.")
            case "user-agent":
                self.headers.append(("User-Agent", value))
            case "referer":
                self.headers.append(("Referer", value.removesuffix(";auto")))
            case "url-query":
                self.queries.append(value)
            case "max-time":
                self.timeout = (
                    f"{float(value):g}s" if re.fullmatch(r"\d{1,5}(\.\d+)?", value) and float(value) > 0 else ""
                )
            case "upload-file":
                self.upload, self.file = True, value
            case "get":
                self.as_query = True
            case "head":
                self.head = True
            case "location":
                self.follow = True
            case "insecure":
                fault = "-k switches off the check of certificates: whoever answers would be believed."
                remedy = "Leave -k out; for a certificate of your own name it in the settings: `tls: {ca: ca.pem}`."
                self.say("curl-insecure", fault, remedy)
            case _ if option in NOTED or option in NOTED_WITH_VALUE:
                remedy = REMEDIES.get(option, "nothing takes its place")
                self.notes.append(f"--{option} was left out: {remedy}.")

    def _take_data(self, option: str, value: str) -> None:
        if option == "json":
            self.json = True
        if value.startswith("@") and option != "data-raw":
            self.file = value[1:]
        else:
            self.data.append(value)

    def _take_encoded(self, value: str) -> None:
        """`name=content`, `=content` or `content`: the content is encoded."""
        name, sign, content = value.partition("=") if "=" in value else ("", "", value)
        if "@" in name or (not sign and content.startswith("@")):
            self.notes.append("--data-urlencode with a file was left out: write its content into the probe.")
            return
        self.data.append(f"{name}={quote_plus(content)}" if name else quote_plus(content))

    def _take_part(self, value: str, plain: bool) -> None:
        name, _, content = value.partition("=")
        if plain or not content.startswith(("@", "<")):
            self.parts.append((name, content if plain else content.partition(";type=")[0]))
            return
        file, *more = content[1:].split(";")
        kind = next((one[5:] for one in more if one.startswith("type=")), "application/octet-stream")
        self.parts.append((name, {"file": file, "type": kind}))
        self.notes.append(f"Put the file {file} beside the probe.")


def _options(words: Sequence[str], asked: _Asked) -> Iterator[tuple[str, str]]:
    """Every option by its long name with its value; a word without a dash is a URL."""
    rest = iter(words)
    for word in rest:
        if word in ("-", "--") or not word.startswith("-"):
            if word not in ("-", "--"):
                yield "url", word
            continue
        if word.startswith("--"):
            name, sign, value = word[2:].partition("=")
            yield from _option(name, value, bool(sign), word, rest, asked)
            continue
        letters = word[1:]
        while letters:
            name, letters = SHORT.get(letters[0], letters[0]), letters[1:]
            if takes_value(name):
                yield from _option(name, letters, bool(letters), word, rest, asked)
                break
            yield from _option(name, "", False, word, rest, asked)


def _option(
    name: str, value: str, given: bool, word: str, rest: Iterator[str], asked: _Asked
) -> Iterator[tuple[str, str]]:
    if name == "next":
        asked.say("curl-several", "The command has several requests (--next).", "Bring in one after the other.")
    elif not is_known(name):
        shown = word.partition("=")[0] if word.startswith("--") else f"-{name}"
        asked.say(
            "curl-option",
            f"The option {shown} is not known here.",
            "Leave it out, and write what it means into the probe.",
        )
    elif not takes_value(name):
        yield name, ""
    else:
        yield name, value if given else next(rest, "")


def _exchange(asked: _Asked) -> Exchange | None:
    if len(asked.urls) != 1:
        fault = "There is no URL." if not asked.urls else f"There are {len(asked.urls)} URLs."
        asked.say("curl-url", fault, "Give one URL; quote it if it holds & or blanks.")
        return None
    url = asked.urls[0] if "://" in asked.urls[0] else f"http://{asked.urls[0]}"
    try:
        origin, path, params, user = taken_apart(url)
    except BadUrl as error:
        asked.say("curl-url", f"The URL cannot be asked for: {error}.", "Write https://host/path.")
        return None
    if re.search(r"[{}<>]|\$[A-Za-z_]", url):
        asked.notes.append("The URL has a placeholder: put a value in its place.")
    if user and not asked.header("Authorization"):
        asked.take("user", user)
    for query in (*asked.queries, *(asked.data if asked.as_query else ())):
        params = gathered([*_flat(params), *_flat(pairs_of(query))])
    word, body, headers = _body(asked)
    method = asked.method or _method(asked)
    if method not in METHODS:
        asked.say("curl-method", f"The method {method} is not known here.", f"Use one of {', '.join(METHODS)}.")
        return None
    return Exchange(method, origin, path, params, headers, word, body)


def _body(asked: _Asked) -> tuple[str, Value, dict[str, Value]]:
    """The body as (word, value), and the headers that are still meant with it."""
    headers = meant_headers(dict(asked.headers))
    if asked.header("Authorization"):
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = asked.header("Authorization")
    media = asked.header("Content-Type")
    text = "" if asked.as_query else "&".join(asked.data)
    if asked.json:
        headers.setdefault("Accept", "application/json")
    if asked.parts:
        return "form", gathered(asked.parts), _without_type(headers)
    if asked.file:
        asked.notes.append(f"Put the file {asked.file} beside the probe.")
        kind = media or ("application/json" if asked.json else "application/octet-stream" if asked.upload else FORM)
        return "body", {"file": asked.file, "type": kind}, _without_type(headers)
    if not text:
        return "", None, headers
    if len(text) > LARGEST_BODY:
        asked.say("curl-body", "The body is too large for a probe.", "Put it into a file: --data-binary @body.json.")
        return "", None, headers
    kind = media or ("application/json" if asked.json else FORM)
    if not media and not asked.json and text.lstrip().startswith(("{", "[")):
        kind = "application/json"
        asked.notes.append("The body looks like JSON and is sent as JSON; curl would have called it a form.")
    word, body, implied = body_of(text, kind)
    if implied:
        return word, body, _without_type(headers)
    if word in ("body", "json") and not media:
        headers["Content-Type"] = kind
    return word, body, headers if word != "form" else _without_type(headers)


def _method(asked: _Asked) -> str:
    if asked.head:
        return "HEAD"
    if asked.upload:
        return "PUT"
    return "POST" if not asked.as_query and (asked.data or asked.parts or asked.file) else "GET"


def _without_type(headers: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}


def _flat(params: dict[str, Value]) -> list[tuple[str, Value]]:
    return [(name, one) for name, value in params.items() for one in (value if isinstance(value, list) else [value])]


def _problem(code: str, fault: str, remedy: str) -> Problem:
    return Problem(Place("curl"), code, fault, remedy)
