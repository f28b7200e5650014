"""The `vault:` block of the settings: where HashiCorp Vault is, and the one way to log in there."""

from __future__ import annotations

from urllib.parse import urlsplit

from synthmon.core.system import Tls
from synthmon.language.faults import Faults
from synthmon.language.settings import VaultServer
from synthmon.language.settings_schema import VaultKeys


def read_vault(keys: VaultKeys | None, faults: Faults) -> VaultServer | None:
    """The server; None when there is no block."""
    if keys is None:
        return None
    parts = urlsplit(keys.address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        faults.say(("vault", "address"), "bad-base", f"{keys.address!r} is not an absolute URL.", "Write https://host.")
    ways = [way for way in (keys.token, keys.approle, keys.kubernetes) if way is not None]
    if len(ways) != 1:
        fault = "Two ways to log in to Vault are given." if ways else "Nothing says how to log in to Vault."
        faults.say(("vault",), "bad-vault", fault, "Give one of `token`, `approle` and `kubernetes`.")
    address, tls = keys.address.rstrip("/"), Tls(keys.tls.ca, keys.tls.cert, keys.tls.key)
    if keys.approle is not None:
        role = keys.approle
        return VaultServer(
            address, keys.namespace, role_id=role.role_id, secret_id=role.secret_id or "", mount=role.mount, tls=tls
        )
    if keys.kubernetes is not None:
        pod = keys.kubernetes
        return VaultServer(address, keys.namespace, role=pod.role, jwt=pod.token, mount=pod.mount, tls=tls)
    return VaultServer(address, keys.namespace, token=keys.token or "", tls=tls)
