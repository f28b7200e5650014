"""Sends spans to a collector, best effort: never in the way, never more than a bounded backlog."""

from __future__ import annotations

import json
import queue
import threading
import urllib.request
from collections.abc import Iterable
from types import TracebackType

from synthmon.demo.spans import Span, otlp

_BACKLOG = 5_000
_BATCH = 200
_LIMIT_S = 2.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class OtlpSender:
    """One thread that posts to ``<endpoint>/v1/traces``. What does not fit or is refused is dropped and counted.

    A context manager; leaving it waits at most about two seconds for the rest.
    """

    def __init__(self, endpoint: str) -> None:
        base = endpoint.rstrip("/")
        self._url = base if base.endswith("/v1/traces") else f"{base}/v1/traces"
        self._queue: queue.Queue[Span | None] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._work, name="demo-otlp", daemon=True)
        self.dropped = 0

    def __enter__(self) -> OtlpSender:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # the collector is not keeping up; the thread is a daemon and ends with the process
        self._thread.join(_LIMIT_S)

    def put(self, spans: Iterable[Span]) -> None:
        for span in spans:
            try:
                self._queue.put_nowait(span)
            except queue.Full:
                self.dropped += 1

    def _work(self) -> None:
        over = False
        while not over:
            batch: list[Span] = []
            wanted: Span | None = self._queue.get()
            while wanted is not None:
                batch.append(wanted)
                if len(batch) >= _BATCH:
                    break
                try:
                    wanted = self._queue.get(timeout=0.1)
                except queue.Empty:
                    break
            over = wanted is None
            if batch:
                self._post(batch)

    def _post(self, batch: list[Span]) -> None:
        request = urllib.request.Request(
            self._url,
            data=json.dumps(otlp(batch)).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "synthmon-demo"},
            method="POST",
        )
        try:
            with _DIRECT.open(request, timeout=_LIMIT_S) as answer:
                answer.read(65_536)
        except (OSError, ValueError):  # URLError and HTTPError are OSErrors; nobody there is no reason to stop
            self.dropped += len(batch)
