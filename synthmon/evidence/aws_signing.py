"""A request to Amazon Web Services is signed with a secret key that never leaves: Signature Version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """Who signs: the name of a key, the key, and the token that belongs to a key for a while."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request without a query. `host` is as it is sent: with its port unless that is the usual one; `headers` are
    those that are to be signed beside the ones of signing itself."""

    method: str
    host: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def signed(request: Unsigned, identity: AwsIdentity, region: str, service: str, at: datetime) -> dict[str, str]:
    """The headers of the request with those that prove who sends it; `at` is in UTC, and good for five minutes."""
    stamp, scope = at.strftime("%Y%m%dT%H%M%SZ"), f"{at:%Y%m%d}/{region}/{service}/aws4_request"
    token = {"X-Amz-Security-Token": identity.session_token} if identity.session_token else {}
    sent = {**request.headers, "X-Amz-Date": stamp, **token}
    canonical = {name.lower(): " ".join(value.split()) for name, value in {**sent, "Host": request.host}.items()}
    names = ";".join(sorted(canonical))
    lines = [request.method, quote(request.path, safe="/-_.~"), ""]
    lines += [f"{name}:{canonical[name]}" for name in sorted(canonical)]
    lines += ["", names, hashlib.sha256(request.body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = signing_key(identity.secret_key, at, region, service)
    signature = _hmac(key, "\n".join((_ALGORITHM, stamp, scope, digest))).hex()
    proof = f"Credential={identity.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": f"{_ALGORITHM} {proof}"}


def signing_key(secret_key: str, at: datetime, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{secret_key}".encode()
    for part in (at.strftime("%Y%m%d"), region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
