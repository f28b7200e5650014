"""Whether a secret that can be looked at from here is long enough to be masked."""

from __future__ import annotations

from collections.abc import Mapping

from synthmon.core.secrets import SHORTEST
from synthmon.language.faults import Faults
from synthmon.language.marks import Path


def check_secret(name: str, reference: str, path: Path, environ: Mapping[str, str], faults: Faults) -> None:
    """Report a value that is too short. One that is not there is no mistake of the file: the run says so."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        value = environ.get(place)
    else:
        try:
            with open(place, encoding="utf-8") as opened:
                value = opened.read(4096).strip()
        except (OSError, UnicodeDecodeError):
            value = None
    if value is not None and len(value) < SHORTEST:
        fault = f"The secret `{name}` has fewer than {SHORTEST} characters: masking it would hide innocent text."
        faults.say(path, "short-secret", fault, "Use a longer one.")
