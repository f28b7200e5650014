"""Runs the shipped journeys through a proxy with one fault, and says who turned red and why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from synthmon.core.journey import Journey, Promises
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.demo.shop import Shop, running_shop
from synthmon.language.load import load
from synthmon.language.settings import Inbound, Settings
from synthmon.runtime.house import open_house
from synthmon.runtime.inbound import open_hooks
from synthmon.runtime.runner import Runner
from tests.acceptance.target_faults.faults import Fault
from tests.acceptance.target_faults.past import earlier_customer
from tests.acceptance.target_faults.proxy import faulty
from tests.servers.ports import free_port

PROBES = Path(__file__).parents[3] / "probes"
AT_ONCE = 4  # faults
TRIES = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What a fault did: the record of every journey that was run, and who met the fault."""

    records: Mapping[str, Record]
    struck: frozenset[str]

    @property
    def red(self) -> frozenset[str]:
        return frozenset(name for name, record in self.records.items() if is_red(record))


def is_red(record: Record) -> bool:
    """Failed, or it left something behind that it could not see gone."""
    return record.outcome is Outcome.FAILED or bool(left_behind(record))


def left_behind(record: Record) -> tuple[str, ...]:
    return tuple(debt.path for debt in record.debts if debt.state == "owed")


def why(record: Record) -> str:
    """One line for the table."""
    left = left_behind(record)
    said = [record.message] if record.outcome is not Outcome.PASSED else []
    return "; ".join(said + ([f"left behind: {', '.join(left)}"] if left else [])) or "passed"


def shipped(scratch: Path, base: str = "http://127.0.0.1:9") -> tuple[tuple[Journey, ...], Settings]:
    """The journeys of `probes/` with their own settings, pointed at another place. They have no mistake."""
    settings = scratch / "synthmon.yaml"
    settings.write_text((PROBES / "synthmon.yaml").read_text().replace("http://127.0.0.1:9870", base))
    loaded = load([PROBES], [settings])
    assert loaded.problems == ()
    return loaded.journeys, loaded.settings


async def run_through(fault: Fault, journeys: Sequence[Journey], settings: Settings) -> Result:
    """Run each journey with this fault before a shop of its own; all at once, like a daemon.

    A run that is `unknown` (ours: a machine that stands still) says nothing of the fault, and one that did not get as
    far as the fault neither: those run again, on another shop, at most `TRIES` times.
    """
    records: dict[str, Record] = {}
    struck: set[str] = set()
    for _ in range(TRIES):
        wanted = [journey for journey in journeys if journey.name not in records]
        for name, (record, met) in (await _run(fault, wanted, settings)).items():
            if record.outcome is not Outcome.UNKNOWN and (met or name not in fault.meets):
                records[name] = record
                struck.update({name} if met else ())
        if len(records) == len(journeys):
            break
    return Result(records, frozenset(struck))


async def run_all(faults: Sequence[Fault], journeys: Sequence[Journey], settings: Settings) -> dict[str, Result]:
    """Every fault against every journey, a few faults at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(fault: Fault) -> Result:
        async with places:
            return await run_through(fault, journeys, settings)

    results = await asyncio.gather(*(one(fault) for fault in faults))
    return {fault.name: result for fault, result in zip(faults, results, strict=True)}


async def _run(fault: Fault, journeys: Sequence[Journey], settings: Settings) -> dict[str, tuple[Record, bool]]:
    """One try of each: its record, and whether it met the fault."""
    async with running_shop(bus="nats", busy_rate=0, otlp=somewhere()) as shop:
        act = fault.make(await earlier_customer(shop.url))
        async with faulty(act, shop.url) as proxy:
            records = await run_each(hearing(shop, journeys), aimed_at(proxy.url, shop, settings))
        return {record.journey: (record, record.journey in proxy.struck) for record in records}


def aimed_at(url: str, shop: Shop, settings: Settings) -> Settings:
    """The settings with every system there and this shop's bus, books and mails, and without limits: all journeys start
    at once."""
    systems = {
        name: replace(system, base={"": url}, rate_per_s=None, concurrency=None)
        for name, system in settings.systems.items()
    }
    there = {"nats": shop.nats_url, "sql": f"sqlite:///{shop.books}", "imap": shop.mail_url}
    secret = {"imap": {"password": f"file:{shop.mail_password}"}}
    connections = {
        name: replace(
            one,
            keys=one.keys.model_copy(update={one.word: there[one.word]}),
            references=secret.get(one.word, one.references),
        )
        for name, one in settings.connections.items()
    }
    hooks = Inbound(shop.otlp.removeprefix("http://") or "127.0.0.1:0")
    return replace(settings, systems=systems, connections=connections, hooks=hooks)


def somewhere() -> str:
    """Where a shop may send its spans: the run listens there afterwards."""
    return f"http://127.0.0.1:{free_port()}"


def hearing(shop: Shop, journeys: Sequence[Journey]) -> list[Journey]:
    """The journeys with the logs of this shop as their evidence."""
    return [replace(journey, promises=_heard(shop, journey.promises)) for journey in journeys]


def _heard(shop: Shop, promises: Promises) -> Promises:
    logs = {"jsonl": f"{shop.logs}/*.jsonl"}
    return replace(
        promises,
        sources=tuple(
            replace(one, keys=one.keys.model_copy(update=logs)) if one.word == "jsonl" else one
            for one in promises.sources
        ),
    )


async def run_each(journeys: Sequence[Journey], settings: Settings) -> list[Record]:
    """Run each journey once, side by side."""
    records: asyncio.Queue[Record] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house("memory:"))
        house.doors.hooks, house.doors.otlp = await stack.enter_async_context(open_hooks(settings, journeys))
        lent, _ = house.lend(settings)
        runner = Runner(lent, house.journal, house.history, house.clock, lambda record, _: records.put_nowait(record))
        for journey in journeys:
            runner.run_now(journey)
        try:
            return [await records.get() for _ in journeys]
        finally:
            await runner.stop(settings.grace_s)
