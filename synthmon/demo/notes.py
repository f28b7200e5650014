"""What every function writes down about each step: a log line, a span, a row for GET /events."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from synthmon.demo.correlation import Correlation, Place
from synthmon.demo.otlp_sender import OtlpSender
from synthmon.demo.rows import Rows, iso
from synthmon.demo.spans import Span

_LOG_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Note:
    """One attempt at one step; ``status`` is ok, retry, skipped, error or dead."""

    service: str
    workflow: str
    step: str
    status: str
    correlation: Correlation
    place: Place
    event_id: str
    started_ns: int
    ended_ns: int
    attempt: int = 1
    dependency: str = ""
    reference: str = ""
    reason: str = ""

    @property
    def latency_ms(self) -> float:
        return round((self.ended_ns - self.started_ns) / 1e6, 3)


class Notes:
    """Writes ``<folder>/<service>.jsonl`` (8 MiB and one older file each) and hands spans on.

    A context manager; without an endpoint no span leaves.
    """

    def __init__(self, folder: Path, rows: Rows, endpoint: str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rows = rows
        self._files: dict[str, RotatingFileHandler] = {}
        self._sender = OtlpSender(endpoint) if endpoint else None
        self._closing = ExitStack()

    def __enter__(self) -> Notes:
        if self._sender:
            self._closing.enter_context(self._sender)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def trace(self, *spans: Span) -> None:
        if self._sender:
            self._sender.put(spans)

    def write(self, note: Note) -> None:
        line = {
            "time": iso(note.ended_ns),
            "correlationId": note.correlation.id,
            "workflow": note.workflow,
            "step": note.step,
            "dependency": note.dependency,
            "latencyMs": note.latency_ms,
            "attempt": note.attempt,
            "status": note.status,
            "eventId": note.event_id,
            "traceId": note.place.trace_id,
            "spanId": note.place.span_id,
            "service": note.service,
            "reference": note.reference,
        }
        if note.reason:
            line["reason"] = note.reason
        text = json.dumps(line, separators=(",", ":"))
        self._file(note.service).handle(logging.makeLogRecord({"msg": text}))
        self._rows.notes.write(line)

    def _file(self, service: str) -> RotatingFileHandler:
        handler = self._files.get(service)
        if handler is None:
            handler = RotatingFileHandler(
                self._folder / f"{service}.jsonl", maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
            )
            self._files[service] = handler
            self._closing.callback(handler.close)
        return handler
