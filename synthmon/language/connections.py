"""The `connections` of the settings: brokers, databases and mailboxes, each of a kind that is found by its word."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field, StrictBool, TypeAdapter, ValidationError, create_model

from synthmon.core.connections import Connection, ConnectionKind
from synthmon.core.system import Tls
from synthmon.language.faults import Faults, check_keys, say_broken
from synthmon.language.marks import Path
from synthmon.language.plugins import Origin, Room, find, lacking
from synthmon.language.schema_words import Keys, Text
from synthmon.language.settings_schema import Reference, TlsKeys
from synthmon.language.words import listed, meant


class ConnectionKeys(Keys):
    """Common keys of every connection, beside those of its kind."""

    watches: StrictBool = Field(
        False, description="Whether it is itself under test: its failures are the target's then, and not ours."
    )
    writes: StrictBool = Field(False, description="Whether messages may be sent there.")
    allow: list[Text] = Field(
        default_factory=list,
        description="Hosts that may be reached, `*.` for one label. Default: those of its address.",
    )
    networks: list[Text] = Field(
        default_factory=list, description="Networks (CIDR) that these hosts may resolve to. Default: public ones."
    )
    propagate: StrictBool = Field(True, description="Whether messages carry ids and baggage; `false` for strangers.")
    tls: TlsKeys = Field(TlsKeys(), description="Certificates.")


@dataclass(frozen=True, slots=True)
class ConnectionForms:
    """A kind of connection, and its keys merged with the common ones."""

    kind: ConnectionKind
    keys: type[BaseModel]
    origin: Origin = Origin()


ROOM = Room("synthmon.connections", "CONNECTION", (ConnectionKind,), ConnectionKeys)

ConnectionKinds = Mapping[str, ConnectionForms]
"""The word that chooses a kind of connection → its forms."""


@lru_cache(maxsize=1)
def find_connections() -> ConnectionKinds:
    """Every kind of connection that is installed, by its word; see `plugins.find`."""
    found = find(ROOM)
    return MappingProxyType(merge_connections(found.kinds.values(), found.origins))


def merge_connections(
    kinds: Iterable[ConnectionKind], origins: Mapping[str, Origin] = MappingProxyType({})
) -> dict[str, ConnectionForms]:
    """Kinds with their keys merged; the later of two with one word counts."""
    return {
        kind.word: ConnectionForms(
            kind,
            create_model(f"{kind.word}_connection", __base__=(kind.keys, ConnectionKeys)),
            origins.get(kind.word, Origin()),
        )
        for kind in kinds
    }


def entry_secret(place: str, name: str, key: str) -> str:
    """What a secret of an entry (`connections`, `evidence`) is called among those of the settings: none has a colon."""
    return f"{place}:{name}:{key}"


def read_connections(raw: Mapping[str, Any], kinds: ConnectionKinds, faults: Faults) -> dict[str, Connection]:
    """Every entry that has no fault; the others are said."""
    made = ((name, _read(name, one, ("connections", name), kinds, faults)) for name, one in raw.items())
    return {name: connection for name, connection in made if connection is not None}


def _read(name: str, raw: Any, path: Path, kinds: ConnectionKinds, faults: Faults) -> Connection | None:
    if not isinstance(raw, dict):
        faults.say(path, "wrong-type", "This is not a map.", f"Write the kind and its address: {{{_sample(kinds)}}}.")
        return None
    words = [key for key in raw if key in kinds]
    if not words and (refused := find(ROOM).refusal(raw)):
        faults.say((*path, refused.word), "broken-kind", refused.fault, refused.remedy, at_key=True)
        return None
    if len(words) != 1:
        fault = f"One connection cannot be {listed(words)} at once." if words else "Nothing says what it connects to."
        remedy = f"Keep one of {listed(words)}." if words else _meant(raw, kinds)
        faults.say(path, "no-connection-kind", fault, remedy)
        return None
    kind, origin = kinds[words[0]].kind, kinds[words[0]].origin
    keys = check_keys(kinds[words[0]].keys, raw, path, faults)
    if keys is None:
        return None
    if remedy := lacking(kind, origin):
        fault = f"The library for `{kind.word}` is not installed."
        faults.say((*path, kind.word), "missing-extra", fault, f"{remedy}.", at_key=True)
    assert isinstance(keys, ConnectionKeys)
    try:
        hosts = tuple(dict.fromkeys(kind.hosts(keys)))
    except ValueError as error:
        faults.say((*path, kind.word), "bad-connection", f"{error}.", f"See `synthmon explain {kind.word}`.")
        return None
    except Exception as error:  # noqa: BLE001  a defect of a kind costs one connection
        say_broken(kind.word, origin, error, (*path, kind.word), faults)
        return None
    return Connection(
        name=name,
        word=kind.word,
        keys=keys,
        watches=keys.watches,
        writes=keys.writes,
        allow=tuple(keys.allow) or hosts,
        allow_networks=tuple(keys.networks),
        propagate=keys.propagate,
        tls=Tls(keys.tls.ca, keys.tls.cert, keys.tls.key),
        references=references_of(kind.secrets, keys, path, faults),
    )


def references_of(secrets: Collection[str], keys: BaseModel, path: Path, faults: Faults) -> dict[str, str]:
    """What a connection or a source keeps secret, each by the place where it is."""
    found = {}
    for name in sorted(secrets):
        value = getattr(keys, name)
        if not value:
            continue
        try:
            found[name] = str(_REFERENCE.validate_python(value))
        except ValidationError as error:
            context = error.errors()[0].get("ctx", {})
            faults.say((*path, name), "bad-secret", f"{context['fault']}", str(context["remedy"]))
    return found


def _meant(raw: Mapping[str, Any], kinds: ConnectionKinds) -> str:
    strange = [key for key in raw if key not in ConnectionKeys.model_fields]
    return (
        meant(str(strange[0]), kinds, f"Write one of {listed(kinds)}.") if strange else f"Add one of {listed(kinds)}."
    )


def _sample(kinds: ConnectionKinds) -> str:
    return 'nats: "nats://127.0.0.1:4222"' if "nats" in kinds else f"{next(iter(kinds), 'kind')}: address"


_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)
