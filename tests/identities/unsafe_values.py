"""How many invented values could belong to somebody: `python -m tests.identities.unsafe_values --ids 5000`.

Exit code 1 if any does. At `--ids 100000` it looks at two million people, which takes about a quarter of an hour.
"""

import argparse
import sys
import time
from collections import Counter
from hashlib import sha256

from synthmon.identities.fields import FIELDS, refusal
from synthmon.identities.invent import UnsafeField, invent
from synthmon.identities.literals import find_unsafe_literals
from synthmon.identities.reserved import (
    is_documentation_ip,
    is_documentation_mac,
    is_fictitious_phone,
    is_reserved_email,
    is_reserved_host,
    is_safe_iban,
    is_safe_nino,
    is_safe_ssn,
    is_test_card,
)

DOMAIN = "people.synthetic-shop.eu"  # stands for a sub-domain that the operator owns
LOCALES = (
    "en_US en_CA fr_CA en_GB en_AU en_IE de_DE sv_SE fr_FR "  # with phones
    "it_IT es_ES nl_NL pl_PL pt_BR ja_JP zh_CN da_DK no_NO tr_TR ar_SA"
).split()


def main(ids: int) -> int:
    unsafe: Counter[str] = Counter()
    people = phones = 0
    refused: list[str] = []
    emails: set[str] = set()
    began = time.monotonic()
    for locale in LOCALES:
        fields = [field for field in FIELDS if refusal(field, locale, DOMAIN) is None]
        if "phone" not in fields:
            refused.append(locale)
            unsafe["phone not refused"] += not _refuses(locale)
        for at in range(ids):
            person = invent([*fields, "job"], sha256(f"{locale}{at}".encode()).hexdigest()[:32], locale, DOMAIN)
            people += 1
            phones += "phone" in person
            emails.add(person["email"])
            unsafe.update(_faults(person))
    unsafe["e-mails shared"] = people - len(emails)
    print(f"{people} people, {len(LOCALES)} locales, {phones} phones, {time.monotonic() - began:.1f} s")
    print(f"phone refused in {len(refused)}: {' '.join(refused)}")
    print(f"unsafe values: {unsafe.total()} {dict(+unsafe)}")
    return 1 if unsafe.total() else 0


def _faults(person: dict[str, str]) -> list[str]:
    sound = {
        "email": is_reserved_email(person["email"], [DOMAIN]),
        "phone": is_fictitious_phone(person.get("phone", "+12025550100")),
        "card": is_test_card(person["card"]),
        "ssn": is_safe_ssn(person.get("ssn", "666-01-0001")),
        "national_id": _national_id_is_safe(person.get("national_id", "QQ123456A")),
        "iban": is_safe_iban(person.get("iban", "GB82WEST12345698765432")),
        "ip": is_documentation_ip(person["ip"]) and is_documentation_ip(person["ipv6"]),
        "mac": is_documentation_mac(person["mac"]),
        "host": is_reserved_host(person["host"]),
        "any": not find_unsafe_literals("\n".join(person.values()), [DOMAIN]),
    }
    return [field for field, safe in sound.items() if not safe]


def _national_id_is_safe(text: str) -> bool:
    return is_safe_nino(text) or is_safe_ssn(text)


def _refuses(locale: str) -> bool:
    try:
        invent(["phone"], "0" * 32, locale, DOMAIN)
    except UnsafeField:
        return True
    return False


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ids", type=int, default=5000, help="run ids for each locale")
    sys.exit(main(arguments.parse_args().ids))
