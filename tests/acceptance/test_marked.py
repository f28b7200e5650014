"""Every request that a target ever sees of us is known as synthetic and as one run's: also what is sent again, sent on,
taken back, looked for after a crash, or sent to log in."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from synthmon import __version__
from tests.acceptance.daemon import DaemonProcess, wait_for

READS = ("GET", "HEAD", "OPTIONS")
SETTINGS = """
systems:
  shop: {{base: "{url}", writes: true, follow: true}}
sessions:
  clerk: {{call: login.yaml, keep: 2s, system: shop, headers: {{Authorization: "Bearer ${{token.value}}"}}}}
"""
LOGIN = """
steps:
  - id: token
    http: POST /login
    json: {}
    leaves: nothing
    expect:
      - status == 200
    save:
      value: secret(body.token)
"""
MAKING = """
  - id: made
    http: POST /things
    json: {reference: "${run.namespace}"}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${made.id}
      find:
        http: GET /things
        params: {reference: "${run.namespace}"}
        save:
          id: body.things[0].id
      gone:
        http: GET /things/${made.id}
        expect:
          - status == 404
      ttl: 10m
"""
STEPS = {
    "plain": "  - http: GET /ok\n    expect:\n      - status == 200\n",
    "making": MAKING,
    "again": MAKING.replace("ttl: 10m", "ttl: 10m\n    repeatable: true\n    retry: {times: 2, on: [5xx]}").replace(
        "/things\n    json", "/things?fail=once\n    json"
    ),
    "sent-on": "  - http: GET /old\n    expect:\n      - status == 200\n"
    "  - http: POST /moved\n    json: {reference: x}\n    leaves: nothing\n    expect:\n      - status == 201\n",
    "polling": "  - http: GET /soon\n    within: 3s\n    poll: 50ms\n    expect:\n      - body.ready\n",
    "together": "  - together:\n" + "      - http: GET /ok\n        expect:\n          - status == 200\n" * 4,
    "own-headers": "  - http: GET /ok\n    headers: {User-Agent: mine, Baggage: a=b, TraceState: v=1}\n"
    "    expect:\n      - status == 200\n",
    "logged-in": "  - http: GET /private\n    auth: clerk\n    expect:\n      - status == 200\n",
    "failing": "  - http: GET /missing\n    expect:\n      - status == 200\n",
}


class Target:
    """Notes every request; makes things, one for each idempotency key, and fails, moves and delays as it is asked."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, dict[str, str]]] = []
        self.there: dict[str, str] = {}
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any, str]:
        """Status, body, and where else to look."""
        with self._lock:
            self.heard.append((method, path, headers))
            key = headers.get("idempotency-key", "")
            match method, path.partition("?")[0]:
                case "POST", "/login":
                    return 200, {"token": "a-token-for-this-test-1"}, ""
                case "GET", "/private":
                    return (200 if headers.get("authorization") else 401), {}, ""
                case "GET", "/old":
                    return 302, {}, "/ok"
                case "POST", "/moved":
                    return 307, {}, "/kept"
                case "GET", "/soon":
                    self.seen[headers.get("x-correlation-id", "")] += 1
                    return 200, {"ready": self.seen[headers.get("x-correlation-id", "")] > 2}, ""
                case "GET", "/missing":
                    return 404, {}, ""
                case "POST", "/things":
                    self.seen[key] += 1
                    if "fail=once" in path and self.seen[key] == 1:
                        return 503, {}, ""
                    self.there[key] = str(body["reference"])
                    return 201, {"id": key}, ""
                case "POST", _:
                    return 201, {}, ""
                case "GET", "/things":
                    reference = path.partition("reference=")[2]
                    return 200, {"things": [{"id": key} for key, its in self.there.items() if its == reference]}, ""
                case "GET", named if named.startswith("/things/"):
                    return (200 if _id(named) in self.there else 404), {}, ""
                case "DELETE", named:
                    return (204 if self.there.pop(_id(named), None) else 404), None, ""
            return 200, {}, ""


def _id(path: str) -> str:
    return path.rpartition("/")[2].replace("%23", "#")


@contextmanager
def serving(target: Target) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def take(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            status, body, location = target.answer(self.command, self.path, headers, json.loads(content or b"{}"))
            said = b"" if body is None else json.dumps(body).encode()
            try:
                self.send_response(status)
                if location:
                    self.send_header("location", location)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                self.close_connection = True  # the client was killed

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = take

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
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


def test_every_request_is_marked_whatever_it_is_sent_for(tmp_path: Path) -> None:
    _see_marked(tmp_path, requests=300, copies=1)


@pytest.mark.torture
def test_ten_thousand_requests_are_marked(tmp_path: Path) -> None:
    _see_marked(tmp_path, requests=10_000, copies=5)


def _see_marked(folder: Path, requests: int, copies: int) -> None:
    target = Target()
    (folder / "probes").mkdir()
    (folder / "login.yaml").write_text(LOGIN)
    for name, steps in STEPS.items():
        for n in range(copies):
            head = f"journey: {name}-{n}\nevery: 1s\ndeadline: 20s\nsystem: shop\nsteps:\n"
            (folder / "probes" / f"{name}-{n}.yaml").write_text(head + steps)
    with serving(target) as url, DaemonProcess(folder) as daemon:
        (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))
        for kill_at in (requests // 3, requests * 2 // 3):
            daemon.start()
            wait_for(partial(_asked, target, kill_at), 600)
            daemon.kill()
        daemon.start()
        wait_for(lambda: len(target.heard) >= requests, 600)
        for name in STEPS:
            for n in range(copies):
                daemon.post(f"/api/v1/journeys/{name}-{n}/pause")
        wait_for(lambda: not target.there, 120, lambda: f"{target.there} {daemon.get('/api/v1/debts')}")
        assert daemon.stop() == 0

    unmarked = {f"{method} {path}": why for method, path, headers in target.heard if (why := _lacks(method, headers))}
    assert unmarked == {}
    assert len(target.heard) >= requests
    asked = {(method, path.partition("?")[0].rstrip("0123456789abcdef-#%:")) for method, path, _ in target.heard}
    assert {("POST", "/login"), ("GET", "/ok"), ("POST", "/kept"), ("POST", "/things")} <= asked
    assert any(method == "DELETE" for method, _, _ in target.heard)
    spans = Counter(headers["traceparent"] for _, _, headers in target.heard)
    assert max(spans.values()) <= 3  # after a crash a clean-up may count its requests anew


def _asked(target: Target, times: int) -> bool:
    """So often at least, and it holds something that is to be taken back."""
    return len(target.heard) >= times and bool(target.there)


def _lacks(method: str, headers: dict[str, str]) -> str:
    """What a request does not tell, or tells otherwise."""
    run = headers.get("x-correlation-id", "")
    rules = {
        "x-correlation-id": r"[0-9a-f]{32}",
        "traceparent": rf"00-{run}-[0-9a-f]{{16}}-01",
        "tracestate": rf"synthmon={run}(,v=1)?",
        "baggage": rf"(a=b,)?synthetic_request=true,synthmon\.run={run},synthmon\.journey=[a-z-]+\d(,.*)?",
        "user-agent": rf"(mine )?synthmon/{re.escape(__version__)} \(synthetic; [a-z-]+\d\)",
    }
    if method not in READS:
        rules["idempotency-key"] = r"\S{16,}"
    faults = (
        f"{name}: {headers.get(name)}" for name, rule in rules.items() if not re.fullmatch(rule, headers.get(name, ""))
    )
    return ", ".join(faults)
