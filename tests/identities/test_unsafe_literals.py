"""What a probe may hold as text, and what stops it before a socket opens.

Keys are put together here so that no scanner mistakes this file for a leak.
"""

import secrets
import uuid
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmon.identities.literals import LiteralKind, find_unsafe_literals


def kinds(text: str, *owned: str) -> list[LiteralKind]:
    return [unsafe.kind for unsafe in find_unsafe_literals(text, owned)]


@pytest.mark.parametrize(
    "text",
    [
        "4000000000000010", "4000 0000 0000 0010", "4000-0000-0000-0010", '{"card": "5500000000000012"}',
        "3400 000000 00009", "6011000000000004", "3530111333300000", "36000000000008", "2221000000000009",
        "/cards/4000000000000010?x=1", "pan=4000000000000010",
    ],
)  # fmt: skip
def test_a_live_looking_card_is_found(text: str) -> None:
    assert kinds(text) == [LiteralKind.CARD]


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242", "4242 4242 4242 4242", "378282246310005",  # test numbers
        "4000000000000011",  # no check digit
        "1767225600000", "1767225600000000", "1767225600000000000", "20260101123045",  # times
        "4006381333931",  # a bar code (EAN-13) that also passes Luhn or begins with 4
        "0.4000000000000010", "1.4000000000000010", "4000000000000010.5", "id-4000000000000010", "a4000000000000010",
        "9007199254740993", "12345678901234567890123", "0000000000000000", "4000-0000 0000-0010",
        "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)  # fmt: skip
def test_test_cards_ids_and_times_are_no_cards(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "anna@gmail.com",
        "mailto:anna.b+x@shop.co.uk",
        "${vars.who}@outlook.com",
        '"a@bücher.de"',
        "Anna <a@b-c.io>.",
        "a'b@x.org",
    ],
)
def test_a_real_mail_domain_is_found(text: str) -> None:
    assert kinds(text) == [LiteralKind.EMAIL]


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com", "a@shop.test", "${identity.email}", "a@${vars.domain}", "pkg@1.2.3", "actions/checkout@v4",
        "image@sha256:4bf92f35", "https://user:pw@db.shop.com/x", "postgresql://reader@ledger.shop.com/l",
        "git@github.com:owner/name.git", "$.items[?(@.price < 10)]", "@context", "@media print", "a@b",
        "reader@127.0.0.1", "user@localhost",
    ],
)  # fmt: skip
def test_reserved_mail_and_other_uses_of_the_at_sign_pass(text: str) -> None:
    assert kinds(text) == []


def test_an_owned_domain_may_stand_in_a_probe() -> None:
    assert kinds("a@mail.probe.shop.eu", "probe.shop.eu") == []
    assert kinds("a@mail.shop.eu", "probe.shop.eu") == [LiteralKind.EMAIL]


@pytest.mark.parametrize(
    "text",
    [
        "+442071234567", "+44 20 7123 4567", "+44 (0)20 7123 4567", "tel:+1-415-555-2671", "+49 30 901820",
        "00442071234567",
        "+39 333 123 4567.", "phone=+33 6 12 34 56 78", "+61491570007", "0033 612345678", "+47 22 82 46 00",
    ],
)  # fmt: skip
def test_a_number_that_may_ring_is_found(text: str) -> None:
    assert kinds(text) == [LiteralKind.PHONE]


@pytest.mark.parametrize(
    "text",
    [
        "+442079460123", "+44 20 7946 0123", "+1 (202) 555-0123", "+49 30 23125 000", "0033 1 99 00 12 34",
        "020 7123 4567", "07700123456",  # no country: not said to be international
        "2026-01-01T10:00:00+0200", "+02:00", "1e+10", "+12345678", "+10000000000", "+0123456789",
        "0012345678", "000000012345678", "00:1a:2b:3c:4d:5e", "00 11 22 33 44 55 66 77", "v1.0+20260101",
        "00f067aa0ba902b7", "+1234567890123456789", "order 4711-0815",
    ],
)  # fmt: skip
def test_fiction_times_and_padded_ids_are_no_phones(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text", ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "iban: FR1420041010050500013M02606"]
)
def test_an_account_at_a_bank_is_found(text: str) -> None:
    assert kinds(text) == [LiteralKind.IBAN]


