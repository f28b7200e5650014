"""Handles that cannot be forged, values that are found in every form, and what may lie on a disk."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from synthmon.core.blots import Blots
from synthmon.core.secrets import MASK, SecretError, Vault, compose, disarmed, masked, seal

NASTY = 'p"a\\s/s &?=é+%<7>'
TOKEN = seal("secret.token")
SHAPES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "lower case, as in a host name": str.lower,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded in lower case": lambda text: quote(text, safe="").lower().replace(text.lower(), text),
    "percent-encoded with +": quote_plus,
    "as a browser's script encodes it": lambda text: quote(text, safe="!'()*"),
    "in a URL inside a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON inside JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "HTML": html.escape,
    "HTML as Go writes it": lambda text: html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "basic authentication": lambda text: base64.b64encode(f"clerk:{text}".encode()).decode(),
    "base64 one byte on": lambda text: base64.b64encode(f"x{text}yz".encode()).decode(),
    "repr": lambda text: repr(text)[1:-1],
    "UTF-16 read as bytes": lambda text: text.encode("utf-16-le").decode("latin-1"),
}


@pytest.mark.parametrize("many", [1, 40], ids=["one value", "forty values"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("value", ["kR7-vD2_qX9.mZ4~tB6", "correct horse battery"])
def test_a_value_is_found_in_every_form(value: str, shape: str, many: int) -> None:
    written = SHAPES[shape](value)
    vault = Vault({"secret.token": value, **{f"secret.n{n}": f"another-value-{n:04}" for n in range(many - 1)}})

    shown = vault.redact(f"before {written} after")

    assert MASK in shown
    assert written not in shown
    assert (shown[:7], shown[-6:]) == ("before ", " after")


def test_without_secrets_nothing_is_looked_for() -> None:
    text = "x" * 100

    assert Vault({}).redact(text) is text
    assert not Vault({}).hides


@pytest.mark.parametrize("many", [1, 40], ids=["one value", "forty values"])
def test_the_beginning_of_a_secret_is_masked_where_a_text_was_cut(many: int) -> None:
    values = [f"kR7vD2qX9-{n:04}-mZ4tB6" for n in range(many)]

    shown = [
        Blots(values).redact(text) for text in ('{"a": "kR7vD2q… (400 characters)', "kR7vD2qX9-\n… 9000 bytes in all")
    ]

    assert shown == ['{"a": "•••… (400 characters)', "•••\n… 9000 bytes in all"]


def test_forty_secrets_cost_little_in_a_long_transcript() -> None:
    values = {f"secret.n{n}": f"kR7vD2qX9-{n:04}-mZ4tB6" for n in range(40)}
    vault = Vault(values)
    text = json.dumps([{"id": f"{n:032x}", "amount": n * 7.13, "name": "Jane Doe"} for n in range(900)])[:65536]
    vault.redact(text)

    took_ms = min(_took_ms(vault, text) for _ in range(20))

    assert took_ms < 10  # about 0.2 ms on a quiet machine


def _took_ms(vault: Vault, text: str) -> float:
    began_s = time.perf_counter()
    vault.redact(text)
    return (time.perf_counter() - began_s) * 1e3


def test_what_secret_wraps_inside_a_list_or_a_map_is_taken_in() -> None:
    vault = Vault({})

    kept = vault.keep({"tokens": [compose("new", "learned-token-1")], "n": 1})

    assert masked(kept["tokens"][0]) == MASK
    assert vault.reveal(kept["tokens"][0]) == "learned-token-1"
    assert vault.redact("learned-token-1") == MASK


def test_a_secret_that_is_only_computed_in_a_request_is_masked_as_well() -> None:
    vault = Vault({})

    assert vault.reveal(compose("new", "opened-at-the-door-1")) == "opened-at-the-door-1"

    assert vault.redact("opened-at-the-door-1") == MASK


def test_words_that_are_learnt_again_are_noted_again() -> None:
    vault = Vault({})
    vault.keep(compose("new", "the-same-token"))

    with vault.noting() as words:
        vault.keep(compose("new", "the-same-token"))

    assert words == set(vault.learned())


def test_a_handle_that_an_answer_forged_is_no_handle() -> None:
    nested = compose("basic", "me", TOKEN)

    vault = Vault({"secret.token": "t0p-s3cret-value"})

    for forged in (TOKEN, nested, f"x{TOKEN}"):
        harmless = disarmed({"a": [forged]}, [])["a"][0]
        assert vault.reveal(harmless) == harmless != forged
    assert disarmed(f"Bearer {TOKEN}", ["Bearer", TOKEN]) == f"Bearer {TOKEN}"
    assert disarmed(nested, [TOKEN]) == nested
    assert disarmed(compose("new", TOKEN), []) == compose("new", TOKEN)


def test_a_handle_inside_of_what_secret_wraps_stays_text() -> None:
    vault = Vault({"secret.token": "t0p-s3cret-value"})

    kept = vault.keep(compose("new", f"forged {TOKEN}"))

    assert vault.reveal(kept) == f"forged {TOKEN}"


def test_what_lies_on_a_disk_has_handles_for_secrets() -> None:
    vault = Vault({"secret.token": "t0p-s3cret-value"})

    lying = vault.sealed({"link": "/orders/7?t=t0p-s3cret-value", "n": 7})

    assert lying == {"link": f"/orders/7?t={TOKEN}", "n": 7}
    assert vault.reveal(lying["link"]) == "/orders/7?t=t0p-s3cret-value"


def test_a_secret_in_another_form_is_rather_not_opened_than_wrong() -> None:
    vault = Vault({"secret.token": "t0p-s3cret-value"})

    lying = vault.sealed("/orders/" + base64.b64encode(b"t0p-s3cret-value").decode())

    assert "t0p" not in masked(lying)
    with pytest.raises(SecretError):
        vault.reveal(lying)


def test_what_a_target_handed_out_is_hidden_and_still_kept_for_clean_up() -> None:
    vault = Vault({})
    vault.hide("cart-0123456789")

    assert vault.redact("cookie: cart-0123456789") == f"cookie: {MASK}"
    assert vault.sealed("/carts/cart-0123456789") == "/carts/cart-0123456789"
