"""The web config of a running daemon: changed, and changed badly; and the door for others."""

from __future__ import annotations

import asyncio
import ssl

import bcrypt
import httpx
import pytest
import trustme

from synthmon.core.errors import Invalid
from synthmon.core.inbound import Hook
from synthmon.language.settings import Inbound, Settings
from synthmon.metrics.board import Board
from synthmon.metrics.own import Own
from synthmon.runtime import front
from synthmon.runtime.front import open_front
from synthmon.runtime.inbound import open_inbound
from tests.web.calls import Awaited
from tests.web.monitor import MemoryMonitor


def users(**passwords):
    """A web config with these users."""
    lines = [
        f"  {name}: {bcrypt.hashpw(text.encode(), bcrypt.gensalt(4)).decode()}" for name, text in passwords.items()
    ]
    return "basic_auth_users:\n" + "\n".join(lines) + "\n"


async def until(ask, wanted):
    """Ask until the answer is the wanted one."""
    async with asyncio.timeout(60):
        while await ask() != wanted:  # noqa: ASYNC110  (a file is looked at now and then: there is no event)
            await asyncio.sleep(0.05)


async def test_a_changed_web_config_counts_and_a_bad_one_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(front, "LOOK_EVERY_S", 0.05)
    file = tmp_path / "web.yml"
    file.write_text(users(alice="first password"))
    settings = Settings(listen="127.0.0.1:0", web_config=str(file))
    async with open_front(MemoryMonitor(), Board(), Own("1"), settings) as base, httpx.AsyncClient() as client:

        async def status(password):
            return (await client.get(f"{base}/readyz", auth=("alice", password))).status_code

        assert (await status("first password"), await status("second password")) == (200, 401)
        file.write_text(users(alice="second password"))
        await until(lambda: status("second password"), 200)
        assert await status("first password") == 401

        looked = []
        monkeypatch.setattr(front._log, "error", lambda *said, **more: looked.append(more["fault"]), raising=False)
        file.write_text("basic_auth_users: {alice: in plain text}\n")
        async with asyncio.timeout(60):
            while not looked:  # noqa: ASYNC110  (see `until`)
                await asyncio.sleep(0.05)
        assert "no bcrypt hash" in looked[0]
        assert await status("second password") == 200


async def test_a_renewed_certificate_is_shown_to_the_next_who_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(front, "LOOK_EVERY_S", 0.05)
    authorities = [trustme.CA(), trustme.CA()]

    def put(authority):
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
        issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))

    put(authorities[0])
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
    settings = Settings(listen="127.0.0.1:0", web_config=str(file))
    async with open_front(MemoryMonitor(), Board(), Own("1"), settings) as base:

        async def believed_by(authority):
            trust = ssl.create_default_context()
            authority.configure_trust(trust)
            async with httpx.AsyncClient(verify=trust) as client:
                try:
                    return (await client.get(f"{base}/healthz")).status_code == 200
                except httpx.ConnectError:
                    return False

        assert await believed_by(authorities[0])
        put(authorities[1])
        await until(lambda: believed_by(authorities[1]), True)
        assert not await believed_by(authorities[0])


async def test_tls_older_than_1_2_is_not_spoken(tmp_path):
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: both.pem, key_file: both.pem}\n")
    async with open_front(
        MemoryMonitor(), Board(), Own("1"), Settings(listen="127.0.0.1:0", web_config=str(file))
    ) as base:
        port = base.rpartition(":")[2]
        said = {}
        for version in ("tls1", "tls1_1", "tls1_2", "tls1_3"):
            asking = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", f"-{version}", "-cipher", "ALL:@SECLEVEL=0"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            told, _ = await asyncio.wait_for(asking.communicate(), 60)
            said[version] = b"BEGIN CERTIFICATE" in told

    assert said == {"tls1": False, "tls1_1": False, "tls1_2": True, "tls1_3": True}


async def test_the_door_for_others_opens_where_the_settings_say():
    awaited = Awaited()
    settings = Settings(hooks=Inbound("127.0.0.1:0"))
    async with open_inbound(settings) as inbound, httpx.AsyncClient() as client:
        address = inbound.hooks.open(Hook(), awaited)
        assert address.url.startswith(inbound.base + "/h/")
        assert (await client.post(address.url, content=b"hello")).status_code == 200
        assert (await client.get(f"{inbound.base}/metrics")).status_code == 404
        otlp = await client.post(f"{inbound.base}/v1/traces", json={})
        assert otlp.status_code == 200

    assert [call.body for call in awaited.calls] == [b"hello"]


async def test_without_the_setting_no_door_is_open():
    async with open_inbound(Settings()) as inbound:
        assert inbound is None


@pytest.mark.parametrize("told", [Inbound("0.0.0.0:0"), Inbound("127.0.0.1:0", "https://hooks.example.com")])
async def test_where_others_can_reach_it_otlp_needs_a_token(told, monkeypatch):
    port_of = "127.0.0.1:{}".format
    for token, status in (("", 401), ("env:OTLP_TOKEN", 200)):
        monkeypatch.setenv("OTLP_TOKEN", "a-token-that-is-long-enough")
        settings = Settings(hooks=Inbound(told.listen, told.url, token))
        headers = {"authorization": "Bearer a-token-that-is-long-enough"}
        async with open_inbound(settings) as inbound, httpx.AsyncClient(headers=headers) as client:
            here = f"http://{port_of(inbound.base.rpartition(':')[2])}/v1/logs"
            assert (await client.post(here, json={})).status_code == status
            assert inbound.hooks.open(Hook(), Awaited()).url.startswith(told.url or inbound.base)


@pytest.mark.parametrize(("value", "said"), [("tooshort", "too short"), (None, "OTLP_TOKEN")])
async def test_a_token_that_is_missing_or_short_is_told_at_the_start(value, said, monkeypatch):
    if value:
        monkeypatch.setenv("OTLP_TOKEN", value)
    with pytest.raises(Invalid, match=said) as caught:
        async with open_inbound(Settings(hooks=Inbound("127.0.0.1:0", "", "env:OTLP_TOKEN"))):
            pass

    assert "tooshort" not in str(caught.value)
