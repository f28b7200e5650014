"""Which texts of a probe look like the property of a real person: a card, an account, an address, a key.

Careful rather than complete: a finding stops a run, so ids, timestamps, UUIDs and hex must pass. Values are masked.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from synthmon.identities.checksums import iban_ok, luhn_ok
from synthmon.identities.reserved import (
    is_fictitious_phone,
    is_reserved_host,
    is_safe_iban,
    is_safe_ssn,
    is_test_card,
)


class LiteralKind(StrEnum):
    CARD = "card number"
    EMAIL = "e-mail address"
    PHONE = "phone number"
    IBAN = "bank account"
    SSN = "social security number"
    API_KEY = "API key"


@dataclass(frozen=True, slots=True)
class Unsafe:
    """A text that may be real: what it looks like, enough of it to find it, what to do, and where.

    `at` is its first character, from 0; `end` is past its last.
    """

    kind: LiteralKind
    value_masked: str
    remedy: str
    at: int
    end: int


def find_unsafe_literals(text: str, owned_domains: Iterable[str] = ()) -> list[Unsafe]:
    """Everything in `text` that looks live, by place. `owned_domains`: mail domains of the operator. No I/O.

    Linear in the text; about 20 µs for the 300 characters of a request, so that it can be asked before each one leaves.
    """
    found: list[Unsafe] = []
    # Each search is begun only where a sign of it stands: the signs are cheap to look for, the whole forms are not.
    if any(sign in text for sign in _KEY_SIGNS):
        found += _keys(text)
    if "@" in text:
        found += _emails(text, tuple(owned_domains))
    if _CARD_SIGN.search(text):
        found += _cards(text)
    if _PHONE_SIGN.search(text):
        found += _phones(text)
    if _IBAN_SIGN.search(text):
        found += _ibans(text)
    if _SSN_SIGN.search(text):
        found += _ssns(text)
    return sorted(found, key=lambda unsafe: unsafe.at)


_KEY_SIGNS = (
    "k_live_", "KIA", "SIA", "xox", "gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "AIza", "SG.",
    "sk-", "npm_", "pypi-", "PRIVATE KEY",
)  # fmt: skip
_CARD_SIGN = re.compile(r"\d{13}|\d{4}[ -]\d{3}", re.ASCII)
_PHONE_SIGN = re.compile(r"\+[1-9]|00[1-9]", re.ASCII)
_IBAN_SIGN = re.compile(r"[A-Z]{2}\d\d", re.ASCII)
_SSN_SIGN = re.compile(r"\d{3}-\d\d-\d{4}", re.ASCII)


# ISO/IEC 7812 issuer prefixes of the card networks and the lengths that they use.
_NETWORKS = (
    (re.compile(r"4"), (16, 19)),  # Visa; 13 digits only in groups, since that is also the length of an EAN
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"30[0-5]|36|38|39"), (14, 16, 19)),  # Diners Club
    (re.compile(r"6011|64[4-9]|65"), (16, 19)),  # Discover
    (re.compile(r"35(2[89]|[3-8])"), (16, 19)),  # JCB
    (re.compile(r"62"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(r"50|5[6-9]|6[37]"), (16, 18, 19)),  # Maestro
)
_CARD = re.compile(
    r"(?<![\w+\-])(?<!\d\.)(?:"
    r"\d{13,19}"
    r"|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"
    r"|\d{4}([ -])\d{6}\2\d{4,5}"
    r"|\d{4}([ -])\d{3}\3\d{3}\3\d{3}"
    r")(?![\w\-]|\.\d)",
    re.ASCII,
)


def _cards(text: str) -> Iterator[Unsafe]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        grouped = len(digits) < len(match[0])
        if _in_a_network(digits, grouped) and luhn_ok(digits) and not is_test_card(digits):
            remedy = "Use identity.card, or a test number of your payment provider such as 4242 4242 4242 4242."
            yield Unsafe(LiteralKind.CARD, f"{digits[:4]}…{digits[-2:]}", remedy, *match.span())


def _in_a_network(digits: str, grouped: bool) -> bool:
    if len(digits) == 13:
        return grouped and digits[0] == "4"
    return any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _NETWORKS)


# The last label has letters only, so that versions (`pkg@1.2.3`) and addresses in numbers are not mail.
_LOCAL_BACKWARDS = re.compile(r"[\w}][\w.+%&'*~|}-]*")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])")
_USERINFO = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/@]*\Z", re.IGNORECASE)
_SCP_PATH = re.compile(r":[\w~./-]+")


def _emails(text: str, owned: tuple[str, ...]) -> Iterator[Unsafe]:
    for sign in re.finditer("@", text):
        # From the sign outwards and no further than an address may reach (RFC 5321): linear in the text.
        before, after = text[max(0, sign.start() - 64) : sign.start()], text[sign.end() : sign.end() + 256]
        domain = _DOMAIN.match(after)
        if domain is None or is_reserved_host(domain[0], owned):
            continue
        local = _LOCAL_BACKWARDS.match(before[::-1])
        if local is None or _USERINFO.search(before) or _SCP_PATH.match(after, domain.end()):
            continue  # https://user@host and git@host:path name a machine, not a mail box
        remedy = "Use identity.email, an address below example.com, or name the domain as your own."
        at = sign.start() - len(local[0])
        yield Unsafe(LiteralKind.EMAIL, f"{text[at]}…@{domain[0]}", remedy, at, sign.end() + domain.end())


# ITU-T E.164 country codes by length; a number after 00 is taken for a phone only if it is long or written in groups.
_CALLING_CODE = re.compile(
    r"[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|2[1-69]\d|3[578]\d|42\d|5[09]\d|6[7-9]\d|8[058]\d|9[679]\d"
)
_PHONE = re.compile(
    r"(?<![\w+.\-/])(?P<lead>\+|00)(?P<rest>[1-9](?:[ .\-]?\(?\d\)?){6,17})(?![\w+]|[.\-]\d)",
    re.ASCII,
)
_GOES_ON = re.compile(r"[.\-]\w", re.ASCII)  # an id whose first groups are digits: 00962148-7341-4548-a1b2


def _phones(text: str) -> Iterator[Unsafe]:
    for match in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", match["rest"].replace("(0)", ""))
        bare = match["rest"].isdigit()
        if match["lead"] != "+" and ((bare and len(digits) < 11) or _GOES_ON.match(text, match.end())):
            continue
        if _diallable(digits) and not is_fictitious_phone(f"+{digits}"):
            remedy = "Use identity.phone, or a number that the country's regulator keeps for fiction."
            yield Unsafe(LiteralKind.PHONE, f"+{digits[:3]}…{digits[-2:]}", remedy, *match.span())


def _diallable(digits: str) -> bool:
    if digits[0] == "1":  # the North American plan: ten digits, neither area nor exchange begins with 0 or 1
        return re.fullmatch(r"1[2-9]\d\d[2-9]\d{6}", digits) is not None
    return 8 <= len(digits) <= 15 and _CALLING_CODE.match(digits) is not None


# IBAN registry (SWIFT, ISO 13616): length by country.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FO FI GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS",
        23: "AE GI IL IQ OM TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "FR GR IT MC SM",
        28: "AL AZ BY CY DO GT HU LB PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
    }.items()
    for country in countries.split()
}
_IBAN = re.compile(
    r"(?<![\w-])[A-Z]{2}\d{2}(?:[A-Z0-9]{11,28}|(?: [A-Z0-9]{4}){2,6}(?: [A-Z0-9]{1,4})?)(?![\w-])",
    re.ASCII,
)


def _ibans(text: str) -> Iterator[Unsafe]:
    for match in _IBAN.finditer(text):
        compact = match[0].replace(" ", "")
        if _IBAN_LENGTHS.get(compact[:2]) == len(compact) and iban_ok(compact) and not is_safe_iban(compact):
            remedy = "Use identity.iban, or GB82 WEST 1234 5698 7654 32, which belongs to no bank."
            yield Unsafe(LiteralKind.IBAN, f"{compact[:4]}…{compact[-2:]}", remedy, *match.span())


_SSN = re.compile(r"(?<![\w.\-/])\d{3}-\d{2}-\d{4}(?![\w\-]|\.\d)", re.ASCII)


def _ssns(text: str) -> Iterator[Unsafe]:
    for match in _SSN.finditer(text):
        if not is_safe_ssn(match[0]):
            remedy = "Use identity.ssn, or a number with area 000 or 666, which is never given."
            yield Unsafe(LiteralKind.SSN, f"•••-••-{match[0][-2:]}", remedy, *match.span())


_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?P<stripe>[srp]k_live_)[A-Za-z0-9]{10,}"
    r"|(?P<aws>A(?:KIA|SIA))[A-Z2-7]{16}(?![A-Za-z0-9])"
    r"|(?P<slack>xox[abeoprs]-)[A-Za-z0-9-]{10,}"
    r"|(?P<github>gh[opsur]_)[A-Za-z0-9]{30,}"
    r"|(?P<github_fine>github_pat_)[A-Za-z0-9_]{30,}"
    r"|(?P<gitlab>glpat-)[A-Za-z0-9_-]{20,}"
    r"|(?P<google>AIza)[A-Za-z0-9_-]{35}"
    r"|(?P<sendgrid>SG\.)[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|(?P<openai>sk-(?:ant-|proj-)?)[A-Za-z0-9_-]{32,}"
    r"|(?P<npm>npm_)[A-Za-z0-9]{36}"
    r"|(?P<pypi>pypi-)AgE[A-Za-z0-9_-]{30,}"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----)"
    r")"
)


def _keys(text: str) -> Iterator[Unsafe]:
    for match in _KEYS.finditer(text):
        if match[0].endswith("EXAMPLE"):  # AKIAIOSFODNN7EXAMPLE, the key of Amazon's documentation
            continue
        prefix = match[match.lastgroup or 0]
        remedy = "Move it to secrets: as env: or file:, and replace the key, since it stood in a file."
        yield Unsafe(LiteralKind.API_KEY, f"{prefix}•••", remedy, *match.span())
