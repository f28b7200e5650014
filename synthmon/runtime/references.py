"""What the secret references of the settings stand for, read when it is needed and never kept on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from synthmon.core.secrets import SHORTEST

LONGEST_BYTES = 64 * 1024


def resolve(references: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(name → value of those that can be read, name → why not). `env:NAME` and `file:/path` (its last newline dropped).

    A value under eight characters is refused: masking it would hide innocent text, not masking it would leak it.
    """
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, reference in references.items():
        try:
            value = _read(reference)
        except (OSError, ValueError) as error:
            faults[name] = str(error)
            continue
        if len(value) < SHORTEST:
            faults[name] = f"{reference} holds fewer than {SHORTEST} characters"
        else:
            values[name] = value
    return values, faults


def _read(reference: str) -> str:
    scheme, _, rest = reference.partition(":")
    match scheme:
        case "env":
            if rest not in os.environ:
                raise ValueError(f"the environment has no {rest}")
            return os.environ[rest]
        case "file":
            with Path(rest).open("rb") as file:
                content = file.read(LONGEST_BYTES + 1)
            if len(content) > LONGEST_BYTES:
                raise ValueError(f"{rest} is larger than {LONGEST_BYTES} bytes")
            return content.decode().removesuffix("\n").removesuffix("\r")
    raise ValueError(f"{scheme}: is not a kind of reference; use env:NAME or file:/path")
