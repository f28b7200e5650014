"""5,000 records of one run: how long the loop is held in one piece by reading them.

`python -m tests.evidence.test_back_end_load` prints the figures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from synthmon.core.door import HttpAnswer
from synthmon.core.evidence import MOST_RECORDS
from synthmon.core.timing import Timing
from synthmon.language.evidence import find_sources
from tests.evidence import (
    aws_back_ends,
    test_cloudwatch,
    test_elasticsearch,
    test_jaeger,
    test_loki,
    test_tempo,
    test_xray,
)
from tests.evidence.back_ends import PASSWORD, Answer, Asked, Said, a_source, thing
from tests.evidence.lending import Heard, Lent, wanted

RUN = wanted()
THINGS = [thing(RUN, f"step-{n}", ago_ms=n) for n in range(MOST_RECORDS)]
KINDS: Mapping[str, tuple[Mapping[str, Any], Answer]] = {
    "loki": ({"select": test_loki.SELECTOR}, test_loki.loki(test_loki.entries(THINGS))),
    "elasticsearch": (
        test_elasticsearch.KEYS,
        test_elasticsearch.elasticsearch(test_elasticsearch.documents(THINGS)),
    ),
    "tempo": ({}, test_tempo.tempo([test_tempo.Kept(RUN.run_id, one.step, (), {}, one.at_ns) for one in THINGS])),
    "jaeger": (
        {"services": ["ledger"]},
        test_jaeger.jaeger([test_jaeger.Kept(RUN.run_id, one.step, at_ns=one.at_ns) for one in THINGS]),
    ),
    "cloudwatch": (
        test_cloudwatch.KEYS,
        test_cloudwatch.cloudwatch([test_cloudwatch.event(one) for one in THINGS]),
    ),
    "xray": (
        aws_back_ends.KNOWN,
        test_xray.xray([test_xray.Kept(RUN.run_id, one.step, one.at_ns) for one in THINGS]),
    ),
}


@dataclass
class Ready(Lent):
    """Answers that are made in a thread: what holds the loop is the source alone."""

    answer: Answer = lambda asked: Said({})

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        sent = {"content-type": "application/json", "host": "127.0.0.1:9"} | {
            name.lower(): value for name, value in (headers or {}).items()
        }
        status, content = await asyncio.to_thread(self._made, Asked(method, path, dict(params), sent, body or b""))
        await asyncio.sleep(0)
        return HttpAnswer(status, (), content, Timing())

    def secret(self, name: str) -> str:
        return PASSWORD if name in ("access_key", "secret_key") else ""

    def _made(self, asked: Asked) -> tuple[int, bytes]:
        said = self.answer(asked)
        assert isinstance(said, Said)
        return said.status, said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()


async def holds(word: str) -> tuple[Heard, list[float]]:
    """What was told, and how long the thread of the loop worked between two turns of the others, in ms."""
    keys, answer = KINDS[word]
    heard, pieces, over = Heard(), [0.0], asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            before_s = time.thread_time()
            await asyncio.sleep(0)
            pieces.append((time.thread_time() - before_s) * 1000)

    gc.collect()
    gc.freeze()  # as the daemon does with what it has loaded
    watcher = asyncio.create_task(watch())
    source = a_source(word, "http://127.0.0.1:9", keys)
    ear = await find_sources()[word].kind.watch(source, RUN, Ready(answer=answer), heard)
    try:
        await heard.until(lambda: heard.watermark_ns > 0 or bool(heard.blind))
    finally:
        await ear.aclose()
        over.set()
        await watcher
        gc.unfreeze()
    return heard, sorted(pieces)


@pytest.mark.parametrize("word", KINDS)
async def test_five_thousand_records_are_read_in_small_pieces(word: str) -> None:
    heard, pieces = await holds(word)

    assert len(set(heard.steps)) == MOST_RECORDS
    assert not heard.blind
    assert pieces[-1] < 250, "held at once; usually below 50 ms, on a busy machine more"


if __name__ == "__main__":
    for name in KINDS:
        told, held = asyncio.run(holds(name))
        print(f"{name:14} {len(told.records)} records, longest piece {held[-1]:.1f} ms, next {held[-2]:.1f} ms")
