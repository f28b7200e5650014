"""Secrets are opened by the door alone, written as their surroundings demand, and never shown."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest

from synthmon.core.door import HttpRequest
from synthmon.core.secrets import Vault, compose, seal
from tests.runtime.door_servers import ENVELOPE, Target, answered, door_to, shop, talking, troubled

NASTY = 'p"a\\s/s &?=é+%'
TOKEN = seal("secret.token")


async def test_a_secret_is_written_as_its_surroundings_demand() -> None:
    target = Target()
    vault = Vault({"secret.token": NASTY})
    bodies = {
        "application/json": f'{{"token":"{TOKEN}"}}',
        "application/x-www-form-urlencoded": f"token={TOKEN}",
        "text/plain": f"token={TOKEN}",
    }
    async with talking(target.talk) as port, door_to(shop(port), vault) as door:
        for kind, body in bodies.items():
            request = HttpRequest("POST", f"/x/{TOKEN}?t={TOKEN}", (("Content-Type", kind),), body.encode())
            answered(await door.http(request, ENVELOPE))

    encoded = quote(NASTY, safe="")
    assert {heard.path for heard in target.heard} == {f"/x/{encoded}?t={encoded}"}
    assert json.loads(target.heard[0].body) == {"token": NASTY}
    assert target.heard[1].body.decode() == f"token={encoded}"
    assert target.heard[2].body.decode() == f"token={NASTY}"


async def test_what_is_computed_from_secrets_is_opened_too() -> None:
    target = Target()
    vault = Vault({"secret.password": "correct horse"})
    basic = compose("basic", "me", seal("secret.password"))
    async with talking(target.talk) as port, door_to(shop(port), vault) as door:
        answered(await door.http(HttpRequest("GET", "/", (("Authorization", basic),)), ENVELOPE))

    assert target.heard[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:correct horse").decode()


async def test_neither_the_url_of_an_answer_nor_a_trouble_shows_a_secret() -> None:
    target = Target()
    vault = Vault({"secret.token": NASTY})
    async with talking(target.talk) as port, door_to(shop(port), vault) as door:
        got = answered(await door.http(HttpRequest("GET", f"/x?t={TOKEN}"), ENVELOPE))
        refused = troubled(await door.http(HttpRequest("GET", f"http://{quote(NASTY[:1])}x.test/{TOKEN}"), ENVELOPE))
        bad = troubled(await door.http(HttpRequest("GET", f"http://a.test:{TOKEN}/"), ENVELOPE))

    assert got.url == f"http://127.0.0.1:{port}/x?t=•••"
    for shown in (got.url, repr(refused), repr(bad)):
        assert NASTY not in shown
        assert quote(NASTY, safe="") not in shown


FORMS = {
    "plain": NASTY,
    "percent-encoded": quote(NASTY, safe=""),
    "percent-encoded, lower case": quote(NASTY, safe="").lower(),
    "percent-encoded, slashes kept": quote(NASTY),
    "JSON": json.dumps(NASTY)[1:-1],
    "JSON in UTF-8": json.dumps(NASTY, ensure_ascii=False)[1:-1],
    "JSON with escaped slashes": json.dumps(NASTY)[1:-1].replace("/", "\\/"),
    "HTML": html.escape(NASTY),
    "repr": repr(NASTY)[1:-1],
    "hex": NASTY.encode().hex().upper(),
    "base64": base64.b64encode(NASTY.encode()).decode().rstrip("="),
    "base64 for URLs": base64.urlsafe_b64encode(NASTY.encode()).decode().rstrip("="),
    "base64 of a longer text": base64.b64encode(b"u:" + NASTY.encode() + b":v").decode(),
    "base64 one byte on": base64.b64encode(b"u" + NASTY.encode() + b"xyz").decode(),
    "a header read as latin-1": NASTY.encode().decode("latin-1"),
    "a sealed handle": seal("secret.token"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_blotted_out_in_every_form(form: str) -> None:
    vault = Vault({"secret.token": NASTY, "secret.other": "another-value"})

    shown = vault.redact(f"before {FORMS[form]} after another-value.")

    inner = base64.b64encode(NASTY.encode()).decode()[2:-4]
    assert "•••" in shown
    assert FORMS[form] not in shown
    assert inner not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after •••.")


def test_what_the_run_learns_is_blotted_out_as_well() -> None:
    vault = Vault({})
    assert vault.redact("learned-token-1") == "learned-token-1"

    vault.keep(compose("new", "learned-token-1"))

    assert vault.redact("learned-token-1") == "•••"
