"""The kinds of steps of one run: what they do and hear goes by way of a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

from synthmon.core.door import Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.journey import Spec
from synthmon.core.kinds import Kind, Listens, Maker, Performs
from synthmon.runtime.tampering import Tampering


def tampered(kinds: Mapping[str, Kind], by: Callable[[], Tampering]) -> Mapping[str, Kind]:
    """The same kinds; `by` tells whose fault it is, once the run is known."""
    return MappingProxyType({word: _tampered(kind, by) for word, kind in kinds.items()})


def _tampered(kind: Kind, by: Callable[[], Tampering]) -> Kind:
    return _ListensOtherwise(kind, by) if isinstance(kind, Listens) else _PerformsOtherwise(cast(Performs, kind), by)


class _Otherwise:
    """A kind by which nothing is changed."""

    def __init__(self, kind: Kind, by: Callable[[], Tampering]) -> None:
        self._by = by
        self.word, self.manual, self.extra, self.library = kind.word, kind.manual, kind.extra, kind.library
        self.keys, self.offers, self.via = kind.keys, kind.offers, kind.via
        self._compile = kind.compile

    def compile(self, keys: Any, make: Maker) -> Spec:
        return self._compile(keys, make)


class _PerformsOtherwise(_Otherwise):
    """`core.kinds.Performs` with a fault."""

    def __init__(self, kind: Performs, by: Callable[[], Tampering]) -> None:
        super().__init__(kind, by)
        self._kind = kind

    async def perform(self, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        return await self._by().perform(self._kind, request, door, envelope)


class _ListensOtherwise(_Otherwise):
    """`core.kinds.Listens` with a fault."""

    def __init__(self, kind: Listens, by: Callable[[], Tampering]) -> None:
        super().__init__(kind, by)
        self._kind, self.addressed = kind, kind.addressed

    async def listen(self, request: Any, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        return await self._by().listen(self._kind, request, door, envelope, hear)
