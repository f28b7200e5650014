"""Descriptions of APIs become drafts that load: made, read, taken back and gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthmon.core.errors import Invalid
from synthmon.imports.draft import Draft, render, render_settings
from synthmon.imports.openapi import from_openapi
from synthmon.imports.texts import fill, written
from tests.imports.descriptions import DEMO, PETS, SHOP, TRAPS
from tests.imports.loading import assert_loads, texts


def by_name(drafts: list[Draft]) -> dict[str, Draft]:
    return {draft.name: draft for draft in drafts}


@pytest.mark.parametrize(
    ("text", "base"),
    [(SHOP, None), (PETS, "https://pets.example.org"), (TRAPS, None), (DEMO, None)],
    ids=["shop", "pets", "traps", "demo"],
)
def test_every_description_becomes_drafts_that_load(text: str, base: str | None, tmp_path: Path) -> None:
    assert_loads(tmp_path, *from_openapi(text, base))


def test_a_thing_is_made_read_taken_back_and_gone() -> None:
    draft = by_name(from_openapi(SHOP))["order-is-made-and-gone"]
    made, read = draft.steps

    assert written(made.request.url) == "/orders"
    assert made.expect == ("status == 202", "body.email == identity.email")
    assert made.save == {"id": "body.id"}
    assert made.repeatable
    assert made.undo is not None
    assert made.undo.gone is not None
    assert (made.undo.request.method, written(made.undo.request.url)) == ("DELETE", "/orders/${order.id}")
    assert made.undo.gone.expect == ("status in [404, 410]",)
    assert read.expect == ("status == 200", "body.id == order.id")
    assert read.within == "10s after order"
    assert draft.system.writes == ("POST /orders", "DELETE /orders/*")


def test_the_body_fits_the_schema_and_is_new_in_every_run() -> None:
    made = by_name(from_openapi(SHOP))["order-is-made-and-gone"].steps[0]

    body = {key: written(value) if not isinstance(value, int) else value for key, value in made.request.body.items()}
    assert body == {
        "email": "${identity.email}",
        "sku": "mug-blue",
        "when": "${run.started}",
        "day": '${date(run.started, "%Y-%m-%d", "UTC")}',
        "ref": '${uuid("ref")}',
        "quantity": 2,
        "note": "synth",
    }


def test_what_can_only_be_read_is_read() -> None:
    drafts = by_name(from_openapi(SHOP))
    listing, item = drafts["products-can-be-read"].steps

    assert listing.expect == ("status == 200", "size(body) > 0")
    assert listing.request.params == {"size": 5}
    assert written(item.request.url) == "/shops/${vars.shop}/products/${products.id}"
    assert "Put a shop that exists into `vars:`." in drafts["products-can-be-read"].notes


def test_secrets_are_named_by_their_schemes(tmp_path: Path) -> None:
    shop, pets = by_name(from_openapi(SHOP)), by_name(from_openapi(PETS, "https://pets.example.org"))

    assert shop["order-is-made-and-gone"].secrets == {"shop_key": "SHOP_KEY"}
    assert not shop["health-can-be-read"].secrets
    assert "Authorization: Bearer ${secret.pets_login}" in render(pets["pet-is-made-and-gone"])
    assert "${basic(secret.pets_basic_user, secret.pets_basic_password)}" in render(pets["user-is-made-and-gone"])


def test_an_example_is_used_without_its_person_and_its_id() -> None:
    pets = by_name(from_openapi(PETS, "https://pets.example.org"))
    body = pets["pet-is-made-and-gone"].steps[0].request.body

    assert {key: written(value) for key, value in body.items()} == {
        "name": "Rex",
        "owner": "${identity.email}",
        "password": "${identity.password}",
    }
    assert "corp.com" not in texts(*pets.values())


def test_an_id_that_the_client_chooses_is_a_variable() -> None:
    user = by_name(from_openapi(PETS, "https://pets.example.org"))["user-is-made-and-gone"]
    made = user.steps[0]

    assert made.request.word == "form"
    assert written(made.request.body["username"]) == "${vars.username}"
    assert made.undo is not None
    assert written(made.undo.request.url) == "/user/${vars.username}"


def test_a_relative_server_needs_a_base_and_keeps_its_path() -> None:
    draft = from_openapi(PETS, "https://pets.example.org")[0]

    with pytest.raises(Invalid, match="does not say where the API is"):
        from_openapi(PETS)
    assert draft.system.base == "https://pets.example.org/api/v3"


def test_a_write_that_nothing_takes_back_is_not_drafted_and_told() -> None:
    notes = from_openapi(PETS, "https://pets.example.org")[0].notes

    assert "Not drafted: POST /pet/{petId}/photo (it has no DELETE that takes it back)." in notes
    assert "Not drafted: PUT /pet." in notes


def test_endless_references_and_those_that_lead_out_do_no_harm() -> None:
    drafts = by_name(from_openapi(TRAPS))
    made = drafts["loop-value-is-made-and-gone"].steps[0]

    assert made.request.body == {"next": {}, "many": [fill("run.namespace")] * 3, "text": "NO", "either": {}}
    assert made.request.headers["Content-Type"] == "application/vnd.loop+json"
    assert made.save == {"id": 'find(headers["location"], "([^/?#]+)/?$")'}
    assert any("other.yaml" in note and "left out" in note for note in drafts["loop-value-is-made-and-gone"].notes)
    assert any("#/components/schemas/Missing leads nowhere" in note for note in next(iter(drafts.values())).notes)


def test_schemas_that_hold_each_other_many_times_end_soon() -> None:
    every = {f"s{i}": {"$ref": f"#/components/schemas/s{i}"} for i in range(12)}
    schemas = {name: {"type": "object", "required": list(every), "properties": every} for name in every}
    operation = {"requestBody": {"content": {"application/json": {"schema": every["s0"]}}}, "responses": {"201": {}}}
    paths = {"/a": {"post": operation}, "/a/{id}": {"delete": {"responses": {"204": {}}}}}
    servers = [{"url": "https://x.example.org"}]

    (draft,) = from_openapi(
        json.dumps({"openapi": "3.1.0", "servers": servers, "paths": paths, "components": {"schemas": schemas}})
    )

    assert len(render(draft)) < 100_000


def test_only_chooses_tags_operations_and_paths() -> None:
    assert [d.name for d in from_openapi(SHOP, only=["products"])] == ["products-can-be-read"]
    assert [d.name for d in from_openapi(SHOP, only=["/health"])] == ["health-can-be-read"]
    with pytest.raises(Invalid, match="Its tags are health, orders, products"):
        from_openapi(SHOP, only=["prodcuts"])


def test_the_settings_of_all_drafts_are_one() -> None:
    settings = render_settings(*from_openapi(PETS, "https://pets.example.org"))

    assert settings.count("  pets:\n") == 1
    assert "      - POST /pet\n      - DELETE /pet/*\n      - POST /user\n      - DELETE /user/*\n" in settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no OpenAPI 3 description"),
        ("{", "not valid JSON"),
        ("[]", "no OpenAPI 3 description"),
        ('{"swagger": "2.0"}', "Swagger 2.0"),
        ("openapi: 3.1.0\nservers: [{url: https://x.example.org}]\n", "no operations"),
        ("openapi: 3.1.0\n  a: 1\n", "openapi:2"),
        (
            json.dumps(
                {"openapi": "3.0.0", "servers": [{"url": "https://x.example.org"}], "paths": {"/a": {"post": {}}}}
            ),
            "POST /a",
        ),
    ],
)
def test_what_is_no_description_is_refused_with_a_remedy(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_openapi(text)

    assert said in str(refused.value)
    assert all(problem.remedy for problem in refused.value.problems)
