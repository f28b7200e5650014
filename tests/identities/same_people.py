"""Whether a run is the same person everywhere, and no two runs are: `python -m tests.identities.same_people`.

Pairs: a person invented in one process is invented again in other ones, each with its own PYTHONHASHSEED, in another
order, after other people. Collisions: of the e-mail addresses and the namespaces of distinct run ids, by the code that
makes them (the words of the names left out: they are the same for many, and only add to the address).
Exit code 1 if there is a difference or a collision.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from synthmon.identities.fields import FIELDS, refusal
from synthmon.identities.invent import invent

ROOT = Path(__file__).parents[2]
DOMAIN = "synthetic.example.com"
LOCALES = ("en_GB", "en_US", "de_DE", "ja_JP", "fr_FR")
HASH_SEEDS = ("0", "1", "4242", "random")


def main(pairs: int, ids: int) -> int:
    began = time.monotonic()
    told = [_in_another_process(pairs, order, hash_seed) for order, hash_seed in enumerate(HASH_SEEDS)]
    differences = sum(len(set(lines)) - 1 for lines in zip(*told, strict=True))
    print(
        f"{pairs} people in {len(told)} processes (PYTHONHASHSEED {', '.join(HASH_SEEDS)}): {differences} differences"
    )
    emails, namespaces = _distinct(ids)
    print(f"{ids} run ids: {ids - emails} collisions of e-mails, {ids - namespaces} of namespaces")
    print(f"{time.monotonic() - began:.1f} s")
    return 1 if differences or emails < ids or namespaces < ids else 0


def print_people(pairs: int, order: int) -> None:
    """A line for each person, in the order of the run ids; they are made in another one."""
    fields = {
        locale: [name for name in FIELDS if refusal(name, locale, DOMAIN) is None] + ["job"] for locale in LOCALES
    }
    turns = list(range(pairs))
    random.Random(order).shuffle(turns)
    lines = [""] * pairs
    for at in turns:
        locale = LOCALES[at % len(LOCALES)]
        person = invent(fields[locale], run_id(at), locale, DOMAIN)
        lines[at] = hashlib.sha256(repr(sorted(person.items())).encode()).hexdigest()
    print("\n".join(lines))


def run_id(at: int) -> str:
    """A run id of its own for each number, as random as one of the daemon's."""
    return hashlib.sha256(at.to_bytes(8)).hexdigest()[:32]


def _in_another_process(pairs: int, order: int, hash_seed: str) -> list[str]:
    command = [sys.executable, "-m", "tests.identities.same_people", "--print", str(pairs), "--order", str(order)]
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=600)
    return done.stdout.split()


def _distinct(ids: int) -> tuple[int, int]:
    """How many different e-mails and namespaces (`username` is the namespace) that many run ids give."""
    emails, namespaces = set(), set()
    for at in range(ids):
        person = invent(("email", "username"), run_id(at), "en_GB", DOMAIN)
        emails.add(person["email"])
        namespaces.add(person["username"])
    return len(emails), len(namespaces)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, default=10_000, help="people to invent in every process")
    arguments.add_argument("--ids", type=int, default=1_000_000, help="distinct run ids")
    arguments.add_argument("--print", type=int, default=0, help="print the digests of that many people, no more")
    arguments.add_argument("--order", type=int, default=0, help="in which order they are made")
    given = arguments.parse_args()
    if given.print:
        print_people(given.print, given.order)
    else:
        sys.exit(main(given.pairs, given.ids))
