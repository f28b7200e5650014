"""What the secret references of the settings stand for, read when it is needed and never kept on disk."""

from __future__ import annotations

from collections.abc import Mapping

from synthmon.core.secrets import SHORTEST
from synthmon.runtime.places import command, environment, file

SLOW = ("exec:", "vault:")  # not to be read on the loop


def resolve(references: Mapping[str, str], shortest: int = SHORTEST) -> tuple[dict[str, str], dict[str, str]]:
    """(name → value of those that can be read, name → why not). `env:NAME`, `file:/path` and `exec:COMMAND`.

    A value under eight characters is refused: masking it would hide innocent text, not masking it would leak it.
    `exec:` blocks for up to ten seconds; `vault:` needs a `runtime.keyring.Keyring`.
    """
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, reference in references.items():
        try:
            value = _read(reference)
        except (OSError, ValueError) as error:
            faults[name] = str(error)
            continue
        if len(value) < shortest:
            faults[name] = too_short(reference, shortest)
        else:
            values[name] = value
    return values, faults


def too_short(reference: str, shortest: int = SHORTEST) -> str:
    """What is said of a value that cannot be masked safely."""
    return f"{reference} holds fewer than {shortest} characters"


def _read(reference: str) -> str:
    scheme, _, rest = reference.partition(":")
    match scheme:
        case "env":
            return environment.read(rest)
        case "file":
            return file.read(rest)
        case "exec":
            return command.read(rest)
        case "vault":
            raise ValueError("vault: is for `secrets:` only")
    raise ValueError(
        f"{scheme}: is not a kind of reference; use env:NAME, file:/path, exec:COMMAND or vault:PATH#FIELD"
    )
