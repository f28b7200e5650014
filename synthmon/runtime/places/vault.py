"""`vault:PATH#FIELD`: a field of what HashiCorp Vault keeps under a path of its HTTP API.

`vault:secret/data/synthmon#api_token` reads version 2 of the key-value store (whose path has `data/` behind the mount),
`vault:kv/synthmon#api_token` version 1, `vault:database/creds/synthmon#password` a credential made for us.
API: https://developer.hashicorp.com/vault/api-docs (auth/approle, auth/kubernetes, secret/kv).
"""

from __future__ import annotations

import json
import secrets as chance
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from synthmon.core.door import Envelope, HttpAnswer, HttpRequest, Trouble
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.secrets import Vault, seal
from synthmon.core.system import System
from synthmon.language.settings import VaultServer
from synthmon.runtime.doors import Doors
from synthmon.runtime.outbound.trust import TrustError
from synthmon.runtime.references import resolve

LIMIT_S = 5.0
RENEW_AT = 2 / 3  # of the time that a token or a lease lives

_TOKEN = seal("vault.token")


class VaultFault(Exception):
    """Vault gave no value; the message says why, and never holds one."""


@dataclass(frozen=True, slots=True)
class Leased:
    """What Vault answered for one path; `until_s` (monotonic) is when it must be asked again, None if it need not."""

    fields: Mapping[str, Any] = field(repr=False)
    until_s: float | None


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    until_s: float | None  # None: we did not make it, and do not know


class VaultClient:
    """One Vault server as the settings describe it. It keeps its login until two thirds of its time are over."""

    def __init__(self, server: VaultServer, doors: Doors) -> None:
        self.server, self._doors = server, doors
        self._token: _Token | None = None
        host = urlsplit(server.address).hostname or ""
        self._system = System(
            name="vault",
            base={"": server.address},
            allow=(host,),
            allow_networks=("0.0.0.0/0", "::/0"),  # whoever wrote the address meant it
            writes=True,
            propagate=False,
            tls=server.tls,
        )

    async def read(self, paths: Iterable[str]) -> Mapping[str, Leased | VaultFault]:
        """What lies under each path; each is asked for once, so that its fields belong together."""
        found: dict[str, Leased | VaultFault] = {}
        if self.server.token:
            self._token = None  # read again: an agent may have replaced the file
        for path in paths:
            try:
                found[path] = await self._read(path)
            except VaultFault as fault:
                found[path] = fault
        return found

    async def _read(self, path: str) -> Leased:
        fresh = await self._log_in_if_needed()
        answer = await self._ask("GET", path)
        if answer.status == 403 and not fresh:  # the token was revoked, or ended sooner than it said
            self._token = None
            await self._log_in_if_needed()
            answer = await self._ask("GET", path)
        if answer.status != 200:
            raise VaultFault(_words(answer.status, path))
        told = _json(answer)
        data = told.get("data")
        if not isinstance(data, dict):
            raise VaultFault(f"vault answered {path} without data")
        if isinstance(data.get("data"), dict) and "metadata" in data:  # version 2 wraps its fields once more
            data = data["data"]
        return Leased(data, _until_s(told.get("lease_duration")) if told.get("lease_id") else None)

    async def _log_in_if_needed(self) -> bool:
        """Whether the token is new."""
        token = self._token
        if token is not None and (token.until_s is None or time.monotonic() < token.until_s):
            return False
        self._token = await self._log_in()
        return True

    async def _log_in(self) -> _Token:
        server = self.server
        if server.token:
            return _Token(_own(server.token), None)
        if server.role_id:
            mount, body = server.mount or "approle", {"role_id": _own(server.role_id)}
            if server.secret_id:
                body["secret_id"] = _own(server.secret_id)
        else:
            mount, body = server.mount or "kubernetes", {"role": server.role, "jwt": _own(server.jwt)}
        path = f"auth/{mount}/login"
        answer = await self._ask("POST", path, body)
        if answer.status != 200:
            raise VaultFault(f"the login: {_words(answer.status, path)}")
        auth = _json(answer).get("auth")
        if not isinstance(auth, dict) or not isinstance(auth.get("client_token"), str):
            raise VaultFault(f"vault answered {path} without a token")
        return _Token(auth["client_token"], _until_s(auth.get("lease_duration")))

    async def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> HttpAnswer:
        known = {f"vault.{name}": value for name, value in (body or {}).items()}
        headers = [("X-Vault-Request", "true")]
        if self.server.namespace:
            headers.append(("X-Vault-Namespace", self.server.namespace))
        if body is None and self._token is not None:
            known["vault.token"] = self._token.value
            headers.append(("X-Vault-Token", _TOKEN))
        content = None
        if body is not None:
            headers.append(("Content-Type", "application/json"))
            content = json.dumps({name: seal(f"vault.{name}") for name in body}, ensure_ascii=False).encode()
        request = HttpRequest(method, f"/v1/{quote(path.lstrip('/'))}", tuple(headers), content)
        run_id = chance.token_hex(16)
        try:
            door = self._doors.open(run_id, "synthmon", Vault(known), own=self._system)
        except (TrustError, ValueError) as error:
            raise VaultFault(f"vault: {error}") from None
        try:
            answer = await door.http(request, Envelope(run_id, "synthmon", "vault", timeout_s=LIMIT_S))
        finally:
            await door.aclose()
        if isinstance(answer, Trouble):
            raise VaultFault(f"vault: {answer.detail}")
        return answer


def field_of(leased: Leased, name: str, path: str) -> str:
    """One field as text. Raises `VaultFault`."""
    value = leased.fields.get(name)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if not isinstance(value, str):
        raise VaultFault(f"vault has no text {name!r} under {path}")
    return value


def _own(reference: str) -> str:
    """What we show to Vault. Raises `VaultFault`."""
    values, faults = resolve({"it": reference}, shortest=1)
    if faults:
        raise VaultFault(f"the login: {faults['it']}")
    return values["it"]


def _json(answer: HttpAnswer) -> Mapping[str, Any]:
    try:
        told = parse_json(answer.content)
    except InvalidJson:
        raise VaultFault("vault answered something that is no JSON") from None
    return told if isinstance(told, dict) else {}


def _until_s(lease_duration: Any) -> float | None:
    if not isinstance(lease_duration, int | float) or lease_duration <= 0:
        return None
    return time.monotonic() + lease_duration * RENEW_AT


def _words(status: int, path: str) -> str:
    """What a status means (https://developer.hashicorp.com/vault/api-docs#http-status-codes)."""
    match status:
        case 400:
            return f"vault refuses {path} as it is asked (400)"
        case 403:
            return f"vault does not let us read {path} (403); check the policy"
        case 404:
            return f"vault has nothing under {path} (404); in version 2 of the key-value store data/ follows the mount"
        case 429 | 472 | 473:
            return f"vault is a standby that does not answer ({status}); give the address of the active one"
        case 503:
            return "vault is sealed (503)"
    return f"vault answered {path} with {status}"
