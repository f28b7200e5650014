"""Where the door leads: SSRF forms by name, DNS rebinding, verbs, and what it takes to reach a private address."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from synthmon.core.door import HttpRequest
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import Vault
from synthmon.runtime.doors import Doors
from synthmon.runtime.outbound.guard import Refused, guard_of
from synthmon.runtime.outbound.stamps import Address
from tests.runtime.door_forms import FORMS, TRAPS
from tests.runtime.door_servers import ENVELOPE, RUN, Target, answered, door_to, shop, talking, troubled

TRANSPORTS = ("stock", "wire")


@pytest.fixture
def dialled() -> Iterator[list[Any]]:
    """Every address that this process connects a socket to, as the interpreter itself reports it."""
    heard: list[Any] = []
    listening = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if listening[0] and event == "socket.connect":
            heard.append(arguments[1])

    sys.addaudithook(hook)
    yield heard
    listening[0] = False


def test_there_are_at_least_72_forms() -> None:
    assert len(FORMS) >= 72


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_of_a_forbidden_address_is_refused_before_a_socket_is_connected(
    form: str, dialled: list[Any]
) -> None:
    system = shop("http://shop.test", allow=("shop.test", "*.shop.test"))

    async with door_to(system, look_up=TRAPS) as door:
        trouble = troubled(await door.http(HttpRequest("GET", FORMS[form]), ENVELOPE))

    assert trouble.reason in (Reason.EGRESS_BLOCKED, Reason.EXPRESSION)  # expression: no URL at all
    assert not trouble.sent
    assert dialled == []


async def test_the_audit_hook_would_have_seen_a_connection(dialled: list[Any]) -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        answered(await door.http(HttpRequest("GET", "/"), ENVELOPE))

    assert ("127.0.0.1", port) in dialled


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_name_that_answers_differently_the_second_time_never_reaches_the_second_address(transport: str) -> None:
    trap, honest = Target(), Target()
    asked = 0

    async def rebinding(name: str, port: int) -> Sequence[Address]:
        nonlocal asked
        asked += 1
        return [Address(socket.AF_INET, "127.0.0.2" if asked % 2 else "127.0.0.1", port)]

    async with talking(trap.talk) as port:
        system = shop(
            f"http://shop.test:{port}", allow=("shop.test",), allow_networks=("127.0.0.2/32",), transport=transport
        )
        doors = Doors({"shop": system}, look_up=rebinding)
        async with talking(honest.talk, host="127.0.0.2", port=port), doors:
            for _ in range(200):
                door = doors.open(RUN, "checkout", Vault({}))
                await door.http(HttpRequest("GET", "/"), ENVELOPE)
                await door.aclose()

    assert trap.connections == 0
    assert honest.connections == 100  # every other run asked the resolver once, and was led into the trap's address


@pytest.mark.platform_limit("nft")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_kernel_counts_no_packet_to_an_address_outside_of_the_allow_list(transport: str) -> None:
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.runtime.door_packets", transport],
        capture_output=True,
        timeout=120,
        check=True,
    )

    told = json.loads(done.stdout)
    refused = {str(Reason.EGRESS_BLOCKED), str(Reason.EXPRESSION), str(Reason.BAD_ANSWER)}
    through = {form for form, reasons in told["forms"].items() if not refused.issuperset(reasons)}
    assert through == {"a URL without a scheme"}  # a path of the allowed server, for a step
    assert told["packets"]["other"] == 0
    assert told["packets"]["allowed"] > len(
        FORMS
    )  # each form was asked for once behind a redirect of the allowed server
    assert told["rebinding"] == 100
    assert told["after"] == 1  # the counter would have seen one


def test_an_address_in_the_allow_list_allows_itself_and_nothing_beside_it() -> None:
    guard = guard_of(shop("http://10.1.2.3:8080"))

    guard.host("10.1.2.3")
    assert guard.addresses("10.1.2.3", [v4("10.1.2.3")]) == [v4("10.1.2.3")]
    with pytest.raises(Refused, match="not in `allow`"):
        guard.host("10.1.2.4")


def test_localhost_in_the_allow_list_allows_loopback() -> None:
    guard = guard_of(shop("http://localhost:8080"))

    assert guard.addresses("localhost", [v4("127.0.0.1")]) == [v4("127.0.0.1")]
    with pytest.raises(Refused, match="private address"):
        guard.addresses("localhost", [v4("10.0.0.1")])


def test_of_several_addresses_only_the_allowed_are_kept() -> None:
    guard = guard_of(shop("http://shop.test"))

    kept = guard.addresses("shop.test", [v4("127.0.0.1"), v4("93.184.216.34"), v4("169.254.169.254")])

    assert kept == [v4("93.184.216.34")]


def test_networks_that_are_named_are_the_only_ones() -> None:
    guard = guard_of(shop("http://shop.test", allow_networks=("10.0.0.0/8",)))

    assert guard.addresses("shop.test", [v4("10.9.8.7")]) == [v4("10.9.8.7")]
    with pytest.raises(Refused, match="outside of `allow_networks`"):
        guard.addresses("shop.test", [v4("93.184.216.34")])


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1"])
def test_no_setting_opens_the_way_to_metadata_and_the_like(address: str) -> None:
    guard = guard_of(shop(f"http://{address}", allow=(address, "shop.test"), allow_networks=("0.0.0.0/0",)))

    with pytest.raises(Refused, match=r"metadata|link-local|unspecified|multicast"):
        guard.addresses(address, [v4(address)])


def test_a_refusal_names_the_setting_that_would_help() -> None:
    guard = guard_of(shop("http://shop.test"))

    with pytest.raises(Refused, match=r"shop.test leads nowhere .* 10.1.2.3 is a private address; name its network in"):
        guard.addresses("shop.test", [v4("10.1.2.3")])
    with pytest.raises(Refused, match=r"pay.test is not in `allow` of system shop; add it there"):
        guard.host("pay.test")


@pytest.mark.parametrize(
    ("writes", "method", "path", "allowed"),
    [
        (False, "GET", "/orders", True),
        (False, "HEAD", "/orders", True),
        (False, "OPTIONS", "/orders", True),
        (False, "POST", "/orders", False),
        (False, "DELETE", "/orders/1", False),
        (False, "TRACE", "/", False),
        (True, "PATCH", "/orders/1", True),
        (True, "CONNECT", "/", False),
        (("POST /graphql",), "POST", "/graphql", True),
        (("POST /graphql",), "POST", "/graphql?x=1", True),
        (("POST /graphql",), "PUT", "/graphql", False),
        (("POST /graphql",), "POST", "/graphql/admin", False),
        (("POST /graphql",), "GET", "/anything", True),
        (("DELETE /orders/*",), "DELETE", "/orders/7", True),
        (("DELETE /orders/*",), "DELETE", "/orders/7/lines", False),
        (("DELETE /orders/*",), "DELETE", "/orders/", False),
    ],
)
async def test_what_a_system_lets_itself_be_asked(
    writes: bool | tuple[str, ...], method: str, path: str, allowed: bool
) -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port, writes=writes)) as door:
        result = await door.http(HttpRequest(method, path), ENVELOPE)

    assert [heard.method for heard in target.heard] == ([method] if allowed else [])
    if not allowed:
        assert troubled(result).reason is Reason.EGRESS_BLOCKED


async def test_listed_writes_count_from_the_path_of_the_base() -> None:
    target = Target()
    async with talking(target.talk) as port:
        system = shop(f"http://127.0.0.1:{port}/api/", writes=("POST /orders",))
        async with door_to(system) as door:
            answered(await door.http(HttpRequest("POST", "/orders"), ENVELOPE))
            refused = troubled(await door.http(HttpRequest("POST", f"http://127.0.0.1:{port}/orders"), ENVELOPE))

    assert [heard.path for heard in target.heard] == ["/api/orders"]
    assert refused.reason is Reason.EGRESS_BLOCKED


async def test_a_journey_cannot_ask_for_another_virtual_host() -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        trouble = troubled(await door.http(HttpRequest("GET", "/", (("Host", "admin.internal"),)), ENVELOPE))

    assert "'Host' is set by the door" in trouble.detail
    assert target.heard == []


async def test_a_system_that_nobody_configured_is_refused() -> None:
    async with door_to(shop("http://shop.test")) as door:
        trouble = troubled(await door.http(HttpRequest("GET", "/"), replace(ENVELOPE, system="ledger")))

    assert (trouble.reason, trouble.sent) == (Reason.EGRESS_BLOCKED, False)
    assert "'ledger'" in trouble.detail


@pytest.mark.parametrize("entry", ["https://shop.test", "shop.test:8080", "shop.test/path", "*", "*.*.test", ""])
def test_an_entry_that_is_no_host_is_refused_when_the_settings_are_read(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        guard_of(shop("http://shop.test", allow=(entry,)))


def v4(host: str) -> Address:
    return Address(socket.AF_INET, host, 80)
