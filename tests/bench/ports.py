"""A port that nobody has just now."""

from __future__ import annotations

import socket


def free_port() -> int:
    """On loopback; somebody may take it before you do."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
