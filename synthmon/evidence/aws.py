"""A back end of Amazon Web Services: who asks it, in which region, and what its refusals mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import field_validator

from synthmon.core.aws import SECRETS, AwsKeys
from synthmon.core.door import HttpAnswer
from synthmon.core.fields import fields_of
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import SecretError
from synthmon.core.sources import Means
from synthmon.evidence.aws_signing import AwsIdentity, Unsigned, signed
from synthmon.evidence.backends import AskedByHttp, BackEnd, CannotTell, address, bad_value

NOT_LET_IN = frozenset(
    (
        *("UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch"),
        *("IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken", "NotAuthorized"),
        *("MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException", "AuthFailure"),
        *("RequestExpired", "RequestTimeTooSkewed", "InvalidToken"),
    )
)
"""Errors of a signature; what they say may repeat it and is not shown. From "Common errors" of the AWS APIs."""

TOO_OFTEN = frozenset(
    (
        *("ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled", "RequestLimitExceeded"),
        *("TooManyRequestsException", "RequestThrottledException", "LimitExceededException", "SlowDown"),
    )
)


class AwsSourceKeys(AwsKeys):
    """The keys of every source at AWS: its region is one of theirs."""

    @field_validator("region")
    @classmethod
    def _is_one(cls, region: str) -> str:
        if region and not _REGION.fullmatch(region):
            raise bad_value(f"{region!r} is no region of AWS", "Write one such as eu-west-1.")
        return region


class AskedOfAws(AskedByHttp):
    """What kinds of sources have in common that ask AWS."""

    secrets: frozenset[str] = SECRETS

    def base(self, keys: Any) -> str:
        """Where it is. Raises `ValueError`."""
        url = address(getattr(keys, self.word))
        if urlsplit(url).path:
            raise ValueError("An address of AWS has no path: write https://host")
        region_of(url, keys.region)
        return url


class AwsBackEnd(BackEnd):
    """A service of AWS, asked for one run; `service` is its name in signatures: `logs`."""

    known_by = "`access_key`, `secret_key` and `session_token`, and the clock of this machine"

    def __init__(self, name: str, service: str, keys: AwsKeys, base: str, means: Means) -> None:
        super().__init__(name, base, means)
        self._service, self._keys = service, keys
        self._host, self.region = _host(base), region_of(base, keys.region)

    async def call(self, path: str, question: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        """The object that it answered to a signed request. Raises `CannotTell`; `Refused` when it says why."""
        body = json.dumps(question).encode()
        at = datetime.fromtimestamp(self._means.now_ns() / 1e9, UTC)
        request = Unsigned("POST", self._host, path, headers, body)
        return await self.ask("POST", path, {}, body, signed(request, self._identity(), self.region, self._service, at))

    def _identity(self) -> AwsIdentity:
        secret = self._means.secret
        try:
            return AwsIdentity(secret("access_key"), secret("secret_key"), secret("session_token"))
        except SecretError as error:
            raise CannotTell(Reason.MISSING_SECRET, str(error)) from None

    def _refused(self, answer: HttpAnswer) -> CannotTell:
        refused = super()._refused(answer)
        return Refused(refused.reason, refused.detail, error_of(answer))

    def _meaning(self, answer: HttpAnswer) -> str:
        error = error_of(answer)
        if error in NOT_LET_IN:
            return f": it does not let us in ({error}); check {self.known_by}"
        if error in TOO_OFTEN:
            return f": it is asked more often than it allows ({error})"
        if error.startswith("AccessDenied"):
            return f": these keys may not ask this ({error}); it wants a permission"
        return super()._meaning(answer)


class Refused(CannotTell):
    """AWS answered with an error; `error` is its name."""

    def __init__(self, reason: Reason, detail: str, error: str) -> None:
        super().__init__(reason, detail)
        self.error = error


def error_of(answer: HttpAnswer) -> str:
    """The name of an error: `ThrottlingException`, whether it stands in the body (`__type`) or in a header, with or
    without what is around it (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html)."""
    header = next((value for name, value in answer.headers if name.lower() == "x-amzn-errortype"), "")
    match fields_of(answer.content.strip()):
        case {"__type": str(said)} | {"code": str(said)} | {"Code": str(said)}:
            header = header or said
    name = header.partition(":")[0].rpartition("#")[2]
    return name if _NAME.fullmatch(name) else ""


def region_of(url: str, region: str = "") -> str:
    """The region of an address, or the one that is given. Raises `ValueError` if there is none, or they differ."""
    host = urlsplit(url).hostname or ""
    found = _IN_HOST.search(host)
    told = found[1] if found else ""
    if not (region or told):
        raise ValueError(f"`{host}` names no region: add `region: eu-west-1`")
    if region and told and region != told:
        raise ValueError(f"`{host}` is in {told}, and `region` says {region}")
    return region or told


def trace_ids_in(text: str) -> str:
    """The text with ids of X-Ray (`1-5759e988-bd862e3fe1be46a994272793`) as the trace ids that they spell."""
    return _XRAY.sub(r"\1\2", text)


def xray_id(trace: str) -> str:
    """A trace id of W3C as X-Ray spells it: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html"""
    return f"1-{trace[:8]}-{trace[8:]}"


def _host(url: str) -> str:
    """As it is sent in `Host`."""
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    return name if parts.port in (None, usual) else f"{name}:{parts.port}"


_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_IN_HOST = re.compile(
    r"(?:^|\.)(?:logs|xray)(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d{1,2})\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
)
_NAME = re.compile(r"\w{1,80}", re.ASCII)
_XRAY = re.compile(r"\b1-([0-9a-f]{8})-([0-9a-f]{24})\b")
