"""How many invented values could belong to somebody: `python -m tests.identities.unsafe_values --ids 5000`.

Every value that could reach or charge a person is judged by rules written a second time (`outside_rules`); of every
hundredth person all other words are searched for something live. At `--ids 100000` it looks at two million people in
twenty locales, which takes a few minutes on two cores. Exit code 1 if any value is unsafe.
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context

from synthmon.identities.fields import FIELDS, refusal
from synthmon.identities.invent import UnsafeField, invent
from synthmon.identities.literals import find_unsafe_literals
from tests.identities.outside_rules import FICTION, OWNED, RULES, phone_is_fiction

LOCALES = (
    "en_US en_CA fr_CA en_GB en_AU en_IE de_DE sv_SE fr_FR "  # with phones
    "it_IT es_ES nl_NL pl_PL pt_BR ja_JP zh_CN da_DK no_NO tr_TR ar_SA"
).split()
TOLD = ("email", "phone", "card", "ssn")
CHUNK = 10_000
WHOLE_EVERY = 100  # of these people every field is made and read


@dataclass
class Found:
    """What one locale gave: how many values of each field, and how many of them were unsafe."""

    values: Counter[str] = field(default_factory=Counter)
    unsafe: Counter[str] = field(default_factory=Counter)
    emails: set[bytes] = field(default_factory=set)  # 10 bytes of the SHA-256 of each


def main(ids: int, workers: int) -> int:
    began = time.monotonic()
    chunks = [(locale, first, min(CHUNK, ids - first)) for locale in LOCALES for first in range(0, ids, CHUNK)]
    values: Counter[str] = Counter()
    unsafe: Counter[str] = Counter()
    emails: set[bytes] = set()
    with ProcessPoolExecutor(workers, get_context("spawn")) as processes:
        for found in processes.map(look, *zip(*chunks, strict=True)):
            values += found.values
            unsafe += found.unsafe
            emails |= found.emails
    refusing = [locale for locale in LOCALES if refusal("phone", locale, OWNED)]
    unsafe["phone not refused"] += sum(_country(locale) in FICTION or not _refuses(locale) for locale in refusing)
    unsafe["e-mails shared"] += values["email"] - len(emails)
    people = ids * len(LOCALES)
    told = ", ".join(f"{values[name]} of {name}" for name in TOLD)
    print(f"{people} people, {len(LOCALES)} locales: {told}; {values.total()} values judged")
    print(f"phone refused in {len(refusing)}: {' '.join(refusing)}")
    print(f"unsafe values: {unsafe.total()} {dict(+unsafe)}")
    print(f"{time.monotonic() - began:.1f} s with {workers} processes")
    return 1 if unsafe.total() else 0


def look(locale: str, first: int, count: int) -> Found:
    """Invent and judge `count` people of one locale."""
    found, country = Found(), _country(locale)
    possible = [name for name in FIELDS if refusal(name, locale, OWNED) is None]
    narrow = [name for name in possible if name in RULES or name == "phone"]
    for at in range(first, first + count):
        whole = at % WHOLE_EVERY == 0
        run_id = sha256(f"{locale}{at}".encode()).hexdigest()[:32]
        person = invent([*possible, "job"] if whole else narrow, run_id, locale, OWNED)
        for name, rule in RULES.items():
            if name in person:
                found.values[name] += 1
                if not rule(person[name]):
                    found.unsafe[name] += 1
        if "phone" in person:
            found.values["phone"] += 1
            found.unsafe["phone"] += not phone_is_fiction(person["phone"], country)
        if whole:
            found.values["other"] += len(person)
            found.unsafe["other"] += bool(find_unsafe_literals("\n".join(person.values()), [OWNED]))
        found.emails.add(sha256(person["email"].encode()).digest()[:10])
    return found


def _country(locale: str) -> str:
    return locale[-2:]


def _refuses(locale: str) -> bool:
    try:
        invent(["phone"], "0" * 32, locale, OWNED)
    except UnsafeField:
        return True
    return False


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ids", type=int, default=5000, help="run ids for each locale")
    arguments.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes")
    given = arguments.parse_args()
    sys.exit(main(given.ids, given.workers))
