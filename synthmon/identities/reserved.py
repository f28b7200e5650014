"""Which e-mail, host, number or card can belong to no person.

The catalogue is `reserved.json` beside this file: every range with the authority that set it aside and how that
was confirmed. It is read once, when first asked. What is not in it is not safe: an unknown country has no phones.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from json import loads
from typing import Any

from synthmon.identities.checksums import iban_ok

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_NANP = re.compile(r"\+1(?P<area>[2-9][0-8]\d)(?P<exchange>[2-9]\d\d)(?P<line>\d{4})", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}")
_SSN = re.compile(r"(\d{3})-?(\d{2})-?(\d{4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PhoneRange:
    """Phones from `first` to `last` (E.164 digits as numbers, same length) that a regulator keeps for fiction."""

    country: str
    first: int
    last: int
    handed_out: bool
    authority: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The reserved ranges, ready to be asked."""

    domains: frozenset[str]
    nets: tuple[IPv4Network | IPv6Network, ...]
    mac_prefix: str
    asn: tuple[range, ...]
    phones: tuple[PhoneRange, ...]
    nanp_exchange: str
    nanp_lines: range
    nanp_refused_areas: frozenset[str]
    nanp_areas: dict[str, tuple[str, ...]]
    cards: dict[str, str]
    invented_cards: tuple[str, ...]
    ibans: frozenset[str]
    gb_bank: str
    ssn_areas: frozenset[str]
    ssn_900_groups: frozenset[str]
    nino_prefix: str


@cache
def catalogue() -> Catalogue:
    """The catalogue of this release (a few ms the first time, then the same object)."""
    text = resources.files("synthmon.identities").joinpath("reserved.json").read_text(encoding="utf-8")
    raw: dict[str, Any] = loads(text)
    return Catalogue(
        domains=frozenset(raw["domains"]["names"]),
        nets=tuple(ip_network(net) for net in (*raw["ipv4"]["nets"], *raw["ipv6"]["nets"])),
        mac_prefix=raw["mac"]["from"][:-2],
        asn=tuple(range(first, last + 1) for first, last in raw["asn"]["ranges"]),
        phones=tuple(
            PhoneRange(row["country"], int(row["from"]), int(row["to"]), row["use"], row["authority"])
            for row in raw["phones"]
        ),
        nanp_exchange=raw["nanp"]["exchange"],
        nanp_lines=range(int(raw["nanp"]["line_from"]), int(raw["nanp"]["line_to"]) + 1),
        nanp_refused_areas=frozenset(raw["nanp"]["not_area_codes"]),
        nanp_areas={country: tuple(areas) for country, areas in raw["nanp"]["use"].items()},
        cards={row["number"]: row["brand"] for row in raw["cards"]["numbers"]},
        invented_cards=tuple(raw["cards"]["invent"]),
        ibans=frozenset(raw["iban"]["exact"]),
        gb_bank=raw["iban"]["gb_bank"],
        ssn_areas=frozenset(raw["us_ssn"]["never_areas"]),
        ssn_900_groups=frozenset(_groups(raw["us_ssn"]["nine_hundred_groups"])),
        nino_prefix=raw["uk_nino"]["prefix"],
    )


def is_reserved_email(text: str, owned_domains: Iterable[str] = ()) -> bool:
    """True if mail to this address can reach no stranger: a reserved domain, or one the operator owns (or below)."""
    local, at, domain = text.rpartition("@")
    return bool(local and at) and is_reserved_host(domain, owned_domains)


def is_reserved_host(host: str, owned_domains: Iterable[str] = ()) -> bool:
    """True for a reserved or owned name (or one below it), and for a documentation or loopback address."""
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    own = {domain.lower().strip(".") for domain in owned_domains} - {""}
    if any((tail := ".".join(labels[at:])) in own or tail in catalogue().domains for at in range(len(labels))):
        return _HOST.fullmatch(name) is not None and (labels[-1].isalpha() or _address(name) is None)
    if labels[-1].isalpha():
        return False  # a name, and no address in numbers
    address = _address(name)
    return address is not None and (address.is_loopback or any(address in net for net in catalogue().nets))


def is_documentation_ip(text: str) -> bool:
    """True for an address of RFC 5737, RFC 3849 or RFC 9637."""
    address = _address(text)
    return address is not None and any(address in net for net in catalogue().nets)


def is_documentation_mac(text: str) -> bool:
    """True for 00-00-5E-00-53-00 to -FF (RFC 9542)."""
    return bool(_MAC.fullmatch(text.lower())) and text.lower().replace("-", ":").startswith(catalogue().mac_prefix)


def is_documentation_asn(number: int) -> bool:
    """True for an autonomous system number of RFC 5398."""
    return any(number in block for block in catalogue().asn)


def is_fictitious_phone(e164: str) -> bool:
    """True if a regulator keeps this number (`+` and digits only) free for fiction."""
    if not _E164.fullmatch(e164):
        return False
    if nanp := _NANP.fullmatch(e164):
        book = catalogue()
        area = nanp["area"]
        geographic = area not in book.nanp_refused_areas and not area.endswith("11")
        return geographic and nanp["exchange"] == book.nanp_exchange and int(nanp["line"]) in book.nanp_lines
    number = int(e164)
    return any(block.first <= number <= block.last for block in catalogue().phones)


def phone_countries() -> frozenset[str]:
    """The countries (ISO 3166-1 alpha-2) for which a phone can be invented."""
    return frozenset(catalogue().nanp_areas) | {block.country for block in catalogue().phones if block.handed_out}


def is_test_card(pan: str) -> bool:
    """True if a payment provider publishes this number for its test mode; spaces and hyphens do not matter."""
    return pan.replace(" ", "").replace("-", "") in catalogue().cards


def is_safe_iban(iban: str) -> bool:
    """True for a well-formed example IBAN whose bank code belongs to no bank; spaces do not matter."""
    compact = iban.replace(" ", "").upper()
    if compact in catalogue().ibans:
        return True
    made_up = re.fullmatch(rf"GB\d\d{catalogue().gb_bank}\d{{14}}", compact, re.ASCII)
    return made_up is not None and iban_ok(compact)


def is_safe_ssn(ssn: str) -> bool:
    """True if neither the SSA (SSN) nor the IRS (ITIN, ATIN, IRSN) can have given this number to a person."""
    parts = _SSN.fullmatch(ssn)
    if parts is None:
        return False
    area, group, serial = parts.groups()
    if area in catalogue().ssn_areas:
        return True
    if area[0] == "9":
        return group in catalogue().ssn_900_groups
    return group == "00" or serial == "0000"


def is_safe_nino(nino: str) -> bool:
    """True for a UK National Insurance number with a prefix that HMRC never uses."""
    pattern = rf"{catalogue().nino_prefix}\d{{6}}[A-D]"
    return re.fullmatch(pattern, nino.replace(" ", "").upper(), re.ASCII) is not None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _groups(spans: list[str]) -> Iterable[str]:
    for span in spans:
        first, _, last = span.partition("-")
        for group in range(int(first), int(last or first) + 1):
            yield f"{group:02d}"
