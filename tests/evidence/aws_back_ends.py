"""Who asks AWS in these tests, and what a back end of AWS checks before it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from synthmon.core.evidence import Blind
from synthmon.core.outcomes import Reason
from tests.evidence.back_ends import PASSWORD, Answer, Asked, Said, Scenarios, a_back_end, looking
from tests.evidence.lending import wanted

REGION = "eu-west-1"
KNOWN: Mapping[str, Any] = {"region": REGION, "access_key": "env:AWS_KEY", "secret_key": "env:AWS_SECRET"}


def check_signature(asked: Asked, service: str) -> None:
    """As AWS does: the same request, signed by its own library at the instant that it bears."""
    sent = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^, ]+)", asked.headers["authorization"]))
    names = sent["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "content-type"} <= {*names}
    headers = {name: asked.headers[name] for name in names if name != "host"}
    request = AWSRequest("POST", f"http://{asked.headers['host']}{asked.path}", headers=headers, data=asked.body)
    request.context["timestamp"] = asked.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(PASSWORD, PASSWORD), service, REGION)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    assert auth.signature(to_sign, request) == sent["Signature"]
    sent_at = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - sent_at).total_seconds()) < 300


class AwsScenarios(Scenarios):
    """What those of AWS must show as well."""

    known_by = "`access_key`, `secret_key` and `session_token`, and the clock of this machine"

    async def test_it_shows_its_password(self) -> None:
        """Not at all: it signs. `check_signature` is called for each request in `answers`."""
        keys = {**self.keys, "session_token": "env:AWS_TOKEN"}

        async with a_back_end(self.answers([])) as back_end, looking(self.word, back_end.url, wanted(), keys) as told:
            await told.until_sure()

        assert {asked.headers["x-amz-security-token"] for asked in back_end.asked} == {PASSWORD}

    async def test_an_error_of_the_signature_is_said_without_what_it_repeats(self) -> None:
        def answer(asked: Asked) -> Said:
            said = f"not valid: {asked.headers['authorization']}, secret {PASSWORD}"
            return Said({"__type": "com.amazon.coral.service#IncompleteSignatureException", "message": said}, 400)

        async with a_back_end(answer) as back_end, looking(self.word, back_end.url, wanted(), self.keys) as told:
            await told.until(lambda: bool(told.blind))

        assert "it does not let us in (IncompleteSignatureException); check `access_key`" in told.blind[0]
        assert PASSWORD not in repr(told.reports)
        assert "AWS4" not in repr(told.reports)

    async def test_one_that_is_asked_too_often_is_said_and_asked_again(self) -> None:
        throttled, healthy = True, self.answers([])

        def answer(asked: Asked) -> Any:
            said = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            return Said(said, 400) if throttled else healthy(asked)

        async with a_back_end(answer) as back_end, looking(self.word, back_end.url, wanted(), self.keys) as told:
            await told.until(lambda: bool(told.blind))
            throttled = False
            await told.until_sure()

        assert "it is asked more often than it allows (ThrottlingException)" in told.blind[0]

    async def test_a_permission_that_lacks_is_said(self) -> None:
        answer = Said({"__type": "AccessDeniedException", "Message": "no identity-based policy allows it"}, 400)

        async with (
            a_back_end(lambda asked: answer) as back_end,
            looking(self.word, back_end.url, wanted(), self.keys) as told,
        ):
            await told.until(lambda: bool(told.blind))

        assert "it wants a permission" in told.blind[0]

    async def test_an_address_outside_of_the_allow_list_is_not_connected_to(self) -> None:
        keys = {**self.keys, "allow": ["logs.example.com"]}

        async with a_back_end(self.answers([])) as back_end, looking(self.word, back_end.url, wanted(), keys) as told:
            await told.until(lambda: bool(told.blind))

        assert not back_end.asked
        [first, *_] = told.reports
        assert isinstance(first, Blind)
        assert first.reason is Reason.EGRESS_BLOCKED


Checked = Callable[[Asked], Said]


def checked(service: str, answer: Checked) -> Answer:
    """It answers only what is signed."""

    def check(asked: Asked) -> Said:
        check_signature(asked, service)
        return answer(asked)

    return check
