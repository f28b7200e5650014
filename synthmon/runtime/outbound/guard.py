"""Where a system's probes may go and what they may do there; everything else is refused before a byte leaves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

import httpx

from synthmon.core.system import System
from synthmon.runtime.outbound.addresses import IP, carried, literal, never, public, unmapped
from synthmon.runtime.outbound.stamps import Address

READS = frozenset(("GET", "HEAD", "OPTIONS"))


class Refused(Exception):
    """Our own rules forbid it; the message says which and what to change."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What one system's settings allow.

    - A host must be one of `allow`, exactly or under a `*.suffix`.
    - Link-local, metadata, unspecified, multicast and reserved addresses are refused whatever the settings say.
    - `allow_networks` that is not empty must hold the address. If it is empty, an address must be public.
    - An address that stands in `allow` itself is allowed, and so is loopback where `localhost` stands there.
    - An IPv6 address that leads to an IPv4 one (NAT64, 6to4, Teredo, ISATAP) needs both to be allowed.
    """

    system: str
    hosts: frozenset[str]
    suffixes: tuple[str, ...]
    literals: frozenset[IP]
    networks: tuple[IPv4Network | IPv6Network, ...]
    writes: bool | tuple[re.Pattern[str], ...]

    def url(self, url: httpx.URL) -> None:
        """Check scheme, user and host. Raises `Refused`."""
        if url.scheme not in ("http", "https"):
            raise Refused(f"{url.scheme or 'a URL without a scheme'} is not http or https")
        if url.userinfo:
            raise Refused(f"the URL for {url.host} holds a user; write `headers: {{Authorization: …}}` with basic()")
        self.host(url.raw_host.decode("ascii"))

    def host(self, host: str) -> None:
        """Check a host as it stands in a URL. Raises `Refused`."""
        ip = literal(host)
        if ip is not None:
            if ip not in self.literals:
                raise Refused(
                    f"{_shown(host, ip)} is not in `allow` of system {self.system}; add it there if it is meant"
                )
            return
        name = host.lower().removesuffix(".")
        if name not in self.hosts and not name.endswith(self.suffixes):
            raise Refused(f"{name} is not in `allow` of system {self.system}; add it there if it is meant")

    def addresses(self, host: str, found: Sequence[Address]) -> Sequence[Address]:
        """Those of a host's addresses that may be dialled. Raises `Refused` when none may."""
        refusals: list[str] = []
        allowed = []
        for address in found:
            why = self._against(address.host)
            if why:
                refusals.append(f"{address.host} is {why}")
            else:
                allowed.append(address)
        if not allowed:
            raise Refused(
                f"{host} leads nowhere that system {self.system} may go: " + ("; ".join(refusals) or "no address")
            )
        return allowed

    def verb(self, method: str, url: httpx.URL) -> None:
        """Check what the request would do. Raises `Refused`."""
        if method in READS or self.writes is True:
            if method == "CONNECT":
                raise Refused("CONNECT opens a tunnel past the guard")
            return
        path = url.raw_path.decode("ascii").partition("?")[0]
        if self.writes is False:
            raise Refused(
                f"{method} may change system {self.system}, whose settings say `writes: false`;"
                f' set `writes: true` or `writes: ["{method} {path}"]`'
            )
        if not any(pattern.fullmatch(f"{method} {path}") for pattern in self.writes):
            raise Refused(
                f'{method} {path} is not in `writes` of system {self.system}; add "{method} {path}" if it is meant'
            )

    def _against(self, host: str) -> str:
        """Why this numeric address must not be dialled, empty if it may."""
        ip = literal(host)
        if ip is None:
            return "no address"
        return next((why for each in (ip, *carried(ip)) if (why := self._refusal(each))), "")

    def _refusal(self, ip: IP) -> str:
        if why := never(ip):
            return why
        if ip in self.literals or (ip.is_loopback and "localhost" in self.hosts):
            return ""
        if self.networks:
            return "" if any(ip in network for network in self.networks) else "outside of `allow_networks`"
        return "" if public(ip) else "a private address; name its network in `allow_networks` if it is meant"


def guard_of(system: System) -> Guard:
    """A system's guard; an empty `allow` means the hosts of its base. Raises `ValueError` for an unusable entry."""
    bases = tuple(httpx.URL(base) for base in system.base.values())
    entries = system.allow or tuple(base.raw_host.decode("ascii") for base in bases)
    ips = {entry: literal(entry) for entry in entries}
    names = [_name(entry) for entry, ip in ips.items() if ip is None]
    return Guard(
        system=system.name,
        hosts=frozenset(name for name in names if not name.startswith("*.")),
        suffixes=tuple(name[1:] for name in names if name.startswith("*.")),
        literals=frozenset(ip for ip in ips.values() if ip is not None),
        networks=tuple(ip_network(network, strict=False) for network in system.allow_networks),
        writes=system.writes if isinstance(system.writes, bool) else _writes(system.writes, bases),
    )


def _name(entry: str) -> str:
    """A host of the allow-list as it stands on the wire (IDNA)."""
    star, bare = ("*.", entry[2:]) if entry.startswith("*.") else ("", entry)
    if not bare or re.search(r"[/:@*\s?#]", bare):
        raise ValueError(f"`allow: {entry}` is not a host; write shop.example.com, *.example.com or an IP address")
    return star + httpx.URL(f"http://{bare}").raw_host.decode("ascii").lower().removesuffix(".")


def _writes(lines: Sequence[str], bases: Sequence[httpx.URL]) -> tuple[re.Pattern[str], ...]:
    """`POST /orders/*` under every base; `*` stands for one path segment."""
    patterns = []
    for line in lines:
        method, _, path = line.partition(" ")
        if not path.startswith("/"):
            raise ValueError(f"`writes: {line}` is not a method and a path; write POST /orders")
        for base in bases:
            prefix = base.raw_path.decode("ascii").partition("?")[0].rstrip("/")
            rest = re.escape(path).replace(r"\*", r"[^/]+")
            patterns.append(re.compile(f"{re.escape(method.upper())} {re.escape(prefix)}{rest}"))
    return tuple(patterns)


def _shown(host: str, ip: IP) -> str:
    return host if host == str(ip) else f"{host} ({unmapped(ip)})"
