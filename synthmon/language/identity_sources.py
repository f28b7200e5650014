"""As whom journeys act: people to invent, or a file of test accounts."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from synthmon.core.secrets import SHORTEST
from synthmon.identities.credentials import looks_secret
from synthmon.identities.literals import LiteralKind
from synthmon.identities.pools import BadAccounts, read_pool
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.named_files import documents_of
from synthmon.language.settings import Accounts, IdentitySource, Invented
from synthmon.language.settings_schema import IdentityKeys, Reference
from synthmon.language.sources import Sources, beside
from synthmon.language.unsafe import offered_names, say_unsafe_text, unsafe_fields
from synthmon.language.words import listed

_PLACE: TypeAdapter[str] = TypeAdapter(Reference)


def read_identity(
    keys: IdentityKeys, path: Path, sources: Sources, files: dict[str, str], faults: Faults
) -> IdentitySource | None:
    """One entry of `identities:`; None after a fault that leaves nothing to use. `files` learns what was read."""
    if (keys.invent is None) == (keys.accounts is None):
        fault = (
            "Both `invent` and `accounts` are given." if keys.invent else "Neither `invent` nor `accounts` is given."
        )
        faults.say(path, "bad-identity", fault, "Give one of them: invent: [name, email], or accounts: file.yaml.")
        return None
    if keys.invent is not None:
        fields = tuple(keys.invent)
        for field, fault, remedy in unsafe_fields(fields, keys.locale, keys.domain):
            at: Path = (*path, "invent", fields.index(field)) if field in fields else (*path, "locale")
            faults.say(at, "unsafe-field", fault, remedy)
        return Invented(fields, keys.locale, keys.domain)
    return _accounts(keys, path, sources, files, faults)


def sealed_names(source: IdentitySource | None) -> frozenset[str]:
    """Those of its names that hold a secret: they may only be joined to what is sent."""
    return frozenset(f"identity.{word}" for word in source.sealed) if isinstance(source, Accounts) else frozenset()


def is_place(value: str) -> bool:
    """Whether a value names where a secret is, as under `secrets:` in the settings."""
    try:
        _PLACE.validate_python(value)
    except ValidationError:
        return False
    return True


def identity_names(source: IdentitySource) -> dict[str, str]:
    """The names that `identity.` has for a source, all texts."""
    match source:
        case Invented(fields=fields):
            words = offered_names(fields)
        case Accounts(accounts=accounts):
            words = tuple(accounts[0]) if accounts else ()
    return {f"identity.{word}": "string" for word in words}


def _accounts(
    keys: IdentityKeys, path: Path, sources: Sources, files: dict[str, str], faults: Faults
) -> Accounts | None:
    file = beside(faults.marks.file, keys.accounts or "")
    at: Path = (*path, "accounts")
    read = documents_of(file, at, sources, files, faults)
    if read is None:
        return None
    documents, is_yaml = read
    if not documents:
        if is_yaml:
            faults.say(at, "bad-accounts", f"{file} is empty.", "Write a list of accounts, each a map of fields.")
        return None
    inner = Faults(documents[0].marks)
    accounts = _rows(documents[0].tree, inner)
    sealed = frozenset(key for row in accounts for key in row if looks_secret(key) or is_place(row[key]))
    _check_values(accounts, sealed, inner)
    if not inner.problems:
        try:
            read_pool(str(path[-1]), accounts)
        except BadAccounts as error:
            inner.say((), "bad-accounts", f"{str(error).capitalize()}.", "Give each account a name of its own.")
    faults.problems.extend(inner.problems)
    return Accounts(file, keys.cooldown or 0.0, keys.max_use, accounts, sealed)


def _check_values(accounts: tuple[dict[str, str], ...], sealed: frozenset[str], faults: Faults) -> None:
    """Report what cannot be kept secret, and what may belong to a person. Addresses are the operator's to answer for:
    the accounts exist."""
    for i, row in enumerate(accounts):
        for key, value in row.items():
            if key not in sealed:
                say_unsafe_text(value, (i, key), faults, besides=(LiteralKind.EMAIL, LiteralKind.PHONE))
            elif len(value) < SHORTEST and not is_place(value):
                fault = f"`{key}` is a secret of fewer than {SHORTEST} characters: masking it would hide innocent text."
                faults.say((i, key), "short-secret", fault, "Use a longer one.")


def _rows(tree: object, faults: Faults) -> tuple[dict[str, str], ...]:
    if not isinstance(tree, list) or not tree:
        faults.say((), "bad-accounts", "This is not a list of accounts.", "Write `- name: …` for each account.")
        return ()
    rows: list[dict[str, str]] = []
    for i, one in enumerate(tree):
        if not isinstance(one, dict) or not one or any(isinstance(v, list | dict | None) for v in one.values()):
            faults.say(
                (i,), "bad-accounts", "This is not an account.", "Write a map of fields with texts: name, email, …"
            )
        elif rows and set(one) != set(rows[0]):
            fault = f"This account has {listed(one)}, the first has {listed(rows[0])}."
            faults.say((i,), "bad-accounts", fault, "Give all accounts the same fields.")
        else:
            rows.append({key: str(value) for key, value in one.items()})
    return tuple(rows)
