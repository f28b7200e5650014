"""Certificates for the few centimetres between the browser and our proxy, so that the proxy sees what it lets through.

The key is made when the process begins and never leaves it. The browser is told to believe this one key (its pin), and
believes nothing else that does not verify; what stands behind the proxy is verified there, as for every other request.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

MOST_HOSTS = 256
LASTS = timedelta(days=365)  # browsers believe none that lasts longer than 398 days
SLACK = timedelta(days=1)  # clocks are set


class Authority:
    """One key, and a certificate for every host that is asked for. Making it takes some 10 ms."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key: EllipticCurvePrivateKey = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.pin = base64.b64encode(hashlib.sha256(der).digest()).decode()
        self.context_of = lru_cache(MOST_HOSTS)(self._context_of)

    def _context_of(self, host: str) -> ssl.SSLContext:
        """How we show ourselves to the browser in place of a host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        handle = os.memfd_create("synthmon-tls")  # OpenSSL wants a file; the key never touches a disk
        try:
            os.write(handle, self._pem(host))
            context.load_cert_chain(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
        return context

    def _pem(self, host: str) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import NameOID

        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "synthmon")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - SLACK)
            .not_valid_after(now + LASTS)
            .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(host: str):  # type: ignore[no-untyped-def]  # the library is not there without its extra
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