@pytest.mark.parametrize(
    "text",
    [
        "GB82WEST12345698765432",
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013001",
        "SKU12345678901234567",
        "DE8937040044",
    ],
)
def test_accounts_of_no_bank_and_other_codes_pass(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize("text", ["123-45-6789", "ssn: 900-70-1234.", "(219-09-9999)"])
def test_a_social_security_number_is_found(text: str) -> None:
    assert kinds(text) == [LiteralKind.SSN]


@pytest.mark.parametrize(
    "text", ["666-12-3456", "000-12-3456", "2026-01-0123", "1-123-45-6789", "123-45-67890", "123456789"]
)
def test_numbers_that_nobody_can_have_pass(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("prefix", "rest"),
    [
        ("sk_" + "live_", "51H8xYzAbCdEfGhIj"), ("rk_" + "live_", "51H8xYzAbCdEfGhIj"),
        ("AK" + "IA", "Q3EGRL6XHZV2MN7T"),
        ("xo" + "xb-", "123456789012-abcdefGHIJ"), ("gh" + "p_", "a" * 36), ("gl" + "pat-", "x" * 20),
        ("AI" + "za", "B" * 35), ("-----BEGIN RSA " + "PRIVATE KEY-----", ""),
    ],
)  # fmt: skip
def test_a_live_key_is_found_and_never_shown(prefix: str, rest: str) -> None:
    (unsafe,) = find_unsafe_literals(f"Authorization: Bearer {prefix}{rest}")

    assert unsafe.kind is LiteralKind.API_KEY
    assert unsafe.value_masked == f"{prefix}•••"
    assert "secrets:" in unsafe.remedy


@pytest.mark.parametrize(
    "text",
    [
        "sk_test_51H8xYzAbCdEfGhIj",
        "AK" + "IAIOSFODNN7EXAMPLE",
        "ghp_short",
        "task_live_1234567890123",
        "risk-assessment",
    ],
)
def test_test_keys_and_words_are_no_live_keys(text: str) -> None:
    assert kinds(text) == []


def test_values_are_masked_and_placed() -> None:
    text = "pay with 4000000000000010\nor mail anna@gmail.com"

    card, mail = find_unsafe_literals(text)

    assert (card.value_masked, text[card.at :][:4]) == ("4000…10", "4000")
    assert (mail.value_masked, text[mail.at :][:4]) == ("a…@gmail.com", "anna")


def test_a_hundred_thousand_ids_are_not_taken_for_people() -> None:
    ids = [uuid.uuid4() for _ in range(20_000)]
    texts = [str(one) for one in ids] + [one.hex for one in ids] + [secrets.token_urlsafe(24) for _ in range(20_000)]
    texts += ["00962148-7341-4548-a1b2-c3d4e5f60718"]  # digits as of a number abroad
    texts += [str(1_767_225_600_000 + n * 7919) for n in range(20_000)] + [f"ORD-{n:010d}" for n in range(20_000)]

    found = find_unsafe_literals("\n".join(texts))

    assert found == []


@given(st.text(max_size=200))
def test_no_text_breaks_the_search(text: str) -> None:
    find_unsafe_literals(text)


@pytest.mark.parametrize("piece", ["1 ", "a.", "+1(", "a-", "a", "@", "a@", "GB82 ", "4000 ", "1-", "://", "00"])
def test_a_long_hostile_text_is_read_in_linear_time(piece: str) -> None:
    short, long = (min(_seconds(piece * size) for _ in range(3)) for size in (1_000, 10_000))

    assert long < 50 * max(short, 0.0005)  # ten times the text; a square law gives a hundred


def _seconds(text: str) -> float:
    began = thread_time()
    find_unsafe_literals(text + "@")
    return thread_time() - began
