"""What is reserved, and what only looks so."""

import json
from importlib import resources

import phonenumbers
import pytest

from synthmon.identities import reserved
from synthmon.identities.checksums import iban_ok, luhn_ok
from synthmon.identities.fields import phone_blocks


@pytest.mark.parametrize(
    "email",
    [
        "a@example.com",
        "a@mail.example.org",
        "a@shop.test",
        "a@b.invalid",
        "a@EXAMPLE.NET",
        "a@localhost",
        "a@x.example.",
    ],
)
def test_mail_to_a_reserved_domain_reaches_nobody(email: str) -> None:
    assert reserved.is_reserved_email(email)


@pytest.mark.parametrize(
    "email",
    [
        "a@gmail.com",
        "a@example.co",
        "a@notexample.com",
        "a@example.com.evil.io",
        "a@test.de",
        "a@",
        "@example.com",
        "x",
    ],
)
def test_a_domain_that_only_resembles_a_reserved_one_is_not_reserved(email: str) -> None:
    assert not reserved.is_reserved_email(email)


def test_an_owned_domain_covers_itself_and_what_is_below_it_only() -> None:
    owned = ["Synthetic.Shop.eu"]

    assert reserved.is_reserved_email("a@synthetic.shop.eu", owned)
    assert reserved.is_reserved_email("a@eu-1.synthetic.shop.eu", owned)
    assert not reserved.is_reserved_email("a@shop.eu", owned)
    assert not reserved.is_reserved_email("a@evilsynthetic.shop.eu", owned)
    assert not reserved.is_reserved_email("a@shop.de", [""])


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "2001:db8::1", "[3fff::1]", "127.0.0.1", "::1", "a.invalid", "localhost"]
)
def test_documentation_and_loopback_addresses_are_reserved_hosts(host: str) -> None:
    assert reserved.is_reserved_host(host)


@pytest.mark.parametrize(
    "host", ["198.18.0.1", "8.8.8.8", "2001:4860::1", "10.0.0.1", "", "..", "a b.test", "shop.local"]
)
def test_other_addresses_are_not_reserved(host: str) -> None:
    assert not reserved.is_reserved_host(host)


@pytest.mark.parametrize(
    "phone",
    [
        "+12025550100", "+14165550199", "+442079460999", "+441134960000", "+447700900123", "+441632960001",
        "+493023125999", "+4915228817386", "+46701740605", "+33199001234", "+61491570006", "+61255501234",
        "+353209112345",
    ],
)  # fmt: skip
def test_numbers_kept_for_fiction_are_fictitious(phone: str) -> None:
    assert reserved.is_fictitious_phone(phone)


@pytest.mark.parametrize(
    "phone",
    [
        "+12025550099", "+12025550200", "+12025551212",  # beside the block
        "+18005550199", "+19005550100", "+14115550100", "+12125560100",  # freephone, premium, no area, other exchange
        "+442079461000", "+441134961000", "+447700901000", "+442079460", "+4420794600000",
        "+4915228817387", "+46701740604", "+46701740700", "+33198001234",
        "+61491570007", "+61491570155",  # the Australian mobile numbers are single ones
        "+4768051234", "+393331234567", "12025550100", "+0", "",
    ],
)  # fmt: skip
def test_numbers_beside_the_blocks_may_ring_somewhere(phone: str) -> None:
    assert not reserved.is_fictitious_phone(phone)


def test_every_number_handed_out_is_fictitious_and_of_its_country() -> None:
    for country in reserved.phone_countries():
        for block in phone_blocks(country):
            for number in {block[0], block[len(block) // 2], block[-1]}:
                assert reserved.is_fictitious_phone(f"+{number}")
                parsed = phonenumbers.parse(f"+{number}")
                assert country in phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
                # Ireland's only block is unknown to libphonenumber; every other number passes its validators.
                assert country == "IE" or phonenumbers.is_valid_number_for_region(parsed, country), number


def test_every_listed_card_is_a_card_and_nothing_else_is() -> None:
    cards = reserved.catalogue().cards

    assert all(luhn_ok(number) for number in cards)
    assert set(reserved.catalogue().invented_cards) <= set(cards)
    assert reserved.is_test_card("4242 4242 4242 4242")
    assert not reserved.is_test_card("4000000000000010")


def test_only_accounts_of_no_bank_are_safe() -> None:
    assert all(iban_ok(iban) for iban in reserved.catalogue().ibans)
    assert reserved.is_safe_iban("GB82 WEST 1234 5698 7654 32")
    assert not reserved.is_safe_iban("GB83WEST12345698765432")
    assert not reserved.is_safe_iban("DE89370400440532013000")


@pytest.mark.parametrize(
    "ssn", ["000-12-3456", "666-12-3456", "123-00-4567", "123-45-0000", "900-11-1234", "999-69-1234"]
)
def test_social_security_numbers_that_nobody_can_have(ssn: str) -> None:
    assert reserved.is_safe_ssn(ssn)


@pytest.mark.parametrize(
    "ssn",
    [
        "123-45-6789",
        "665-01-0001",
        "667-01-0001",
        "899-99-9999",
        "987-65-4320",
        "900-70-1234",
        "900-93-1234",
        "900-05-1234",
    ],
)
def test_numbers_of_the_ssa_and_the_irs_are_not_safe(ssn: str) -> None:
    assert not reserved.is_safe_ssn(ssn)


def test_documentation_numbers_of_networks() -> None:
    assert reserved.is_documentation_mac("00-00-5E-00-53-FF")
    assert not reserved.is_documentation_mac("00:00:5e:00:54:00")
    assert reserved.is_documentation_asn(64496)
    assert not reserved.is_documentation_asn(64512)
    assert reserved.is_safe_nino("QQ 12 34 56 C")
    assert not reserved.is_safe_nino("AB123456C")


def test_every_range_names_its_authority_and_how_it_was_confirmed() -> None:
    raw = json.loads(resources.files("synthmon.identities").joinpath("reserved.json").read_text(encoding="utf-8"))
    entries = [entry for name, entry in raw.items() if name not in ("about", "phones")] + raw["phones"]

    assert len(entries) > 60
    assert all(entry["authority"] and entry["confirmed"] for entry in entries)
