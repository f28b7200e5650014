"""The API asked by its own OpenAPI document: thousands of requests that it allows, and as many that it does not.

`python -m tests.web.schema_cases 10000` prints how many cases there were, and what was wrong.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from synthmon.web.serve import bind, serving
from tests.web.conftest import MAY_CHANGE, an_app
from tests.web.some import a_monitor

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass
class Told:
    """`cases` by status class; `faults` in words."""

    cases: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@contextmanager
def served() -> Iterator[str]:
    """The application on a port, in a thread with a loop of its own."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), []
    over = asyncio.Event()

    async def serve() -> None:
        async with serving(an_app(await a_monitor()), bind("127.0.0.1:0")) as base:
            address.append(base)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(60)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def ask(cases: int, told: Told | None = None) -> Told:
    """Ask every operation, together about so often."""
    told = told or Told()
    with served() as base:
        schema = schemathesis.openapi.from_url(f"{base}/api/v1/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        each = max(1, cases // len(operations) // 2)
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _ask(operation, mode, each, told)
    return told


def _ask(operation, mode, examples: int, told: Told) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case) -> None:
        response = case.call(headers=MAY_CHANGE, timeout=60)
        told.cases[f"{response.status_code // 100}xx"] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as fault:
            told.faults.append(f"{operation.label}: {fault}"[:2000])

    with suppress(Unsatisfiable):  # there is nothing that this operation does not allow
        one()


def main() -> None:
    told = ask(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    print(f"{sum(told.cases.values())} cases {dict(told.cases)}, {len(told.faults)} faults")
    for fault in sorted(set(told.faults))[:10]:
        print(fault)


if __name__ == "__main__":
    main()
