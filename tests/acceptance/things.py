"""A target that counts effects: it makes things, slowly and late if told so, and knows what was ever made of each."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Things:
    """What the target has, and what it was asked. An idempotency key names one effect, also after it was undone."""

    def __init__(self, slowest_s: float = 0.0, seed: int = 1) -> None:
        self.slowest_s = slowest_s
        self.there: dict[str, str] = {}  # id -> reference
        self.answers: dict[str, str] = {}  # key -> id
        self.made: Counter[str] = Counter()  # reference -> things ever made for it
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.fault = ""
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Be slow before the effect and after it, so that a kill meets every moment."""
        with self._lock:
            delay_s = self._random.uniform(0, self.slowest_s)
        time.sleep(delay_s)

    def make(self, key: str, reference: str) -> str:
        """One effect per key."""
        with self._lock:
            if key not in self.answers:
                made = f"t{len(self.answers) + 1}"
                self.answers[key] = made
                self.there[made] = reference
                self.made[reference] += 1
            return self.answers[key]

    def remove(self, made: str) -> bool:
        with self._lock:
            return self.there.pop(made, None) is not None

    def of(self, reference: str) -> list[str]:
        with self._lock:
            return [made for made, its in self.there.items() if its == reference]

    def left(self) -> dict[str, str]:
        """What is there now."""
        with self._lock:
            return dict(self.there)

    def listed(self) -> list[dict[str, str]]:
        """All that is there, as made two hours ago: for a sweep, which leaves alone what is young."""
        made = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
        return [{"id": its, "reference": reference, "created": made} for its, reference in self.left().items()]

    def note(self, method: str, path: str, headers: dict[str, str]) -> None:
        with self._lock:
            self.requests.append((method, path, headers))


def making(
    journey: str, every: str, deadline: str, references: Mapping[str, str], timeout: str = "", more: str = ""
) -> str:
    """A journey that makes a thing in each step (its id → the reference of its thing) and can take it back.

    `more` are further steps as text.
    """
    limit = f"\n    timeout: {timeout}" if timeout else ""
    steps = "".join(
        _MAKING.format(step=step, reference=reference, limit=limit) for step, reference in references.items()
    )
    return f"journey: {journey}\nevery: {every}\ndeadline: {deadline}\nsystem: things\nsteps:{steps}{more}"


_MAKING = """
  - id: {step}
    http: POST /things
    json: {{reference: "{reference}"}}{limit}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${{{step}.id}}
      find:
        http: GET /things
        params: {{reference: "{reference}"}}
        save:
          id: body.things[0].id
      ttl: 10m
    repeatable: true"""


@contextmanager
def serving_things(things: Things) -> Iterator[str]:
    """Serve on a free port of loopback; gives the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            self.take()
            things.wait()
            made = things.make(self.headers["idempotency-key"], str(body["reference"]))
            things.wait()
            self.answer(201, {"id": made, "reference": body["reference"]})

        def do_GET(self) -> None:
            self.take()
            parts = urlsplit(self.path)
            if parts.path.startswith("/things/"):
                there = parts.path.removeprefix("/things/") in things.left()
                self.answer(200 if there else 404, {})
                return
            if "reference" not in parse_qs(parts.query):
                self.answer(200, {"things": things.listed()})
                return
            reference = parse_qs(parts.query).get("reference", [""])[0]
            self.answer(200, {"things": [{"id": made} for made in things.of(reference)]})

        def do_DELETE(self) -> None:
            self.take()
            things.wait()
            self.answer(204 if things.remove(self.path.rpartition("/")[2]) else 404, None)

        def take(self) -> None:
            things.note(self.command, self.path, {name.lower(): text for name, text in self.headers.items()})

        def answer(self, status: int, body: Any) -> None:
            if things.fault == "error":
                status, body = 500, {"error": "told to fail"}
            content = b"" if body is None else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the client was killed

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # a hundred journeys knock at once

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients are killed here

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
