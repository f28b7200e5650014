"""How an operation lets one in: the headers and parameters that carry a secret, by the description's own schemes."""

from __future__ import annotations

from dataclasses import dataclass, field

from synthmon.imports.naming import word_of
from synthmon.imports.openapi_document import Api, Operation
from synthmon.imports.sealing import Safe
from synthmon.imports.texts import Text, fill, joined


@dataclass(frozen=True, slots=True)
class Entry:
    """What a request carries to be let in, and what the person is told of it."""

    headers: dict[str, str | Text] = field(default_factory=dict)
    params: dict[str, str | Text] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def entry_of(api: Api, operation: Operation, safe: Safe) -> Entry:
    """What an operation needs, of the first way in that it names."""
    headers: dict[str, str | Text] = {}
    params: dict[str, str | Text] = {}
    notes: list[str] = []
    for name in operation.security:
        scheme = api.schemes.get(name, {})
        word = word_of(name, "token")

        def kept(part: str, name: str = name) -> Text:
            return safe.keep(f"\0{name} {part}", part, f"the security scheme {name} asks for it")

        match scheme.get("type"), str(scheme.get("scheme", "")).lower():
            case "http", "basic":
                user, password = kept(f"{word}_user"), kept(f"{word}_password")
                headers["Authorization"] = fill(f"basic({user.only}, {password.only})")
            case ("http", "bearer") | ("oauth2", _) | ("openIdConnect", _):
                headers["Authorization"] = joined("Bearer ", kept(word))
                if scheme["type"] != "http":
                    notes.append(
                        f"{name} gives tokens that expire: a session in the settings (`sessions:`) renews them."
                    )
            case "apiKey", _:
                key = str(scheme.get("name", ""))
                if scheme.get("in") == "query":
                    params[key] = kept(word)
                elif scheme.get("in") == "cookie":
                    headers["Cookie"] = joined(f"{key}=", kept(word))
                else:
                    headers[key] = kept(word)
            case _:
                notes.append(f"The security scheme {name} is not known here: add what it needs to `headers:`.")
    return Entry(headers, params, tuple(notes))
