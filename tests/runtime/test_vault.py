"""Secrets in HashiCorp Vault, asked over its HTTP API: logins, versions, leases, and what is said when it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from synthmon.language.settings import VaultServer as Server
from synthmon.runtime.doors import Doors
from synthmon.runtime.keyring import Keyring
from tests.servers.vault import VaultServer, serving_vault

VALUE = "kept-in-vault-1"
PLACE = "vault:secret/data/shop#api_token"


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with serving_vault() as served:
        served.put("secret/data/shop", {"api_token": VALUE, "pin": 12345678})
        yield served


@pytest.fixture
async def keyring() -> AsyncIterator[Keyring]:
    async with Doors({}) as doors:
        yield Keyring(doors)


def by_token(vault: VaultServer, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("MY_VAULT_TOKEN", "root-token")
    return Server(vault.url, token="env:MY_VAULT_TOKEN", namespace=vault.namespace)


async def read(keyring: Keyring, server: Server, **places: str) -> dict[str, str]:
    """What a run that begins now has, after one look at everything."""
    keyring.take(places, {}, server, 0.0)
    await keyring.fetch()
    made = keyring.vault()
    return {name: made.reveal(f"\ue000secret.{name}\ue001") for name in places if name not in keyring.faults}


async def test_both_versions_of_the_key_value_store_are_read(
    vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put("kv/shop", {"api_token": "kept-in-version-1"}, version=1)

    found = await read(keyring, by_token(vault, monkeypatch), two=PLACE, one="vault:kv/shop#api_token")

    assert found == {"two": VALUE, "one": "kept-in-version-1"}


async def test_the_fields_of_one_path_are_asked_for_once(
    vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await read(keyring, by_token(vault, monkeypatch), a=PLACE, b="vault:secret/data/shop#pin")

    assert found == {"a": VALUE, "b": "12345678"}
    assert vault.asked == [("GET", "secret/data/shop")]


@pytest.mark.parametrize("way", ["approle", "kubernetes"])
async def test_it_logs_in_once_and_again_when_the_token_is_no_longer_good(
    way: str, vault: VaultServer, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.namespace = "team-a"
    monkeypatch.setenv("ROLE_ID", "role-1")
    (tmp_path / "proof").write_text('secret "id" of 1\n')
    proof = f"file:{tmp_path / 'proof'}"
    if way == "approle":
        vault.logins["auth/apps/login"] = {"role_id": "role-1", "secret_id": 'secret "id" of 1'}
        server = Server(vault.url, "team-a", role_id="env:ROLE_ID", secret_id=proof, mount="apps")
    else:
        vault.logins["auth/kubernetes/login"] = {"role": "synthmon", "jwt": 'secret "id" of 1'}
        server = Server(vault.url, "team-a", role="synthmon", jwt=proof)

    first = [await read(keyring, server, it=PLACE) for _ in range(2)]
    vault.tokens.clear()  # revoked
    again = await read(keyring, server, it=PLACE)

    assert [*first, again] == [{"it": VALUE}] * 3
    assert vault.made == 2


async def test_a_token_is_renewed_before_its_time_is_over(
    vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLE_ID", "role-1")
    vault.logins["auth/approle/login"] = {"role_id": "role-1"}
    vault.lease_s = 1_000_000
    server = Server(vault.url, role_id="env:ROLE_ID")
    now_s = [1000.0]
    monkeypatch.setattr("synthmon.runtime.places.vault.time.monotonic", lambda: now_s[0])

    await read(keyring, server, it=PLACE)
    now_s[0] += 500_000
    await read(keyring, server, it=PLACE)
    made_before = vault.made
    now_s[0] += 200_000
    await read(keyring, server, it=PLACE)

    assert (made_before, vault.made) == (1, 2)


async def test_a_made_credential_is_kept_until_two_thirds_of_its_lease(
    vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "vault:database/creds/shop#password"
    vault.kept["database/creds/shop"] = {"lease_id": "l-1", "lease_duration": 3600, "data": {"password": "made-for-us"}}
    keyring.take({"it": place}, {}, by_token(vault, monkeypatch), 0.0)

    for _ in range(3):
        await keyring.fetch()

    assert vault.asked == [("GET", "database/creds/shop")]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("vault:secret/data/other#api_token", "nothing under secret/data/other (404)"),
        ("vault:secret/data/shop#other", "no text 'other' under secret/data/shop"),
    ],
)
async def test_what_is_not_there_is_told(
    place: str, why: str, vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await read(keyring, by_token(vault, monkeypatch), good=PLACE, it=place)

    assert found == {"good": VALUE}
    assert why in keyring.faults["it"]


async def test_a_vault_that_is_sealed_or_gone_leaves_the_last_good_value(
    vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = by_token(vault, monkeypatch)
    await read(keyring, server, it=PLACE)

    vault.sealed = True
    await read(keyring, server, it=PLACE)

    assert "sealed" in keyring.faults["it"]
    assert keyring.vault().values() == (VALUE,)


async def test_a_refused_login_does_not_show_what_it_sent(
    vault: VaultServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLE_ID", "role-that-is-secret")
    vault.logins["auth/approle/login"] = {"role_id": "another"}

    assert await read(keyring, Server(vault.url, role_id="env:ROLE_ID"), it=PLACE) == {}

    assert "the login" in keyring.faults["it"]
    assert "role-that-is-secret" not in keyring.faults["it"]


async def test_without_a_vault_block_the_place_is_told() -> None:
    async with Doors({}) as doors:
        keyring = Keyring(doors)
        keyring.take({"it": PLACE})
        await keyring.fetch()

        assert keyring.faults == {"it": "the settings have no `vault:`"}
