"""What a back end keeps of a run, line by line or document by document: each is told once, whichever look brings it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

from synthmon.core.evidence import Tell, Wanted
from synthmon.core.fields import flat, from_fields, instant_ns
from synthmon.core.sources import Source

PLACE, INSTANT = "~place", "~instant"
"""What a back end knows of a record that says neither id nor instant."""


class Records:
    """The records of one run. `usual` says what their parts are called there, the first that is there counts; `at` has
    the instant of one whose own names none."""

    def __init__(
        self, source: Source, wanted: Wanted, tell: Tell, usual: Mapping[str, tuple[str, ...]], at: str = INSTANT
    ) -> None:
        self._source, self._wanted, self._tell, self._usual, self._at = source, wanted, tell, usual, at
        self._told: set[Hashable] = set()

    def widen(self, wanted: Wanted) -> None:
        """What is the run's from now on."""
        self._wanted = wanted

    def take(self, key: Hashable, fields: Mapping[str, Any], known: Mapping[str, Any], received_ns: int) -> None:
        """Tell it if it is the run's and new: `key` tells it from every other there, `known` is what the back end
        itself says of it (`PLACE`, `INSTANT` and their like) and no attribute."""
        if key in self._told:
            return
        everything = {**fields, **known}
        texts = flat(everything)
        where = places(texts, self._source.map, self._usual)
        if not instant_ns(texts.get(where.get("at", ""), "")):
            where["at"] = self._at
        record = from_fields(self._source.name, everything, self._wanted, received_ns, where)
        if record is not None:
            self._told.add(key)
            attrs = {name: text for name, text in record.attrs.items() if name not in known}
            self._tell(replace(record, attrs=attrs, id=record.id or str(known[PLACE])))


def places(
    texts: Mapping[str, str], renamed: Mapping[str, str], usual: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Where each part of a record is: where `renamed` says, else the first of its usual names that is there."""
    found = {part: next((name for name in names if texts.get(name)), "") for part, names in usual.items()}
    return {part: name for part, name in found.items() if name} | dict(renamed)
