"""Which saved values are ids of the run's own: a key that others bear too makes theirs ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from synthmon.core.evidence import Wanted
from synthmon.core.transact.own_keys import id_in, own_steps, saved_keys
from tests.core.scripted import hears, journey, step

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


@pytest.mark.parametrize(
    "value",
    [
        "ORD-4711",
        "INV-2026-0001",
        "7f9c24e8-3b1d-4a6f-9c55-0a1b2c3d4e5f",
        "01JD6Y7ZQ4M3N5P8R9STVWXYZ0",
        "pi_3MtwBwLkdIwHu7ix28a3tqPA",
        "kXqPzLmTbR",
        12_345_678,
        90071992547409931,
        "4100200300",
    ],
)
def test_what_looks_like_an_id_is_a_key(value: Any) -> None:
    assert id_in(value, NOW_NS) == str(value)


@pytest.mark.parametrize(
    "value",
    [
        *(4711, "4711", 1_234_567, -12_345_678, "ORD-471", True, None, 12_345_678.0, ["ORD-4711"], {"id": "ORD-4711"}),
        *("confirmed", "inProgress", "OrderConfirmed", "AWAITING_PAYMENT", "eu-west-1", "10.0.12.117", "1.24.3-rc1"),
        *(
            "order 4711 is there",
            "application/json",
            "x" * 101 + "1234",
            "with\u00a01234blank",
            "\ue000token.1234\ue001",
        ),
        *("2026-11-23", "2026-11-23T12:00:00Z", "20261123", 20261123, "1999-01-01T00:00:00"),
        *(int(NOW.timestamp()), int(NOW.timestamp() * 1000), str(NOW_NS), int(NOW.timestamp()) + 30 * 86400),
    ],
)
def test_what_stands_in_the_records_of_others_too_is_none(value: Any) -> None:
    assert id_in(value, NOW_NS) == ""


def test_what_the_journey_itself_says_is_the_same_in_every_run() -> None:
    probe = journey(step("order", "POST /o", save={"sku": "body.sku"}), text="json: {sku: SKU-00042}")

    assert saved_keys(["SKU-00042", "ORD-4711", "ORD-4711"], probe, NOW_NS) == ("ORD-4711",)


def test_only_what_is_about_the_runs_own_things_is_its_own() -> None:
    probe = journey(
        step("catalogue", "GET /products", save={"sku": "body.sku"}),
        step("product", "GET /products/${catalogue.sku}", save={"maker": "body.maker"}, knows=("catalogue.sku",)),
        step("order", "POST /orders", save={"id": "body.id"}),
        step("invoice", "GET /invoices?order=${order.id}", save={"number": "body.number"}, knows=("order.id",)),
        step("mine", "GET /orders?by=${identity.email}", save={"first": "body.id"}),
        hears("shipped", "/topics/shipped", save={"parcel": "messages[0].body.id"}),
        step("read", "GET /orders/${order.id}", knows=("order.id",)),
    )

    assert own_steps(probe) == {"order", "invoice", "mine", "shipped"}


OWN = Wanted("ab" * 16, "syn-" + "a" * 24, NOW_NS, keys=("PRD-00042",), traces=("cd" * 16,))


@pytest.mark.parametrize(
    ("texts", "matched_by"),
    [
        ({"product": "PRD-00042"}, "product (key)"),
        ({"product": "PRD-00042", "reference": "x-syn-" + "a" * 24}, "reference"),
        ({"product": "PRD-00042", "reference": "x-syn-" + "b" * 24}, ""),
        ({"trace": "cd" * 16, "reference": "x-syn-" + "b" * 24}, "trace (key)"),
        ({"product": "PRD-000421"}, ""),
    ],
)
def test_a_record_that_names_another_run_is_not_joined_by_what_both_know(
    texts: dict[str, str], matched_by: str
) -> None:
    assert OWN.matched_by(texts) == matched_by


def test_a_wider_one_has_every_key_once() -> None:
    wider = OWN.widened(("ORD-4711", "PRD-00042"))

    assert wider.keys == ("PRD-00042", "ORD-4711")
    assert wider.matched_by({"orderId": "ORD-4711"}) == "orderId (key)"
    assert "ORD-4711" in wider.marks
