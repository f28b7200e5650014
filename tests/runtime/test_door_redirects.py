"""What is followed, what is taken along, and what the environment cannot change."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from synthmon.core.door import HttpRequest
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import Vault, seal
from synthmon.core.system import Tls
from synthmon.runtime.outbound.trust import TrustError, context_of, system_bundle
from tests.runtime.door_servers import ENVELOPE, Target, answered, door_to, names, redirect, shop, talking, troubled

TRANSPORTS = ("stock", "wire")
VAULT = Vault({"secret.token": "t0p-s3cret-value"})
HOSTS = names({"shop.test": "127.0.0.1", "pay.test": "127.0.0.1", "evil.test": "127.0.0.1"})
WIDE = {"allow": ("shop.test", "pay.test"), "allow_networks": ("127.0.0.0/8",), "follow": True}


async def test_a_redirect_is_the_answer_unless_the_system_says_follow() -> None:
    target = Target({"/old": redirect("/new")})
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        got = answered(await door.http(HttpRequest("GET", "/old"), ENVELOPE))

    assert (got.status, dict(got.headers)["location"], len(target.heard)) == (302, "/new", 1)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_header_that_authenticates_goes_to_another_host(transport: str) -> None:
    pay = Target()
    private = {
        "Authorization": "Bearer x",
        "X-Api-Key": "k",
        "Cookie": "session=1",
        "Proxy-Authenticate": "y",
        "X-Auth-Token": "z",
        "X-Trace-Me": seal("secret.token"),
    }
    async with talking(pay.talk) as pay_port:
        target = Target({"/old": redirect(f"http://pay.test:{pay_port}/new")})
        async with talking(target.talk) as port:
            system = shop(f"http://shop.test:{port}", transport=transport, **WIDE)
            async with door_to(system, VAULT, HOSTS) as door:
                request = HttpRequest("GET", "/old", (*private.items(), ("X-Harmless", "1")))
                answered(await door.http(request, ENVELOPE))

    assert {name.lower() for name in private} <= set(target.heard[0].headers)
    assert target.heard[0].headers["x-trace-me"] == "t0p-s3cret-value"
    assert not {name.lower() for name in private} & set(pay.heard[0].headers)
    assert pay.heard[0].headers["x-harmless"] == "1"
    assert "baggage" in pay.heard[0].headers


async def test_headers_stay_on_the_same_host() -> None:
    target = Target({"/old": redirect("/new")})
    async with talking(target.talk) as port, door_to(shop(port, follow=True)) as door:
        answered(await door.http(HttpRequest("GET", "/old", (("Authorization", "Bearer x"),)), ENVELOPE))

    assert [heard.headers["authorization"] for heard in target.heard] == ["Bearer x", "Bearer x"]


@pytest.mark.parametrize(
    "location", ["http://evil.test/", "http://127.0.0.1:1/", "http://169.254.169.254/", "ftp://shop.test/"]
)
async def test_a_redirect_to_a_stranger_is_refused(location: str) -> None:
    target = Target({"/old": redirect(location)})
    async with talking(target.talk) as port, door_to(shop(f"http://shop.test:{port}", **WIDE), look_up=HOSTS) as door:
        trouble = troubled(await door.http(HttpRequest("GET", "/old"), ENVELOPE))

    assert trouble.reason is Reason.EGRESS_BLOCKED
    assert trouble.sent  # the first request did leave
    assert len(target.heard) == 1


@pytest.mark.parametrize("where", ["body", "location"])
async def test_a_secret_is_not_carried_to_another_host_by_a_body_or_by_the_location(where: str) -> None:
    pay = Target()
    async with talking(pay.talk) as pay_port:
        echo = "?t=t0p-s3cret-value" if where == "location" else ""
        target = Target({"/old": redirect(f"http://pay.test:{pay_port}/new{echo}", 307)})
        async with (
            talking(target.talk) as port,
            door_to(shop(f"http://shop.test:{port}", **WIDE), VAULT, HOSTS) as door,
        ):
            body = seal("secret.token").encode() if where == "body" else b"{}"
            trouble = troubled(await door.http(HttpRequest("POST", "/old", (), body), ENVELOPE))

    assert trouble.reason is Reason.EGRESS_BLOCKED
    assert pay.heard == []


@pytest.mark.parametrize(
    ("status", "method", "becomes", "keeps_body"),
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "PUT", "GET", False),
        (303, "HEAD", "HEAD", False),
        (301, "PUT", "PUT", True),
        (307, "POST", "POST", True),
        (308, "PATCH", "PATCH", True),
    ],
)
async def test_methods_are_rewritten_as_rfc_9110_says(status: int, method: str, becomes: str, keeps_body: bool) -> None:
    target = Target(
        {"/old": redirect("/new", status) if method != "HEAD" else b"HTTP/1.1 303 x\r\nLocation: /new\r\n\r\n"}
    )
    body = None if method == "HEAD" else b"{}"
    headers = () if body is None else (("Content-Type", "application/json"),)
    if method == "HEAD":
        target.answers = {**target.answers, "/new": b"HTTP/1.1 200 x\r\n\r\n"}
    async with talking(target.talk) as port, door_to(shop(port, follow=True)) as door:
        answered(await door.http(HttpRequest(method, "/old", headers, body), ENVELOPE))

    second = target.heard[1]
    assert (second.method, second.body) == (becomes, b"{}" if keeps_body else b"")
    assert ("content-type" in second.headers) is keeps_body


async def test_a_redirected_write_is_checked_against_the_list_of_writes_again() -> None:
    target = Target({"/orders": redirect("/admin", 308)})
    async with talking(target.talk) as port, door_to(shop(port, follow=True, writes=("POST /orders",))) as door:
        trouble = troubled(await door.http(HttpRequest("POST", "/orders"), ENVELOPE))

    assert (trouble.reason, len(target.heard)) == (Reason.EGRESS_BLOCKED, 1)


async def test_a_loop_of_redirects_ends_after_five() -> None:
    target = Target({"/a": redirect("/b"), "/b": redirect("/a")})
    async with talking(target.talk) as port, door_to(shop(port, follow=True)) as door:
        trouble = troubled(await door.http(HttpRequest("GET", "/a"), ENVELOPE))

    assert (trouble.reason, len(target.heard)) == (Reason.BAD_ANSWER, 6)
    assert "more than 5 times" in trouble.detail


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_proxy_and_no_netrc_of_the_environment_is_used(
    transport: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    canary, target = Target(), Target()
    async with talking(canary.talk) as canary_port, talking(target.talk) as port:
        for name in ("http_proxy", "https_proxy", "all_proxy", "socks_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary_port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{canary_port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password hunter22\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with door_to(shop(port, transport=transport)) as door:
            answered(await door.http(HttpRequest("GET", "/"), ENVELOPE))
        async with door_to(shop(f"https://127.0.0.1:{port}", transport=transport)) as door:
            troubled(await door.http(HttpRequest("GET", "/"), replace(ENVELOPE, timeout_s=1)))  # it speaks no TLS

    assert (canary.connections, target.connections) == (0, 2)
    assert "authorization" not in target.heard[0].headers


def test_trust_comes_from_the_system_or_the_settings_never_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    context = context_of(Tls())

    assert system_bundle() != str(empty)
    assert len(context.get_ca_certs()) > 20
    assert context.keylog_filename is None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.hostname_checks_common_name


def test_a_ca_that_cannot_be_used_is_said_when_the_settings_are_read(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")

    for reference in (str(broken), f"file:{broken}", "env:NO_SUCH_CA", str(tmp_path / "missing.pem")):
        with pytest.raises(TrustError, match=r"`tls.ca: .*` cannot be used"):
            context_of(Tls(ca=reference))
