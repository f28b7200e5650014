"""An invented person for a run: the same for the same run id in every process, and harmful to nobody.

Names and streets come from Faker, seeded by HMAC-SHA256(run id, field); everything that could reach or charge a
person comes from the reserved ranges; what must be unique carries the run id itself.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network
from itertools import accumulate
from threading import Lock
from types import MappingProxyType
from typing import Any
from unicodedata import normalize

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from synthmon.core import namespaces
from synthmon.identities import draws
from synthmon.identities.checksums import iban_with_check_digits
from synthmon.identities.fields import FIELDS, UnsafeField, country_of, offered, phone_blocks, refusal
from synthmon.identities.literals import find_unsafe_literals
from synthmon.identities.providers import UNSAFE_PROVIDERS, is_looked_at
from synthmon.identities.reserved import catalogue

__all__ = ["FIELDS", "UNSAFE_PROVIDERS", "UnsafeField", "check_fields", "find_unsafe_fields", "invent", "offered"]

_EXPIRY_YEAR = "39"  # no clock here: far enough to be in the future, near enough for validators that allow 20 years
_FIRST_BIRTH, _LAST_BIRTH = date(1950, 1, 1).toordinal(), date(2004, 12, 31).toordinal()
_FAMILY_NAME_FIRST = ("hu", "ja", "ko", "vi", "zh")
_UPPER, _LOWER, _DIGITS, _SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz", "23456789", "-_.!"


def invent(
    fields: Iterable[str], run_id: str, locale: str, domain: str, namespace: str = "", seed_of: str = ""
) -> dict[str, str]:
    """The person of this run: a value for every name in `offered(fields)`.

    `fields` are words of `FIELDS` or names of Faker providers (`job`, or `faker:name` where both exist);
    `domain` is the mail domain that the operator owns, or a reserved one; `namespace` is the run's mark, which what is
    unique carries (by default that of an installation without a name). With `seed_of`, the id of another run, names,
    streets, words and the birthday are that run's; what nobody shares stays this one's. 2 to 60 µs a field; call it off
    the loop.
    Raises `UnsafeField` as `check_fields` does.
    """
    asked = tuple(fields)
    _accept(asked, locale, domain)
    person = _Person(run_id, locale, domain, namespace, seed_of)
    made: dict[str, str] = {}
    for field in asked:
        if field in FIELDS:
            made.update((name, _MAKERS[name](person)) for name in FIELDS[field])
        else:
            made[field.removeprefix("faker:")] = person.other(field.removeprefix("faker:"))
    return made


def check_fields(fields: Iterable[str], locale: str, domain: str) -> None:
    """Raise the first `UnsafeField` of these settings; `find_unsafe_fields` gives them all."""
    for fault in find_unsafe_fields(fields, locale, domain):
        raise fault


def find_unsafe_fields(fields: Iterable[str], locale: str, domain: str) -> tuple[UnsafeField, ...]:
    """Every field that cannot be invented safely, in order; empty if all can."""
    if locale not in AVAILABLE_LOCALES:
        near = get_close_matches(locale.replace("UK", "GB"), AVAILABLE_LOCALES, 1)
        remedy = f"Did you mean {near[0]}?" if near else "Use a language and a country, such as en_GB."
        return (UnsafeField("locale", locale, "there are no names for this locale", remedy),)
    faults = (
        refusal(field, locale, domain) if field in FIELDS else _provider_refusal(field.removeprefix("faker:"), locale)
        for field in fields
    )
    return tuple(fault for fault in faults if fault)


@lru_cache(maxsize=1024)
def _accept(fields: tuple[str, ...], locale: str, domain: str) -> None:
    check_fields(fields, locale, domain)


def _provider_refusal(name: str, locale: str) -> UnsafeField | None:
    if reason := UNSAFE_PROVIDERS.get(name):
        why, remedy = reason
        return UnsafeField(name, locale, f"the Faker provider is not safe: {why}", f"{remedy[0].upper()}{remedy[1:]}.")
    words = _words(locale)
    module = words.module_of(name)
    if module is None:
        near = get_close_matches(name, (*FIELDS, *words.names()), 1)
        remedy = f"Did you mean {near[0]}?" if near else f"Fields are {', '.join(FIELDS)}."
        return UnsafeField(name, locale, "there is no such field", remedy)
    if not is_looked_at(module, name):
        why = "this Faker provider is not on the list of those known to be safe and repeatable"
        return UnsafeField(name, locale, why, f"Fields are {', '.join(FIELDS)}; or words such as job, color_name.")
    if not isinstance(_sample(words, name), str | int | float | Decimal):
        return UnsafeField(name, locale, "the Faker provider does not give a single text or number", "Leave it out.")
    return None


def _sample(words: "_Words", provider: str) -> object:
    try:
        return words.word(provider, 0)
    except (AttributeError, LookupError, NotImplementedError, TypeError, ValueError):  # not in this locale
        return None


class _Person:
    """One run's person; every value is made when asked and depends on run id and field alone."""

    def __init__(self, run_id: str, locale: str, domain: str, namespace: str, seed_of: str = "") -> None:
        self.run_id = run_id
        self.seed_of = seed_of or run_id
        self.namespace = namespace or namespaces.namespace(draws.hex_id(run_id), "", "")
        self.locale = locale
        self.domain = domain.lower().strip()
        self.country = country_of(locale)
        self._drawn: dict[str, str] = {}

    def word(self, provider: str) -> str:
        if provider not in self._drawn:
            value = _words(self.locale).word(provider, draws.seed(self.seed_of, provider))
            self._drawn[provider] = _one_line(str(value))
        return self._drawn[provider]

    def other(self, provider: str) -> str:
        text = self.word(provider)
        if found := find_unsafe_literals(text):
            raise UnsafeField(provider, self.locale, f"it made something like a live {found[0].kind}", "Leave it out.")
        return text

    def number(self, field: str, below: int) -> int:
        return draws.number(self.run_id, field, below)

    def name(self) -> str:
        first, last = self.word("first_name"), self.word("last_name")
        return f"{last} {first}" if self.locale.startswith(_FAMILY_NAME_FIRST) else f"{first} {last}"

    def email(self) -> str:
        """`anna.jones.syn-<24 hex>.<16 hex>@domain`: the run's namespace, and the rest of its id: none is shared.

        At most 64 characters before the sign (RFC 5321 section 4.5.3.1.1).
        """
        mark = f"{self.namespace}.{draws.hex_id(self.run_id)[16:]}"
        slug = f"{_slug(self.word('first_name'))}.{_slug(self.word('last_name'))}"[: 63 - len(mark)].strip(".")
        return f"{slug}.{mark}@{self.domain}" if slug else f"{mark}@{self.domain}"

    def phone(self) -> str:
        ends, blocks = _phones(self.country)
        at = self.number("phone", ends[-1])
        which = bisect_right(ends, at)
        return f"+{blocks[which][at - ends[which]]}"  # counted from the end of its block

    def address(self) -> str:
        street, postcode, city = (self.word(word) for word in ("street_address", "postcode", "city"))
        return f"{street}, {postcode} {city}, {self.country}"

    def company(self) -> str:
        return f"{self.word('last_name')} Synthetic {self.word('company_suffix')}"

    def birth_date(self) -> str:
        day = _FIRST_BIRTH + draws.number(self.seed_of, "birth_date", _LAST_BIRTH - _FIRST_BIRTH + 1)
        return date.fromordinal(day).isoformat()

    def card(self) -> str:
        return draws.pick(self.run_id, "card", catalogue().invented_cards)

    def card_cvc(self) -> str:
        places = 4 if catalogue().cards[self.card()] == "amex" else 3
        return f"{self.number('card_cvc', 10**places):0{places}d}"

    def iban(self) -> str:
        book = catalogue()
        if self.country == "GB":
            return iban_with_check_digits("GB", f"{book.gb_bank}{self.number('iban', 10**14):014d}")
        return min(iban for iban in book.ibans if iban.startswith(self.country))

    def ssn(self) -> str:
        area = draws.pick(self.run_id, "ssn", _ssn_areas())
        return f"{area}-{1 + self.number('ssn.group', 99):02d}-{1 + self.number('ssn.serial', 9999):04d}"

    def national_id(self) -> str:
        if self.country == "US":
            return self.ssn()
        letter = "ABCD"[self.number("nino.letter", 4)]
        return f"{catalogue().nino_prefix}{self.number('nino', 10**6):06d}{letter}"

    def ip(self) -> str:
        return str(draws.pick(self.run_id, "ip", _nets(4))[1 + self.number("ip.host", 254)])

    def ipv6(self) -> str:
        return str(_nets(6)[0][1 + self.number("ipv6", 2**96 - 1)])

    def password(self) -> str:
        """20 characters of every class. For throw-away accounts: it follows from the run id, which is no secret."""
        every = _UPPER + _LOWER + _DIGITS + _SIGNS
        classes = (_UPPER, _LOWER, _DIGITS, _SIGNS, *[every] * 16)
        raw = draws.digest(self.run_id, "password")
        return "".join(letters[raw[at] % len(letters)] for at, letters in enumerate(classes))


