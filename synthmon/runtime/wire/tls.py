"""TLS between a connection and its socket: bytes in, bytes out, no waiting."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from functools import lru_cache

RECORD_BYTES = 65_536


class Tls:
    """One client side of TLS over memory. What must be sent next is always in `pending()`.

    The context decides on verification; the host is checked against the certificate and sent as SNI.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host.rstrip("."))
        self.secured = False
        self.ended = False  # the other side said with a closure alert that nothing follows
        self.error: ssl.SSLError | None = None  # `ssl.SSLEOFError`: the socket ended without such an alert

    def receive(self, data: bytes) -> None:
        """Take bytes from the socket; b"" is its end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done. Raises `ssl.SSLError`, whose alert is then pending."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.secured = True
        return True

    def encrypt(self, data: memoryview) -> None:
        """Make records of the data."""
        self._object.write(data)

    def decrypt(self) -> bytes:
        """All plain bytes that have come. What ended the stream is then in `ended` or `error`."""
        parts: list[bytes] = []
        try:
            while part := self._object.read(RECORD_BYTES):
                parts.append(part)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def pending(self) -> bytes:
        """What the socket must send next."""
        return self._outgoing.read()

    def farewell(self) -> bytes:
        """A closure alert (RFC 8446 §6.1) and whatever else is pending."""
        with suppress(ssl.SSLError):  # it does not wait for the answer
            self._object.unwrap()
        return self.pending()

    def refused_protocol(self) -> str | None:
        """The protocol that was agreed on, when it is another than HTTP/1.1."""
        chosen = self._object.selected_alpn_protocol()
        return None if chosen in (None, "http/1.1") else chosen

    def expires_at_s(self) -> float | None:
        """When the server's certificate expires, as `time.time()`; None when the context did not verify it."""
        certificate = self._object.getpeercert()
        not_after = certificate.get("notAfter") if certificate else None
        return _parse_instant(not_after) if isinstance(not_after, str) else None


def expires_in_s(expires_at_s: float | None) -> float | None:
    """How long a certificate is still good for."""
    return None if expires_at_s is None else expires_at_s - time.time()


@lru_cache(maxsize=256)
def _parse_instant(not_after: str) -> float:
    return float(ssl.cert_time_to_seconds(not_after))
