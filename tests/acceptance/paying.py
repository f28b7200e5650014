"""A shop in a thread: it takes payments, and calls back when they are captured."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import free_port

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Paying:
    """What it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def capture(self, payment: dict[str, Any]) -> None:
        """Tell whoever asked."""
        body = json.dumps({"status": "captured", "reference": payment["reference"]}).encode()
        request = urllib.request.Request(payment["callback"], body, {"content-type": "application/json"})
        with suppress(OSError):  # nobody may listen
            _DIRECT.open(request, timeout=30).close()


@contextmanager
def serving_payments(payments: Paying) -> Iterator[tuple[str, str]]:
    """Its base URL, and `host:port` where a daemon may listen for its calls."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            payment = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
            payments.asked.append(payment)
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()
            self.wfile.flush()
            threading.Thread(target=payments.capture, args=(payment,), daemon=True).start()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    hooks = f"127.0.0.1:{free_port()}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", hooks
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
