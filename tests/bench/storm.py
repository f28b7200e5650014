"""What the daemon's web answers while it runs journeys: a pulse that feels its loop, and a storm of scrapes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.processes import Unmeasured, fetch

CLIENTS = 8
_EXPOSITION = {"Accept-Encoding": "gzip", "Accept": "application/openmetrics-text; version=1.0.0"}
_PULSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Storm:
    """What clients got who scrape without a pause."""

    took_ms: Sequence[float]
    size_bytes: int


@contextmanager
def pulse(url: str) -> Iterator[Sequence[float]]:
    """Asks for `/healthz` five times a second; how many milliseconds each answer took, the loop's lag included."""
    took_ms: list[float] = []

    def beat() -> None:
        took_ms.append(_timed_ms(lambda: fetch(f"{url}/healthz")))
        time.sleep(_PULSE_S)

    with _again_and_again([beat]):
        yield took_ms


def storm(url: str, secs: float) -> Storm:
    """Eight clients, compressed OpenMetrics, one scrape after the other."""
    took_ms: list[float] = []
    sizes: list[int] = []

    def scrape() -> None:
        took_ms.append(_timed_ms(lambda: sizes.append(len(fetch(f"{url}/metrics", _EXPOSITION)))))

    with _again_and_again([scrape] * CLIENTS):
        time.sleep(secs)
    return Storm(took_ms, max(sizes, default=0))


@contextmanager
def _again_and_again(works: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Each in a thread of its own, until the block ends."""
    stop = threading.Event()
    faults: list[Exception] = []

    def go_on(work: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                work()
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=go_on, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    if faults:
        raise Unmeasured(f"the daemon stopped answering: {faults[0]}")


def _timed_ms(work: Callable[[], object]) -> float:
    began_s = time.monotonic()
    work()
    return (time.monotonic() - began_s) * 1000
