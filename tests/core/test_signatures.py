"""Standard Webhooks: who knows the key, lately."""

from __future__ import annotations

import base64

import pytest

from synthmon.core.signatures import Stamp, flaw, is_signed, read_key, read_stamp, sign

KEY = b"0123456789abcdef01234567"
BODY = b'{"state": "closed"}'
NOW = 1_800_000_000


def headers(message_id="msg_1", sent=NOW, key=KEY, body=BODY, signature=None):
    """What an honest sender writes."""
    signed = "v1," + base64.b64encode(sign(message_id, int(sent), body, key)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent),
        "webhook-signature": signed if signature is None else signature,
    }


def test_the_example_of_the_specification_is_signed_as_it_says():
    key = read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signed = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key)

    assert base64.b64encode(signed) == b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_key_without_prefix_is_the_text_itself():
    assert read_key("a-plain-secret") == b"a-plain-secret"


def test_a_broken_key_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="base64") as caught:
        read_key("whsec_not!base64")

    assert "not!" not in str(caught.value)


def test_what_an_honest_sender_writes_is_believed():
    stamp = read_stamp(headers(), NOW + 10)

    assert stamp is not None
    assert is_signed(stamp, BODY, KEY)


def test_while_a_key_is_changed_one_good_signature_of_several_is_enough():
    old, new = (headers(key=key)["webhook-signature"] for key in (b"another-key-another-key!", KEY))

    stamp = read_stamp(headers(signature=f"v1a,AAAA {old} {new}"), NOW)

    assert stamp is not None
    assert is_signed(stamp, BODY, KEY)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"webhook-id": "msg_2"}, "another id"),
        ({"webhook-timestamp": str(NOW + 1)}, "another time"),
        ({"webhook-signature": headers(key=b"x" * 24)["webhook-signature"]}, "another key"),
        ({"webhook-signature": headers(body=b"{}")["webhook-signature"]}, "another body"),
        ({"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()}, "made up"),
        ({"webhook-signature": "v1," + base64.b64encode(b"").decode()}, "empty"),
    ],
)
def test_a_signature_of_anything_else_is_not(change, why):
    stamp = read_stamp(headers() | change, NOW)

    assert stamp is None or not is_signed(stamp, BODY, KEY), why


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ""},
        {"webhook-id": "two words"},
        {"webhook-id": "x" * 257},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": str(NOW - 301)},
        {"webhook-timestamp": str(NOW + 301)},
        {"webhook-signature": ""},
        {"webhook-signature": "v2," + base64.b64encode(b"x" * 32).decode()},
        {"webhook-signature": "v1,not base64"},
    ],
)
def test_a_stamp_that_is_odd_or_out_of_date_is_none(change):
    assert read_stamp(headers() | change, NOW) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"webhook-id": "", "webhook-signature": ""}, "without webhook-id, webhook-signature"),
        ({"webhook-id": "two words"}, "its webhook-id is not 1 to 256 visible characters"),
        ({"webhook-timestamp": "soon"}, "its webhook-timestamp is no Unix time in seconds"),
        ({"webhook-timestamp": str(NOW - 301)}, "stale: its webhook-timestamp is 301s old, by our clock"),
        ({"webhook-timestamp": str(NOW + 301)}, "stale: its webhook-timestamp is 301s ahead, by our clock"),
        ({"webhook-signature": "v2,AAAA"}, "its webhook-signature holds no v1 signature"),
    ],
)
def test_the_flaw_of_a_stamp_is_named_and_nothing_of_it_repeated(change, why):
    assert flaw(headers() | change, NOW) == why


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name):
    told = headers()
    del told[name]

    assert read_stamp(told, NOW) is None


def test_a_stamp_says_what_it_was_told():
    assert read_stamp(headers("msg_7"), NOW) == Stamp("msg_7", NOW, (sign("msg_7", NOW, BODY, KEY),))
