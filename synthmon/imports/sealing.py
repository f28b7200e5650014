"""Takes secrets out of captured requests: each becomes `${secret.<name>}` and the name of an environment variable."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

from synthmon.imports.exchanges import Exchange
from synthmon.imports.naming import unused, word_of
from synthmon.imports.texts import Fill, Path, Text, Value, fill, joined, mapped, replaced

SECRET_HEADER = re.compile(
    r"authorization|cookie|token|secret|api[-_]?key|passw|session|credential|signature|x-auth", re.IGNORECASE
)
SECRET_KEY = re.compile(
    r"(.*_)?(api_?key|access_?key|secret|secret_?key|client_secret|token|access_token|refresh_token|id_token|auth|auth_token|"
    r"authorization|jwt|bearer|sig|signature|hmac|password|passwd|passphrase|pwd|pin|otp|totp|credential|credentials|"
    r"session|session_?id|sid|code_verifier|client_assertion|assertion|private_key|csrf|csrf_?token|xsrf|nonce)"
)
_JWT = re.compile(r"eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_PASSWORD = re.compile(r"(.*_)?(password|passwd|pwd|passphrase)(_.*)?")
_LOGIN = re.compile(r"log_?-?in|sign_?-?in|session|token|auth|oauth|connect", re.IGNORECASE)
SHORTEST_ELSEWHERE = 6  # a shorter secret is not looked for in other places: it would be found in innocent text


class Safe:
    """The secrets of one draft: what was found, and what it is called from now on."""

    def __init__(self, prefix: str) -> None:
        self._prefix = word_of(prefix, "system")
        self._names: dict[str, str] = {}  # value -> name
        self.variables: dict[str, str] = {}  # name -> environment variable
        self.where: dict[str, str] = {}  # name -> where it stood

    def keep(self, value: str, word: str, where: str) -> Text:
        """The text that stands for a secret value; the same for the same value."""
        variable = _VARIABLE.fullmatch(value)
        if value not in self._names:
            name = unused(word_of(variable[1] if variable else f"{self._prefix}_{word}"), self.variables)
            self._names[value] = name
            self.variables[name] = variable[1] if variable else name.upper()
            self.where[name] = where
        return fill(f"secret.{self._names[value]}")

    def cover(self, value: Value) -> Value:
        """A leaf without any secret that was found before, plain or percent-encoded."""
        if not isinstance(value, str | Text):
            return value
        for secret in sorted(self._names, key=len, reverse=True):
            if len(secret) >= SHORTEST_ELSEWHERE:
                hidden = fill(f"secret.{self._names[secret]}")
                for spelled in dict.fromkeys((secret, quote(secret, safe=""))):
                    value = replaced(value, spelled, hidden)
        return value

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person has to do."""
        return tuple(f"Set {self.variables[name]} in the environment: {where}." for name, where in self.where.items())


def sealed(exchanges: Sequence[Exchange], safe: Safe) -> list[Exchange]:
    """The exchanges without secrets; answers are left as they are and must not be written down."""
    found = [_known_places(exchange, safe) for exchange in exchanges]
    return [_everywhere(exchange, safe) for exchange in found]


def covers(path: Path) -> bool:
    """Whether a value under this path is a secret by its name; in a list the list's name counts."""
    names = path if path and isinstance(path[-1], str) else path[:-1]
    return bool(names) and isinstance(names[-1], str) and bool(SECRET_KEY.fullmatch(word_of(names[-1])))


def _known_places(exchange: Exchange, safe: Safe) -> Exchange:
    """Secrets that stand where secrets stand, or that look like one."""
    login = exchange.write and any(isinstance(piece, str) and _LOGIN.search(piece) for piece in exchange.path)

    def of_body(path: Path, leaf: Value) -> Value:
        if not isinstance(leaf, str | int) or isinstance(leaf, bool) or leaf == "":
            return leaf
        key = word_of(next((step for step in reversed(path) if isinstance(step, str)), ""))
        if _PASSWORD.fullmatch(key) and exchange.write and not login and exchange.word != "body":
            return fill("identity.password")
        if covers(path):
            return safe.keep(str(leaf), key, f"it was `{key}` in the body of {exchange.method}")
        return _jwt(leaf, safe)

    def of_query(path: Path, leaf: Value) -> Value:
        key = word_of(str(path[0]), "key")
        plain = str(path[0]).lower() == "key" and isinstance(leaf, str) and len(leaf) >= 16
        if isinstance(leaf, str) and leaf and (covers(path) or plain):
            return safe.keep(leaf, key, f"it was `{key}` in the query of {exchange.method}")
        return _jwt(leaf, safe)

    return replace(
        exchange,
        headers={name: _header(name, value, safe) for name, value in exchange.headers.items()},
        params=mapped(dict(exchange.params), of_query),
        body=mapped(exchange.body, of_body) if exchange.word else None,
        path=tuple(_jwt(piece, safe) for piece in exchange.path),
    )


def _everywhere(exchange: Exchange, safe: Safe) -> Exchange:
    def cover(_: Path, leaf: Value) -> Value:
        return safe.cover(leaf)

    return replace(
        exchange,
        headers=mapped(dict(exchange.headers), cover),
        params=mapped(dict(exchange.params), cover),
        body=mapped(exchange.body, cover),
        path=tuple(safe.cover(piece) for piece in exchange.path),
    )


def _header(name: str, value: Value, safe: Safe) -> Value:
    if not isinstance(value, str) or not SECRET_HEADER.search(name) or not value:
        return _jwt(value, safe)
    lower = name.lower()
    if lower == "authorization":
        return _authorization(value, safe)
    word = "cookie" if lower == "cookie" else word_of(lower.removeprefix("x-"))
    return safe.keep(value, word, f"it was in the header {name}")


def _authorization(value: str, safe: Safe) -> Value:
    scheme, blank, rest = value.partition(" ")
    where = "it was in the header Authorization"
    if scheme.lower() == "basic" and (pair := _decoded(rest)):
        return credentials(*pair, safe)
    if blank and re.fullmatch(r"[A-Za-z][\w-]*", scheme) and not re.search(r"[\s,=]\S", rest.rstrip("=")):
        return joined(f"{scheme} ", safe.keep(rest.strip(), "token", where))
    return safe.keep(value, "authorization", where)


def credentials(user: str, password: str, safe: Safe) -> Value:
    """Basic authentication (RFC 7617), the password and a user that names somebody taken out."""
    hidden = safe.keep(password, "password", "it was the password of basic authentication").only if password else '""'
    shown = (
        safe.keep(user, "user", "it was the user of basic authentication").only
        if "@" in user or not user.isascii() or "$" in user
        else ""
    )
    if not shown:
        shown = '"' + re.sub(r'(["\\])', r"\\\1", user) + '"'
    return fill(f"basic({shown}, {hidden})")


def _decoded(packed: str) -> tuple[str, str] | None:
    try:
        user, colon, password = base64.b64decode(packed, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon and (user + password).isprintable() else None


def _jwt(leaf: Value, safe: Safe) -> Value:
    """A signed token is a secret wherever it stands."""
    pieces: list[str | Fill | Text] = []
    for part in leaf.parts if isinstance(leaf, Text) else (leaf,) if isinstance(leaf, str) else ():
        if isinstance(part, Fill):
            pieces.append(part)
            continue
        at = 0
        for found in _JWT.finditer(part):
            pieces += [part[at : found.start()], safe.keep(unquote(found[0]), "token", "it was a signed token")]
            at = found.end()
        pieces.append(part[at:])
    return joined(*pieces) if pieces else leaf
