"""Which fields of a test account are secret, and the sealed handles that stand for them everywhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

from synthmon.core.secrets import seal

_WORDS = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|passcode|pass|pwd|secrets?|tokens?|credentials?|bearer|authorization|cookie"
    r"|otp|totp|jwt|(?:api|access|private|signing|encryption|license)_?key)(?:_|$)"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def looks_secret(key: str) -> bool:
    """True for a name such as `password`, `apiKey`, `client-secret`; not for `pin`, which is too short to be masked."""
    return _WORDS.search(_HUMP.sub("_", key).lower().replace("-", "_").replace(".", "_")) is not None


def secret_name(pool: str, account: str, key: str) -> str:
    """The name of one account's secret among all secrets; no name of `secrets:` in the settings has a slash."""
    return "/".join(quote(part, safe="@:+") for part in (pool, account, key))


def sealed_fields(pool: str, account: str, fields: Mapping[str, str], sealed: Collection[str]) -> dict[str, str]:
    """The fields as a run sees them: a handle, which only the door out opens, in the place of each secret."""
    return {
        key: seal(f"secret.{secret_name(pool, account, key)}") if key in sealed else value
        for key, value in fields.items()
    }
