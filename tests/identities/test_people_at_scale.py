"""What is promised of every invented person, counted: harmful to nobody, the same everywhere, never twice."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from synthmon.core.run import Run
from synthmon.identities.invent import invent
from synthmon.identities.reserved import phone_countries
from tests.identities import outside_rules as rules
from tests.identities.same_people import run_id
from tests.identities.unsafe_values import LOCALES

ROOT = Path(__file__).parents[2]
OUR_FIRST_PHONES = 9  # locales among the twenty with numbers for fiction


@pytest.mark.parametrize("ids", [40, pytest.param(10_000, marks=pytest.mark.torture)])
def test_nothing_invented_in_twenty_locales_can_belong_to_anybody(ids: int) -> None:
    told = _run("unsafe_values", "--ids", str(ids))

    people, phones = ids * len(LOCALES), ids * OUR_FIRST_PHONES
    assert f"{people} of email, {phones} of phone, {people} of card, {ids} of ssn" in told
    assert "unsafe values: 0 {}" in told


@pytest.mark.parametrize(("pairs", "ids"), [(200, 20_000), pytest.param(10_000, 1_000_000, marks=pytest.mark.torture)])
def test_a_run_is_the_same_person_in_every_process_and_nobody_else_is(pairs: int, ids: int) -> None:
    told = _run("same_people", "--pairs", str(pairs), "--ids", str(ids))

    assert f"{pairs} people in 4 processes (PYTHONHASHSEED 0, 1, 4242, random): 0 differences" in told
    assert f"{ids} run ids: 0 collisions of e-mails, 0 of namespaces" in told


def test_the_namespace_of_an_invented_person_is_that_of_the_run() -> None:
    now = datetime.now(UTC)

    for at in range(50):
        run = Run(run_id(at), "j", "v", now, now, instance="north", location="rack-1")
        person = invent(["username", "email"], run.id, "en_GB", "example.com", run.namespace)
        assert person["username"] == run.namespace
        assert f".{run.namespace}." in person["email"]


def test_the_other_rules_cover_the_same_countries_as_the_catalogue() -> None:
    assert set(rules.FICTION) == phone_countries()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("email", "anna@gmail.com"), ("email", "anna@example.com.evil.eu"), ("email", "anna@xexample.com"),
        ("card", "4000000000000010"), ("card", "4242424242424241"), ("card", "4242 4242"),
        ("ssn", "123-45-6789"), ("ssn", "900-70-1234"), ("national_id", "AB123456C"),
        ("iban", "DE89370400440532013000"), ("iban", "GB83WEST12345698765432"),
        ("ip", "8.8.8.8"), ("ip", "192.0.2.256"), ("ipv6", "2001:4860::1"), ("mac", "00:00:5e:00:54:00"),
        ("host", "shop.com"), ("host", "x.invalid.com"),
    ],
)  # fmt: skip
def test_the_other_rules_refuse_what_may_be_somebodys(field: str, wrong: str) -> None:
    assert not rules.RULES[field](wrong)


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("+12125560100", "US"), ("+12125550200", "US"), ("+14165550100", "US"), ("+442071234567", "GB"),
        ("+4930231251000", "DE"), ("+46701740604", "SE"), ("+33198000000", "FR"), ("+61491570007", "AU"),
        ("+35312345678", "IE"), ("+4722824600", "NO"),
    ],
)  # fmt: skip
def test_the_other_rules_refuse_a_phone_that_may_ring(phone: str, country: str) -> None:
    assert not rules.phone_is_fiction(phone, country)


def test_the_other_arithmetic_knows_a_good_check_digit() -> None:
    assert rules.luhn("4242424242424242")
    assert rules.luhn("378282246310005")
    assert not rules.luhn("378282246310006")
    assert rules.mod_97("GB82WEST12345698765432")
    assert not rules.mod_97("GB82WEST12345698765433")


def _run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.identities.{script}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+\.\d s", done.stdout, re.MULTILINE)
    return done.stdout