_MAKERS: Mapping[str, Callable[[_Person], str]] = MappingProxyType(
    {
        "name": _Person.name,
        "first_name": lambda person: person.word("first_name"),
        "last_name": lambda person: person.word("last_name"),
        "email": _Person.email,
        "username": lambda person: person.namespace,
        "phone": _Person.phone,
        "address": _Person.address,
        "street": lambda person: person.word("street_address"),
        "city": lambda person: person.word("city"),
        "postcode": lambda person: person.word("postcode"),
        "country": lambda person: person.country,
        "company": _Person.company,
        "birth_date": _Person.birth_date,
        "card": _Person.card,
        "card_expiry": lambda person: f"{1 + person.number('card_expiry', 12):02d}/{_EXPIRY_YEAR}",
        "card_cvc": _Person.card_cvc,
        "iban": _Person.iban,
        "ssn": _Person.ssn,
        "national_id": _Person.national_id,
        "ip": _Person.ip,
        "ipv6": _Person.ipv6,
        "mac": lambda person: f"{catalogue().mac_prefix}{person.number('mac', 256):02x}",
        "host": lambda person: f"{person.namespace}.invalid",
        "uuid": lambda person: str(draws.uuid(person.run_id, "uuid")),
        "password": _Person.password,
        "customer_id": lambda person: f"cust-{person.namespace}",
    }
)


