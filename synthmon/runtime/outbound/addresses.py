"""Which numeric address a text means, in all its disguises, and whether it lies on the public internet."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

IP = IPv4Address | IPv6Address


@lru_cache(maxsize=1024)
def literal(host: str) -> IP | None:
    """The address that a host text spells, None for a name.

    Takes what the resolver of the C library takes as well: `2130706433`, `0x7f.1`, `0177.0.0.1` (inet_aton(3)), and
    IPv6 with a zone, which is dropped. An IPv4 address mapped into IPv6 comes back as IPv4.
    """
    text = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        return unmapped(ip_address(text))
    except ValueError:
        pass
    if not _NUMBERS.fullmatch(text):
        return None
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def unmapped(ip: IP) -> IP:
    """The IPv4 address inside `::ffff:a.b.c.d` (RFC 4291 2.5.5.2): the kernel dials IPv4 for it."""
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def carried(ip: IP) -> Iterator[IPv4Address]:
    """The IPv4 addresses at which a packet to this IPv6 address may come out, through a translator or a tunnel."""
    if not isinstance(ip, IPv6Address):
        return
    last = IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in _COMPATIBLE and int(ip) > 1:  # :: and ::1 are themselves
        yield last
    if any(ip in network for network in _NAT64):
        yield last
    if int(ip) >> 32 & 0xFDFFFFFF == 0x5EFE:  # ISATAP, RFC 5214 6.1
        yield last
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo


def never(ip: IP) -> str:
    """Why no probe may ever go there, as a noun; empty if it may."""
    if str(ip) in _METADATA:
        return "the cloud's metadata service"
    if ip.is_link_local:
        return "a link-local address, where metadata services live"
    if ip.is_unspecified or (isinstance(ip, IPv4Address) and int(ip) >> 24 == 0):
        return "an unspecified address"
    if ip.is_multicast:
        return "a multicast address"
    if isinstance(ip, IPv4Address) and ip.is_reserved:
        return "a reserved address"
    return ""


def public(ip: IP) -> bool:
    """Whether it is globally reachable by the IANA special-purpose registries (RFC 6890), as the stdlib reads them."""
    site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return ip.is_global and not site_local


_NUMBERS = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+)){0,3}", re.IGNORECASE)
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 2.5.5.1
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
_METADATA = frozenset(
    (
        "169.254.169.254",  # AWS, Google, Azure, …
        "169.254.170.2",  # AWS ECS task roles
        "fd00:ec2::254",  # AWS over IPv6
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host
        "192.0.0.192",  # Oracle
    )
)
