"""The `evidence` of the settings: where that is found what other systems report about a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, StrictBool, create_model

from synthmon.core.fields import FIELDS
from synthmon.core.sources import Source, SourceKind
from synthmon.core.system import System, Tls
from synthmon.language.amounts import Seconds, SecondsOrNone
from synthmon.language.connections import references_of
from synthmon.language.faults import Faults, check_keys, say_broken
from synthmon.language.marks import Path
from synthmon.language.plugins import Origin, Room, find, lacking
from synthmon.language.schema_words import Keys, Text
from synthmon.language.settings_schema import TlsKeys
from synthmon.language.words import listed, meant


class EvidenceKeys(Keys):
    """Common keys of every source of evidence, beside those of its kind."""

    lag: Seconds = Field(
        2.0, validate_default=False, description="How long after something happened it may not be told yet. Default 2s."
    )
    skew: SecondsOrNone = Field(
        0.01,
        validate_default=False,
        description="How far clocks are apart at most, as you vouch; 0s: one clock. Else learnt, at first 10ms.",
    )
    map: dict[str, Text] = Field(
        default_factory=dict, description="Where a record keeps its parts: {step: labels.step, at: ts}."
    )
    exclusive: StrictBool = Field(False, description="Of a count: nobody else's messages go there.")
    allow: list[Text] = Field(
        default_factory=list, description="Hosts of its back end. Default: the one of its address."
    )
    networks: list[Text] = Field(default_factory=list, description="Networks (CIDR) that these may resolve to.")
    tls: TlsKeys = Field(TlsKeys(), description="Certificates.")


@dataclass(frozen=True, slots=True)
class SourceForms:
    """A kind of source, and its keys merged with the common ones."""

    kind: SourceKind
    keys: type[BaseModel]
    origin: Origin = Origin()


ROOM = Room("synthmon.evidence", "SOURCE", (SourceKind,), EvidenceKeys)

SourceKinds = Mapping[str, SourceForms]
"""The word that chooses a kind of source → its forms."""


@lru_cache(maxsize=1)
def find_sources() -> SourceKinds:
    """Every kind of source that is installed, by its word; see `plugins.find`."""
    found = find(ROOM)
    return MappingProxyType(merge_sources(found.kinds.values(), found.origins))


def merge_sources(
    kinds: Iterable[SourceKind], origins: Mapping[str, Origin] = MappingProxyType({})
) -> dict[str, SourceForms]:
    """Kinds with their keys merged; the later of two with one word counts."""
    return {
        kind.word: SourceForms(
            kind,
            create_model(f"{kind.word}_evidence", __base__=(kind.keys, EvidenceKeys)),
            origins.get(kind.word, Origin()),
        )
        for kind in kinds
    }


def read_sources(
    raw: Mapping[str, Any], kinds: SourceKinds, connections: Iterable[str], faults: Faults
) -> dict[str, Source]:
    """Every entry that has no fault; the others are said."""
    known = frozenset(connections)
    made = ((name, _read(name, one, ("evidence", name), kinds, known, faults)) for name, one in raw.items())
    return {name: source for name, source in made if source is not None}


def _read(
    name: str, raw: Any, path: Path, kinds: SourceKinds, connections: frozenset[str], faults: Faults
) -> Source | None:
    if not isinstance(raw, dict):
        faults.say(
            path, "wrong-type", "This is not a map.", "Write the kind and where: {jsonl: /var/log/shop/*.jsonl}."
        )
        return None
    words = [key for key in raw if key in kinds]
    if not words and (refused := find(ROOM).refusal(raw)):
        faults.say((*path, refused.word), "broken-kind", refused.fault, refused.remedy, at_key=True)
        return None
    if len(words) != 1:
        fault = f"One source cannot be {listed(words)} at once." if words else "Nothing says where the evidence is."
        faults.say(path, "no-evidence-kind", fault, f"Write one of {listed(kinds)}.")
        return None
    kind, origin, word = kinds[words[0]].kind, kinds[words[0]].origin, words[0]
    keys = check_keys(kinds[word].keys, raw, path, faults)
    if keys is None:
        return None
    assert isinstance(keys, EvidenceKeys)
    if remedy := lacking(kind, origin):
        faults.say(
            (*path, word), "missing-extra", f"The library for `{word}` is not installed.", f"{remedy}.", at_key=True
        )
    for part in keys.map.keys() - FIELDS.keys():
        faults.say((*path, "map", part), "unknown-key", f"A record has no part `{part}`.", meant(part, FIELDS, ""))
    try:
        base, connection = kind.base(keys), kind.connection(keys)
    except ValueError as error:
        faults.say((*path, word), "bad-connection", f"{error}.", f"See `synthmon explain {word}`.")
        return None
    except Exception as error:  # noqa: BLE001  a defect of a kind costs one source
        say_broken(word, origin, error, (*path, word), faults)
        return None
    if connection and connection not in connections:
        fault = f"The settings have no connection `{connection}`."
        remedy = meant(connection, connections, "Add it to `connections:` in synthmon.yaml.")
        faults.say((*path, word), "unknown-connection", fault, remedy)
    return Source(
        name=name,
        word=word,
        keys=keys,
        lag_s=keys.lag,
        map=dict(keys.map),
        skew_s=keys.skew,
        vouched="skew" in keys.model_fields_set,
        exclusive=keys.exclusive,
        system=_system(name, base, keys) if base else None,
        connection=connection,
        references=references_of(kind.secrets, keys, path, faults),
    )


def _system(name: str, base: str, keys: EvidenceKeys) -> System:
    host = urlsplit(base).hostname or ""
    return System(
        name=f"evidence:{name}",
        base={"": base},
        allow=tuple(keys.allow) or (host,),
        allow_networks=tuple(keys.networks),
        writes=("POST /", "POST /*", "POST /*/*", "POST /*/*/*", "POST /*/*/*/*"),  # searches are sent by POST
        propagate=False,
        tls=Tls(keys.tls.ca, keys.tls.cert, keys.tls.key),
    )
