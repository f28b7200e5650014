"""A target in moods: by the id of the run it answers well, well only at the second try, wrongly, or never well."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOODS = (*("well",) * 10, "second try", "second try", "wrong", "broken")  # retries stop where many requests fail
OUTCOMES = {"well": "passed", "second try": "flaky", "wrong": "failed", "broken": "failed"}


def mood_of(run_id: str) -> str:
    """Drawn from the id of the run, so that a test knows it too."""
    return MOODS[int(run_id[:6], 16) % len(MOODS)]


class Moody:
    """What it was asked: run id → path → requests."""

    def __init__(self) -> None:
        self.asked: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()

    def note(self, run_id: str, path: str) -> int:
        """Which request of this run for this path it is, from 1."""
        with self._lock:
            paths = self.asked.setdefault(run_id, Counter())
            paths[path] += 1
            return paths[path]

    def requests(self, run_id: str) -> int:
        with self._lock:
            return sum(self.asked.get(run_id, Counter()).values())

    def runs(self) -> set[str]:
        with self._lock:
            return set(self.asked)


@contextmanager
def serving_moods(moody: Moody) -> Iterator[str]:
    """Serve on a free port of loopback; gives the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            run_id = self.headers["x-correlation-id"]
            time_asked, mood = moody.note(run_id, self.path), mood_of(run_id)
            if mood == "broken" or (mood == "second try" and time_asked == 1 and self.path == "/second"):
                self.answer(503, {})
            else:
                self.answer(200, {"value": 2 if mood == "wrong" and self.path == "/second" else 1})

        def answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
