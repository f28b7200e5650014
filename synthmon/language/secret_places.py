"""The places in which a secret may lie, as the settings write them, and what can be said of one before it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from synthmon.core.commands import words_of
from synthmon.core.secrets import SHORTEST
from synthmon.language.faults import Faults
from synthmon.language.marks import Path

_SUCH_AS = "Name its place: env:API_TOKEN, file:/run/secrets/token, exec:COMMAND or vault:PATH#FIELD."


def secret_place(value: Any) -> str:
    """A place as one text; `{exec: [pass, show, token]}` becomes `exec:["pass", "show", "token"]`."""
    if isinstance(value, dict) and set(value) == {"exec"} and isinstance(value["exec"], list):
        value = f"exec:{json.dumps(value['exec'])}"
    kind, _, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    match kind:
        case "env" | "file" if rest.strip():
            return str(value)
        case "exec":
            try:
                words_of(rest)
            except ValueError as error:
                raise _fault(
                    f"This is no command: {error}.", "Write exec:pass show token, or {exec: [pass, …]}."
                ) from error
            return str(value)
        case "vault":
            path, _, word = rest.partition("#")
            if not path.strip("/ ") or not word:
                raise _fault("This names no field of a path in Vault.", "Write vault:secret/data/synthmon#api_token.")
            return str(value)
    raise _fault("A secret is not written into the settings.", _SUCH_AS)


def check_secret(name: str, reference: str, path: Path, environ: Mapping[str, str], faults: Faults) -> None:
    """Report a value that is too short. One that is not there is no mistake of the file: the run says so."""
    kind, _, place = reference.partition(":")
    value = None
    if kind == "env":
        value = environ.get(place)
    elif kind == "file":
        try:
            with open(place, encoding="utf-8") as opened:
                value = opened.read(4096).strip()
        except (OSError, UnicodeDecodeError):
            value = None
    if value is not None and len(value) < SHORTEST:
        fault = f"The secret `{name}` has fewer than {SHORTEST} characters: masking it would hide innocent text."
        faults.say(path, "short-secret", fault, "Use a longer one.")


def _fault(fault: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("bad-secret", "{fault}", {"fault": fault, "remedy": remedy})
