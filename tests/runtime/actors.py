"""What a runner needs, made of real parts that keep nothing on disk; the target is a function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.kinds import Kind
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.secrets import Vault
from synthmon.core.undo.intents import Journal
from synthmon.identities.pools import MemoryLeases
from synthmon.language.settings import Settings
from synthmon.runtime.gathering import Gatherer
from synthmon.runtime.instants import Clock
from synthmon.runtime.lent import Lent
from synthmon.runtime.people import People
from synthmon.runtime.runner import Runner
from synthmon.runtime.sessions import Sessions
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.memory import MemoryHistory
from tests.core.scripted import Answer

Ask = Callable[[str, Envelope], Answer]


@dataclass(frozen=True, slots=True)
class CallKind:
    """Performs the kind `call` of `tests.core.scripted` by asking a function."""

    ask: Ask
    word: str = "call"
    manual: str = ""
    extra: str = ""
    library: str = ""
    via: Literal["system", "connection", "nothing"] = "system"
    keys: Any = None
    offers: Mapping[str, str] = field(default_factory=dict)

    def compile(self, keys: Any, make: Any) -> Any:
        raise AssertionError("journeys of these tests are made by hand")

    async def perform(self, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        answer = self.ask(request, envelope)
        if answer.delay_s > envelope.timeout_s:
            await asyncio.sleep(envelope.timeout_s)
            return Trouble(Reason.TIMEOUT, "no answer")
        await asyncio.sleep(answer.delay_s)
        if answer.trouble is not None:
            return Trouble(answer.trouble, str(answer.trouble), sent=answer.sent)
        return answer.status, answer.body


class NoDoor:
    """These kinds go through no door."""

    pictures: Mapping[str, bytes] = MappingProxyType({})

    async def http(self, request: Any, envelope: Envelope) -> Any:
        raise AssertionError("nothing goes out here")

    async def aclose(self) -> None:
        return None

    def withdraw(self) -> None:
        return None

    def redact(self, text: str) -> str:
        return text


@dataclass
class Stage:
    """A runner with everything around it."""

    runner: Runner
    journal: Journal
    history: History
    told: list[Record]

    def count(self) -> dict[Outcome, int]:
        """Slots told, by outcome."""
        counts: dict[Outcome, int] = {}
        for record in self.told:
            counts[record.outcome] = counts.get(record.outcome, 0) + record.slots
        return counts


def make_stage(
    ask: Ask,
    clock: Clock,
    settings: Settings | None = None,
    journal: Journal | None = None,
    history: History | None = None,
    tell: Callable[[Record, Journey], None] | None = None,
    kind: Kind | None = None,
) -> Stage:
    """A runner over memory stores; `kind` performs the calls instead of a `CallKind`."""
    settings = settings or Settings()
    told: list[Record] = []
    lent = Lent(
        settings,
        {"call": kind or CallKind(ask)},
        lambda *_: NoDoor(),
        People(settings.identities, MemoryLeases()),
        lambda: Vault({}),
        Sessions(),
        Gatherer({}, lambda: None, lambda name, key: ""),
    )
    kept_journal, kept_history = journal or MemoryJournal(), history or MemoryHistory()
    runner = Runner(lent, kept_journal, kept_history, clock, tell or (lambda record, journey: told.append(record)))
    return Stage(runner, kept_journal, kept_history, told)
