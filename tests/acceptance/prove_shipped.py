"""`python -m tests.acceptance.prove_shipped [NAME…]`: every fault against every shipped journey, as README shows it.

Each journey is proved against a demo shop of its own, some side by side.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from synthmon.cli.output import screen
from synthmon.cli.prove import draw
from synthmon.core.journey import Journey
from synthmon.core.proof.faults import Fault, Finding, Proof
from synthmon.demo.shop import running_shop
from synthmon.language.settings import Settings
from synthmon.runtime.proving import CannotProve, open_prover
from tests.acceptance.target_faults.bench import aimed_at, hearing, shipped, somewhere

AT_ONCE = 5
TRIES = 3  # a machine that stands still says nothing of a journey


async def prove_one(
    journey: Journey, settings: Settings, wanted: Collection[Fault] = tuple(Fault), rehearse: bool = True
) -> Proof:
    """One journey against a shop of its own."""
    async with running_shop(bus="nats", busy_rate=0, otlp=somewhere()) as shop:
        (there,) = hearing(shop, [journey])
        async with open_prover([there], aimed_at(shop.url, shop, settings), "memory:") as prover:
            for last in (False, False, True):
                try:
                    goods = await prover.good_runs(there)
                    break
                except CannotProve:
                    if last:
                        raise
            return await prover.prove(there, goods, prover.plan(there, goods, wanted), rehearse)


async def prove_each(
    journeys: Sequence[Journey], settings: Settings, tell: Callable[[Proof], None] = lambda proof: None
) -> list[Proof]:
    """All of them, a few at a time; `tell` hears of each as it is done."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(journey: Journey) -> Proof:
        async with places:
            proof = await prove_one(journey, settings)
            tell(proof)
            return proof

    return list(await asyncio.gather(*map(one, journeys)))


def rows(proofs: Iterable[Proof]) -> list[str]:
    """README's table: a line a journey."""
    ends = (Finding.CAUGHT, Finding.EQUIVALENT, Finding.BLIND, Finding.MISSED)
    lines = [f"| journey | faults | {' | '.join(ends)} |", f"| --- |{' ---: |' * (len(ends) + 1)}"]
    for proof in proofs:
        counts = [str(len(proof.of(end))) for end in ends]
        lines.append(f"| {proof.journey} | {len(proof.trials)} | {' | '.join(counts)} |")
    return lines


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        journeys, settings = shipped(Path(scratch))
        wanted = [journey for journey in journeys if not sys.argv[1:] or journey.name in sys.argv[1:]]
        proofs = asyncio.run(prove_each(wanted, settings, lambda proof: screen().print(draw(proof), soft_wrap=True)))
    print("\n".join(rows(proofs)))


if __name__ == "__main__":
    main()
