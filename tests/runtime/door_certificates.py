"""Certificates, good and bad, of an authority that exists for one test session."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Authority:
    """`ca_file` is what a system's `tls.ca` names."""

    ca: trustme.CA
    ca_file: str
    folder: Path

    def serving(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """A server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, not_after=not_after).configure_cert(context)
        return context

    def demanding(self, *names: str) -> ssl.SSLContext:
        """A server that wants to see a certificate of its clients, by TLS 1.2, where it says so in the handshake."""
        context = self.serving(*names)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.ca.configure_trust(context)
        return context

    def client_pems(self) -> tuple[str, str]:
        """A client's certificate and key."""
        issued = self.ca.issue_cert("probe@shop.test")
        return "".join(
            blob.bytes().decode() for blob in issued.cert_chain_pems
        ), issued.private_key_pem.bytes().decode()

    def client_files(self) -> tuple[str, str]:
        """The paths of such a pair."""
        paths = self.folder / "client.pem", self.folder / "client.key"
        for path, pem in zip(paths, self.client_pems(), strict=True):
            path.write_text(pem)
        return str(paths[0]), str(paths[1])

    def serving_common_name_only(self, name: str) -> ssl.SSLContext:
        """A server whose certificate names the host in its common name alone, as before RFC 2818."""
        authority = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(authority, ec.EllipticCurvePrivateKey)
        root = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(authority, hashes.SHA256())
        )
        both = self.folder / "common-name.pem"
        both.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context


def make_authority(folder: Path) -> Authority:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    ca_file = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    return Authority(ca, str(ca_file), folder)
