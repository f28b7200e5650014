"""Which of Faker's providers may be a field of an invented person, and why the others may not.

The rule is an allow-list: a provider that nobody has looked at is refused. Faker gives its own providers to each
locale (tax numbers, plates, companies that exist), so a list of bad names alone would have holes.
"""

import re
from types import MappingProxyType

_OWN = "use the field {} instead"

UNSAFE_PROVIDERS = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "email", "safe_email", "ascii_email", "ascii_safe_email", "free_email", "ascii_free_email",
                "company_email", "ascii_company_email", "free_email_domain",
            ),
            ("it may be the address of a person", _OWN.format("email")),
        ),
        **dict.fromkeys(
            ("domain_name", "domain_word", "url", "uri", "hostname", "tld", "dga", "image_url", "safe_domain_name"),
            ("it may be a site of somebody else", _OWN.format("host")),
        ),
        **dict.fromkeys(
            (
                "phone_number", "basic_phone_number", "msisdn", "cellphone_number", "mobile_number",
                "service_phone_number",
            ),
            ("most of them can be dialled", _OWN.format("phone")),
        ),
        **dict.fromkeys(
            (
                "credit_card_number", "credit_card_full", "credit_card_expire", "credit_card_provider",
                "credit_card_security_code",
            ),
            ("it makes valid numbers inside live card ranges", _OWN.format("card")),
        ),
        **dict.fromkeys(
            ("ssn", "invalid_ssn", "itin", "ein"),
            ("it may be the number of a person", _OWN.format("national_id")),
        ),
        **dict.fromkeys(
            ("iban", "bban", "aba", "swift", "swift8", "swift11", "bank"),
            ("it may name an account or a bank that exists", _OWN.format("iban")),
        ),
        **dict.fromkeys(
            ("ipv4", "ipv4_public", "ipv6", "mac_address"),
            ("it may be the address of a stranger", _OWN.format("ip, ipv6 or mac")),
        ),
        **dict.fromkeys(
            ("profile", "simple_profile", "passport_full", "passport_number", "passport_owner"),
            ("it bundles numbers and addresses that may be real", "name the single fields you need"),
        ),
        **dict.fromkeys(
            ("company", "large_company"),
            ("some locales list companies that exist", _OWN.format("company")),
        ),
    }
)  # fmt: skip
"""Provider name -> why it is unsafe, what to use."""

_ALLOWED = MappingProxyType(
    {
        "address": re.compile(r".*"),
        "barcode": re.compile(r".*"),
        "color": re.compile(r".*"),
        "company": re.compile(r"bs|catch_phrase|company_suffix"),
        "currency": re.compile(r"(crypto)?currency_(code|name|symbol)|pricetag"),
        "date_time": re.compile(r"timezone"),
        "emoji": re.compile(r".*"),
        "file": re.compile(r".*"),
        "geo": re.compile(r"latitude|longitude"),
        "internet": re.compile(r"http_method|http_status_code|port_number|slug|uri_extension|uri_page|uri_path"),
        "isbn": re.compile(r".*"),
        "job": re.compile(r".*"),
        "lorem": re.compile(r"word|sentence|paragraph|text"),
        "misc": re.compile(r"boolean|md5|sha1|sha256"),
        "person": re.compile(
            r"((first|last|middle)_)?((kana|romanized)_)?name(_(fe)?male|_nonbinary)?"
            r"|(prefix|suffix)(_(fe)?male|_nonbinary)?|language_name"
        ),
        "python": re.compile(r"pybool|pyint|pystr"),
        "": re.compile(r"random_(digit|int|letter|number)|language_code|locale"),
    }
)


def is_looked_at(module: str, name: str) -> bool:
    """True if the provider `name`, defined in Faker's `module` (`faker.providers.job.en_US`), may be used."""
    parts = module.split(".")
    family = parts[2] if len(parts) > 2 else ""
    allowed = _ALLOWED.get(family) if parts[:2] == ["faker", "providers"] else None
    return allowed is not None and allowed.fullmatch(name) is not None