@cache
def _phones(country: str) -> tuple[tuple[int, ...], tuple[range, ...]]:
    """Where each block of numbers ends when all are laid end to end, and the blocks."""
    blocks = phone_blocks(country)
    return tuple(accumulate(map(len, blocks))), blocks


@cache
def _ssn_areas() -> tuple[str, ...]:
    return tuple(sorted(catalogue().ssn_areas - {"000"}))


@cache
def _nets(version: int) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(net for net in catalogue().nets if net.version == version)


class _Words:
    """One Faker of one locale; seeding and drawing happen under a lock, so that threads cannot mix their people."""

    def __init__(self, locale: str) -> None:
        # Without weights Faker picks by index: 6 µs a name instead of 140.
        self._generator: Any = Faker(locale, use_weighting=False).factories[0]
        self._lock = Lock()

    def word(self, provider: str, seed: int) -> object:
        with self._lock:
            self._generator.seed_instance(seed)
            return getattr(self._generator, provider)()

    def module_of(self, provider: str) -> str | None:
        if provider.startswith("_"):
            return None
        method = getattr(getattr(self._generator, provider, None), "__func__", None)
        module: str | None = getattr(method, "__module__", None)
        return module if module and module.startswith("faker.providers") else None

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in dir(self._generator) if self.module_of(name))


@cache
def _words(locale: str) -> _Words:
    return _Words(locale)


def _one_line(text: str) -> str:
    if text.isprintable():
        return " ".join(text.split())
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _slug(name: str) -> str:
    plain = name if name.isascii() else normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(filter(str.isalnum, plain.lower()))
