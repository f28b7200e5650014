"""Where a service of AWS is: only what the settings say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service: its address, and the region that requests to it are signed for."""

    url: str
    host: str
    port: int
    region: str
    secure: bool


def endpoint_of(url: str, region: str) -> Endpoint:
    """What an address says. Raises `ValueError` with words for a person."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the address cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an address such as https://sqs.eu-west-1.amazonaws.com")
    if parts.username is not None:
        raise ValueError("the address holds a user; write `access_key:` and `secret_key:` by reference")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("behind the host the address holds no more than a port; a queue is named where it is used")
    told = _REGION.search(parts.hostname)
    region = region or (told["region"] if told else "")
    if not region:
        raise ValueError("nothing says the region; add `region:`")
    secure = parts.scheme == "https"
    return Endpoint(
        url=f"{parts.scheme}://{parts.netloc}",
        host=parts.hostname,
        port=port or (443 if secure else 80),
        region=region,
        secure=secure,
    )


def queues_of(endpoint: Endpoint, service: str, queues: str) -> Endpoint:
    """Where SQS is beside another service: what `queues` says; in the same region of AWS; else at the same address,
    as stand-ins have it. Raises `ValueError` with words for a person."""
    if queues:
        return endpoint_of(queues, endpoint.region)
    if not endpoint.host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return endpoint
    first, _, rest = endpoint.host.partition(".")
    if first != service:
        raise ValueError("from such an address nobody can tell where SQS is; add `queues: https://…`")
    return endpoint_of(f"https://sqs.{rest}", endpoint.region)


def hosts_of(*endpoints: Endpoint) -> Sequence[str]:
    """Each host once."""
    return tuple(dict.fromkeys(endpoint.host for endpoint in endpoints))


_REGION = re.compile(r"\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$")
