"""Invented people: the same everywhere, never twice, never real."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from synthmon.core.namespaces import namespace
from synthmon.identities.fields import FIELDS, UnsafeField, country_of
from synthmon.identities.invent import UNSAFE_PROVIDERS, check_fields, find_unsafe_fields, invent, offered
from synthmon.identities.reserved import is_safe_iban, is_safe_nino, is_safe_ssn

RUN = "4bf92f3577b34da6a3ce929d0e0e4736"
DOMAIN = "synthetic.example.com"


def test_threads_do_not_mix_their_people() -> None:
    runs = [f"{n:032x}" for n in range(300)]
    fields = ["name", "address", "email", "job"]
    alone = [invent(fields, run, "de_DE", DOMAIN) for run in runs]

    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda run: invent(fields, run, "de_DE", DOMAIN), runs))
    finally:
        sys.setswitchinterval(usual_s)

    assert together == alone


def test_the_fields_asked_for_do_not_change_each_other() -> None:
    alone = invent(["city"], RUN, "fr_FR", DOMAIN)
    among = invent(["phone", "name", "job", "city"], RUN, "fr_FR", DOMAIN)

    assert among["city"] == alone["city"]


def test_the_email_carries_the_run_and_fits_a_mail_box() -> None:
    for locale in ("en_GB", "de_DE", "es_ES", "ja_JP", "th_TH"):
        local, _, domain = invent(["email"], RUN, locale, DOMAIN)["email"].partition("@")
        assert namespace(RUN, "", "") in local.split("@")[0]
        assert len(local) <= 64  # RFC 5321 4.5.3.1.1
        assert local.isascii()
        assert domain == DOMAIN


def test_an_invented_person_has_every_name_that_is_offered() -> None:
    fields = ["name", "address", "card", "faker:name", "job"]

    assert tuple(invent(fields, RUN, "en_GB", DOMAIN)) == offered(fields)
    assert "card_cvc" in offered(fields)


def test_the_name_and_its_parts_are_one_person() -> None:
    english = invent(["name"], RUN, "en_GB", DOMAIN)
    japanese = invent(["name"], RUN, "ja_JP", DOMAIN)

    assert english["name"] == f"{english['first_name']} {english['last_name']}"
    assert japanese["name"] == f"{japanese['last_name']} {japanese['first_name']}"


def test_values_are_single_lines_of_printable_text() -> None:
    for locale in ("en_US", "fa_IR", "hi_IN", "ja_JP", "th_TH", "he_IL"):
        person = invent(["name", "address", "company", "job", "text"], RUN, locale, DOMAIN)
        assert all(value and value.isprintable() for value in person.values()), person


@pytest.mark.parametrize("locale", ["it_IT", "no_NO", "ja_JP", "pt_BR", "en", "es_CA"])
def test_a_country_without_numbers_for_fiction_refuses_a_phone(locale: str) -> None:
    with pytest.raises(UnsafeField, match=rf"phone for {locale}: no number range .* locale of AU, CA, DE, FR, GB"):
        check_fields(["name", "phone"], locale, DOMAIN)
    with pytest.raises(UnsafeField):
        invent(["phone"], RUN, locale, DOMAIN)


@pytest.mark.parametrize("provider", sorted(UNSAFE_PROVIDERS))
def test_an_unsafe_provider_is_refused_by_name(provider: str) -> None:
    with pytest.raises(UnsafeField, match=r"is not safe: .*\. (Use the field|Name the single)"):
        check_fields([f"faker:{provider}"], "en_US", DOMAIN)


@pytest.mark.parametrize(
    ("provider", "locale"),
    [
        ("pesel", "pl_PL"), ("cnpj", "pt_BR"), ("cpf", "pt_BR"), ("siren", "fr_FR"), ("aadhaar_id", "en_IN"),
        ("license_plate", "en_GB"), ("nic_handle", "en_GB"), ("date_time", "en_GB"), ("uuid1", "en_GB"),
        ("user_agent", "en_GB"), ("binary", "en_GB"), ("color_rgb", "en_GB"), ("seed_instance", "en_GB"),
        ("vat_id", "de_DE"), ("identity_card_number", "pl_PL"), ("__class__", "en_GB"), ("random", "en_GB"),
    ],
)  # fmt: skip
def test_a_provider_that_nobody_has_looked_at_is_refused(provider: str, locale: str) -> None:
    with pytest.raises(UnsafeField):
        check_fields([provider], locale, DOMAIN)


def test_a_misspelt_field_or_locale_is_told_the_right_word() -> None:
    faults = find_unsafe_fields(["nmae", "colour_name", "name"], "en_GB", DOMAIN)

    assert [fault.remedy for fault in faults] == ["Did you mean name?", "Did you mean color_name?"]
    assert find_unsafe_fields(["name"], "en_UK", DOMAIN)[0].remedy == "Did you mean en_GB?"


@pytest.mark.parametrize("domain", ["gmail.com", "com", "co.uk", "", "a b.com", "10.0.0.1", "192.0.2.1", "a@b.com"])
def test_a_mail_domain_that_nobody_can_own_alone_is_refused(domain: str) -> None:
    with pytest.raises(UnsafeField, match="email for en_GB"):
        check_fields(["email"], "en_GB", domain)


def test_a_domain_that_the_operator_names_is_taken() -> None:
    check_fields(["email"], "en_GB", "synthetic.shop.co.uk")

    assert invent(["email"], RUN, "en_GB", "synthetic.shop.co.uk")["email"].endswith("@synthetic.shop.co.uk")


def test_personal_numbers_are_of_the_country_and_of_nobody() -> None:
    american = invent(["national_id", "ssn"], RUN, "en_US", DOMAIN)
    british = invent(["national_id", "iban"], RUN, "en_GB", DOMAIN)

    assert is_safe_ssn(american["ssn"])
    assert american["ssn"] == american["national_id"]
    assert is_safe_nino(british["national_id"])
    assert is_safe_iban(british["iban"])
    for field, locale in (("ssn", "en_GB"), ("national_id", "pl_PL"), ("iban", "de_DE")):
        with pytest.raises(UnsafeField):
            check_fields([field], locale, DOMAIN)


def test_a_password_has_every_class_of_character() -> None:
    for number in range(50):
        password = invent(["password"], f"{number:032x}", "en_GB", DOMAIN)["password"]
        assert len(password) == 20
        assert any(map(str.isupper, password))
        assert any(map(str.islower, password))
        assert any(map(str.isdigit, password))
        assert not password.isalnum()


def test_every_field_has_a_value_in_every_locale_that_does_not_refuse_it() -> None:
    for locale in ("en_GB", "en_US", "de_CH", "pt_PT"):
        refused = {fault.field for fault in find_unsafe_fields(FIELDS, locale, DOMAIN)}
        person = invent([field for field in FIELDS if field not in refused], RUN, locale, DOMAIN)
        assert all(person.values())
        assert person["country"] == country_of(locale)
