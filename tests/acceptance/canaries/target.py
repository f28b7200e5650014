"""A target that repeats whatever it is shown, in every form and in every place of an answer."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit


def written(value: str) -> Mapping[str, str]:
    """A value in the encodings in which it is looked for."""
    raw = value.encode()
    return {
        "plain": value,
        "percent": quote(value, safe=""),
        "percent, lower case": re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
        "form": quote_plus(value),
        "base64": base64.b64encode(raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "basic": base64.b64encode(b"me:" + raw).decode(),
        "base64 one byte on": base64.b64encode(b"x" + raw).decode(),
        "base64 two bytes on": base64.b64encode(b"xy" + raw).decode(),
        "JSON": json.dumps(value)[1:-1],
        "HTML": html.escape(value),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
    }


class Echo:
    """`handed` maps a path to what its answer hands out: a token in the body, and a cookie."""

    def __init__(self) -> None:
        self.handed: dict[str, tuple[str, str]] = {}
        self.seen: set[str] = set()  # values that arrived
        self.url = ""

    def answer(self, path: str, headers: Mapping[str, str], body: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        value = headers.get("x-canary", "")
        if value:
            self.seen.add(value)
        forms = list(written(value).values()) if value else []
        told: dict[str, Any] = {"forms": forms, "headers": dict(headers), "body": body, "link": f"/things/{value}"}
        more = [("x-echo", form) for form in forms]
        if urlsplit(path).path in self.handed:
            token, cookie = self.handed[urlsplit(path).path]
            told |= {"access_token": token, "later": written(token)}
            more += [("set-cookie", f"sid={cookie}; HttpOnly"), ("authorization", f"Bearer {token}")]
        if path.startswith("/redirect"):
            return 302, [*more, ("location", f"{self.url}/elsewhere?t={quote(value, safe='')}")], b""
        if path.startswith("/page"):
            rows = "".join(f"<li>{html.escape(form)}</li>" for form in forms)
            return 500, [*more, ("content-type", "text/html")], f"<ul>{rows}</ul>".encode()
        packed = gzip.compress(json.dumps(told).encode())
        kind = [("content-type", "application/json"), ("content-encoding", "gzip")]
        return 201 if path.startswith("/things") else 200, [*more, *kind], packed


@contextmanager
def echoing() -> Iterator[Echo]:
    """Serve on a free port of loopback."""
    echo = Echo()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            if self.command == "DELETE":
                status, headers, content = 500, list[tuple[str, str]](), b"not now"
            else:
                lower = {name.lower(): value for name, value in self.headers.items()}
                status, headers, content = echo.answer(self.path, lower, body)
            self.send_response(status)
            for name, value in [*headers, ("content-length", str(len(content)))]:
                self.send_header(name, value)
            self.end_headers()
            middle = len(content) // 2
            for piece in (content[:middle], content[middle:]):  # a secret may be cut in two
                self.wfile.write(piece)
                self.wfile.flush()

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    echo.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield echo
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
