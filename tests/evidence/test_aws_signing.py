"""Signatures against those that AWS publishes, and those that its own library makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from synthmon.evidence.aws_signing import AwsIdentity, Unsigned, signed, signing_key

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
EXAMPLE = AwsIdentity("AKIDEXAMPLE", SECRET)
HOST = "example.amazonaws.com"


def test_the_key_of_a_day_is_that_of_the_documentation() -> None:
    key = signing_key(SECRET, AT, "us-east-1", "iam")

    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@pytest.mark.parametrize(
    ("request_", "names", "signature"),
    [
        (
            Unsigned("GET", HOST, "/"),
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            Unsigned("POST", HOST, "/"),
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            Unsigned("POST", HOST, "/", {"Content-Type": "application/x-www-form-urlencoded"}, b"Param1=value1"),
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "post-x-www-form-urlencoded"],
)
def test_what_aws_publishes_is_signed_as_it_publishes(request_: Unsigned, names: str, signature: str) -> None:
    """From its "Signature Version 4 test suite"."""
    headers = signed(request_, EXAMPLE, "us-east-1", "service", AT)

    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    path=st.sampled_from(["/", "/Traces", "/TraceSummaries", "/a b/ü~-_."]),
    host=st.sampled_from(["logs.eu-west-1.amazonaws.com", "127.0.0.1:5000", "[::1]:5000"]),
    body=st.binary(max_size=200),
    secret=TEXTS,
    token=st.one_of(st.just(""), TEXTS),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "X-Amz-Target"]), TEXTS),
)
def test_the_library_of_aws_signs_the_same_way(
    path: str, host: str, body: bytes, secret: str, token: str, headers: Mapping[str, str]
) -> None:
    request = AWSRequest("POST", f"https://{host}{path}", headers=dict(headers), data=body)

    SigV4Auth(Credentials("AKIDEXAMPLE", secret, token or None), "logs", "eu-west-1").add_auth(request)
    at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    ours = signed(
        Unsigned("POST", host, path, headers, body), AwsIdentity("AKIDEXAMPLE", secret, token), "eu-west-1", "logs", at
    )

    assert ours == dict(request.headers.items())


def test_a_secret_key_is_not_shown() -> None:
    assert "secret" not in repr(AwsIdentity("AKIDEXAMPLE", "a-secret-key", "a-secret-token"))
