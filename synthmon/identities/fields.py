"""What an invented person can be asked for, and which requests are refused before anything runs."""

import re
from collections.abc import Iterable
from types import MappingProxyType

from synthmon.identities.reserved import catalogue, is_reserved_host, phone_countries

FIELDS = MappingProxyType(
    {
        "name": ("name", "first_name", "last_name"),
        "first_name": ("first_name",),
        "last_name": ("last_name",),
        "email": ("email",),
        "username": ("username",),
        "phone": ("phone",),
        "address": ("address", "street", "city", "postcode", "country"),
        "street": ("street",),
        "city": ("city",),
        "postcode": ("postcode",),
        "country": ("country",),
        "company": ("company",),
        "birth_date": ("birth_date",),
        "card": ("card", "card_expiry", "card_cvc"),
        "iban": ("iban",),
        "ssn": ("ssn",),
        "national_id": ("national_id",),
        "ip": ("ip",),
        "ipv6": ("ipv6",),
        "mac": ("mac",),
        "host": ("host",),
        "uuid": ("uuid",),
        "password": ("password",),
        "customer_id": ("customer_id",),
    }
)
"""Field of the settings -> the names that `identity.` then offers."""

IBAN_COUNTRIES = ("AT", "BE", "CH", "GB", "PT")
NATIONAL_ID_COUNTRIES = ("GB", "US")

# Names of Faker's locales that end in something else than the country of the language's speakers.
_COUNTRIES = MappingProxyType({"es_CA": "ES", "fr_QC": "CA", "ar_AA": ""})
_PUBLIC_SUFFIX = re.compile(r"(ac|co|com|edu|gov|net|or|org)\.[a-z]{2}")
_MAIL_FOR_EVERYONE = frozenset(
    "163.com aol.com gmail.com gmx.de gmx.net googlemail.com hotmail.com icloud.com live.com mail.com mail.ru "
    "mailinator.com me.com msn.com outlook.com proton.me protonmail.com qq.com t-online.de web.de yahoo.com "
    "yandex.com yandex.ru zoho.com".split()
)


class UnsafeField(ValueError):
    """A field that cannot be invented safely: which one, for which locale, why, and what to do instead."""

    def __init__(self, field: str, locale: str, why: str, remedy: str) -> None:
        super().__init__(f"{field} for {locale}: {why}. {remedy}")
        self.field = field
        self.locale = locale
        self.why = why
        self.remedy = remedy


def offered(fields: Iterable[str]) -> tuple[str, ...]:
    """The names that `identity.` offers for these fields, in order, each once: `address` gives five."""
    names: dict[str, None] = {}
    for field in fields:
        plain = field.removeprefix("faker:")
        names.update(dict.fromkeys(FIELDS.get(field, (plain,))))
    return tuple(names)


def country_of(locale: str) -> str:
    """The ISO 3166-1 code of a locale such as `en_GB`; empty if it names none."""
    return _COUNTRIES.get(locale, locale.partition("_")[2])


def refusal(field: str, locale: str, domain: str) -> UnsafeField | None:
    """Why this field of `FIELDS` cannot be had, or None."""
    country = country_of(locale)
    match field:
        case "phone" if country not in phone_countries():
            why = "no number range of this country is known to be kept free for fiction"
            return UnsafeField(field, locale, why, f"Leave phone out, or use a locale of {_list(phone_countries())}.")
        case "iban" if country not in IBAN_COUNTRIES:
            why = "no account number of this country is known to belong to no bank"
            return UnsafeField(field, locale, why, f"Leave iban out, or use a locale of {_list(IBAN_COUNTRIES)}.")
        case "ssn" if country != "US":
            why = "a social security number is given in the US only"
            return UnsafeField(field, locale, why, "Use en_US, or national_id.")
        case "national_id" if country not in NATIONAL_ID_COUNTRIES:
            why = "no personal number of this country is known never to be given to a person"
            remedy = f"Leave national_id out, or use a locale of {_list(NATIONAL_ID_COUNTRIES)}."
            return UnsafeField(field, locale, why, remedy)
        case "country" | "address" if not country:
            return UnsafeField(field, locale, "the locale names no country", "Use one with a country, such as en_GB.")
        case "email" if fault := domain_fault(domain):
            return UnsafeField(field, locale, fault, "Set domain: to a sub-domain you own, or synthetic.example.com.")
    return None


def domain_fault(domain: str) -> str:
    """What is wrong with the operator's mail domain; empty if it may be used."""
    name = domain.lower().strip()
    if name.replace(".", "").isdigit() or not is_reserved_host(name, owned_domains=(name,)):
        return f"the domain {domain!r} is not a host name"
    if is_reserved_host(name):
        return ""
    if "." not in name or _PUBLIC_SUFFIX.fullmatch(name):
        return f"the domain {domain!r} belongs to many owners"
    if name in _MAIL_FOR_EVERYONE:
        return f"{domain!r} gives mail boxes to everyone"
    return ""


def phone_blocks(country: str) -> tuple[range, ...]:
    """Every number (E.164 digits as integers) that may be handed out for a country, in blocks."""
    book = catalogue()
    if areas := book.nanp_areas.get(country):
        lines = book.nanp_lines
        starts = (int(f"1{area}{book.nanp_exchange}0000") for area in areas)
        return tuple(range(start + lines.start, start + lines.stop) for start in starts)
    return tuple(
        range(block.first, block.last + 1) for block in book.phones if block.handed_out and block.country == country
    )


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
