"""A server that speaks as much of HashiCorp Vault's HTTP API as a reader of secrets needs. It is not Vault."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class VaultServer:
    """Tokens that are good, logins that give one, secrets by path, and what was asked."""

    def __init__(self) -> None:
        self.tokens = {"root-token"}
        self.kept: dict[str, Any] = {}  # path → the whole answer
        self.logins: dict[str, Any] = {}  # path of a login → the body that it takes
        self.lease_s = 3600
        self.namespace = ""
        self.sealed = False
        self.asked: list[tuple[str, str]] = []
        self.made = 0
        self.url = ""

    def put(self, path: str, fields: dict[str, Any], version: int = 2) -> None:
        """Keep a secret as version 1 or 2 of the key-value store does."""
        data = {"data": fields, "metadata": {"version": 1}} if version == 2 else fields
        self.kept[path] = {"lease_id": "", "lease_duration": 0, "renewable": False, "data": data}

    def answer(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        """What Vault answers (https://developer.hashicorp.com/vault/api-docs)."""
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if headers.get("x-vault-request") != "true" or headers.get("x-vault-namespace", "") != self.namespace:
            return 404, {"errors": ["no handler for route"]}
        if method == "POST" and path in self.logins:
            if body != self.logins[path]:
                return 400, {"errors": [f"invalid role or secret ID: {body}"]}
            self.made += 1
            self.tokens.add(f"made-token-{self.made}")
            return 200, {"auth": {"client_token": f"made-token-{self.made}", "lease_duration": self.lease_s}}
        if headers.get("x-vault-token") not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        return (200, self.kept[path]) if path in self.kept else (404, {"errors": []})


@contextmanager
def serving_vault() -> Iterator[VaultServer]:
    """Serve on a free port of loopback."""
    vault = VaultServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.take(None)

        def do_POST(self) -> None:
            self.take(json.loads(self.rfile.read(int(self.headers.get("content-length", 0)))))

        def take(self, body: Any) -> None:
            path = self.path.removeprefix("/v1/")
            vault.asked.append((self.command, path))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told = vault.answer(self.command, path, headers, body)
            content = json.dumps(told).encode()
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
    vault.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield vault
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
