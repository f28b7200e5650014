"""Every certificate and version that a target may show: what is wrong with it, or that nothing is.

Made fresh for a test session; SHA-1 and MD5 by the `openssl` command, since the library signs with them no more.
"""

from __future__ import annotations

import ssl
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

HOST = "shop.test"
DAYS = 9


@dataclass(frozen=True)
class Signer:
    """A certificate with its key, and those that lead to it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Its key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Wish:
    """A certificate as a row wants it; what is not said is good."""

    dns: Sequence[str] = (HOST,)
    ips: Sequence[str] = ()
    common_name: str = "a shop"
    begins: timedelta = timedelta(days=-1)
    ends: timedelta = timedelta(days=DAYS)
    key: Callable[[], Key] = lambda: ec.generate_private_key(ec.SECP256R1())
    is_ca: bool = False
    usage: Mapping[str, bool] = field(default_factory=lambda: {"digital_signature": True})
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH
    constraints: x509.NameConstraints | None = None


def issue(wish: Wish, by: Signer | None, chained: bool = True) -> Signer:
    """Make one; without `by` it signs itself. `chained`: a server shows what leads to it."""
    key, now = wish.key(), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wish.common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + wish.begins)
        .not_valid_after(now + wish.ends)
        .add_extension(x509.BasicConstraints(wish.is_ca, None), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, **wish.usage}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if by:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    names = [*map(x509.DNSName, wish.dns), *(x509.IPAddress(IPv4Address(ip)) for ip in wish.ips)]
    if names and not wish.is_ca:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([wish.purpose]), critical=False)
    if wish.constraints:
        builder = builder.add_extension(wish.constraints, critical=True)
    signing = by.key if by else key
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    leads = (by.certificate, *by.chain) if by and by.chain and chained else ()
    return Signer(builder.sign(signing, algorithm), key, leads)


def authority(name: str, by: Signer | None = None, constraints: x509.NameConstraints | None = None) -> Signer:
    """A certificate that may sign others; its chain tells it from a root."""
    usage = {"key_cert_sign": True, "crl_sign": True}
    made = issue(Wish((), common_name=name, key=_rsa(2048), is_ca=True, usage=usage, constraints=constraints), by)
    return Signer(made.certificate, made.key, (by.certificate,) if by else ())


@dataclass(frozen=True)
class World:
    """One trusted root, and a folder for what OpenSSL wants as a file."""

    root: Signer
    folder: Path

    @property
    def ca_file(self) -> str:
        """What a system's `tls.ca` names."""
        file = self.folder / "root.pem"
        file.write_bytes(self.root.pem)
        return str(file)

    def serving(
        self,
        shown: Signer,
        lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> ssl.SSLContext:
        """A server that shows this and is not particular about strength."""
        file = self.folder / f"{shown.certificate.serial_number}.pem"
        chain = b"".join(one.public_bytes(Encoding.PEM) for one in shown.chain)
        file.write_bytes(shown.key_pem + shown.pem + chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are meant
            context.minimum_version, context.maximum_version = lowest, highest
        return context

    def signed_with(self, digest: str) -> Signer:
        """A certificate signed by the root with a digest of old."""
        key = rsa.generate_private_key(65537, 2048)
        leaf = issue(Wish(key=lambda: key), None)
        files = {"leaf.key": leaf.key_pem, "root.pem": self.root.pem, "root.key": self.root.key_pem}
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        (self.folder / "san.txt").write_text(f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n")
        for command in (
            "openssl req -new -key leaf.key -subj /CN=old -out leaf.csr",
            f"openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -days {DAYS} -{digest} -extfile san.txt "
            f"-set_serial {x509.random_serial_number()} -out {digest}.pem",
        ):
            subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True)
        return Signer(x509.load_pem_x509_certificate((self.folder / f"{digest}.pem").read_bytes()), key)


@dataclass(frozen=True)
class Row:
    """What a server shows; `said` is in the words of a refusal."""

    server: Callable[[World], ssl.SSLContext]
    said: str = ""
    host: str = HOST


def _leaf(**wish: object) -> Callable[[World], ssl.SSLContext]:
    return lambda world: world.serving(issue(Wish(**wish), world.root))  # type: ignore[arg-type]


def _version(version: ssl.TLSVersion) -> Callable[[World], ssl.SSLContext]:
    return lambda world: world.serving(issue(Wish(), world.root), version, version)


def _by_constrained(constraints: x509.NameConstraints) -> Callable[[World], ssl.SSLContext]:
    return lambda world: world.serving(issue(Wish(), authority("a constrained authority", world.root, constraints)))


def _rsa(bits: int) -> Callable[[], Key]:
    return lambda: rsa.generate_private_key(65537, bits)


_ELSEWHERE = x509.NameConstraints([x509.DNSName("example.org")], None)
_NOT_HERE = x509.NameConstraints(None, [x509.DNSName("test")])

BAD: Mapping[str, Row] = {
    "expired": Row(_leaf(begins=timedelta(days=-9), ends=timedelta(days=-1)), "expired"),
    "not yet valid": Row(_leaf(begins=timedelta(days=1)), "not yet valid"),
    "of another host": Row(_leaf(dns=("pay.test",)), "not valid for 'shop.test'"),
    "signed by itself": Row(lambda world: world.serving(issue(Wish(), None)), "self-signed certificate"),
    "of an unknown authority": Row(
        lambda world: world.serving(issue(Wish(), authority("a stranger"))), "unable to get local issuer certificate"
    ),
    "with the host in its common name only": Row(_leaf(dns=(), common_name=HOST), HOST),
    "with an RSA key of 1024 bits": Row(_leaf(key=_rsa(1024)), "key too"),
    "signed with SHA-1": Row(lambda world: world.serving(world.signed_with("sha1")), "digest algorithm too weak"),
    "signed with MD5": Row(lambda world: world.serving(world.signed_with("md5")), "digest algorithm too weak"),
    "by TLS 1.0": Row(_version(ssl.TLSVersion.TLSv1), "no TLS version from 1.2 on"),
    "by TLS 1.1": Row(_version(ssl.TLSVersion.TLSv1_1), "no TLS version from 1.2 on"),
    "without the authority between": Row(
        lambda world: world.serving(issue(Wish(), authority("between", world.root), chained=False)),
        "unable to get local issuer certificate",
    ),
    "meant for clients": Row(_leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH), "unsuitable certificate purpose"),
    "meant for signing certificates": Row(_leaf(usage={"crl_sign": True}), "unsuitable certificate purpose"),
    "of an authority for other names": Row(_by_constrained(_ELSEWHERE), "permitted subtree violation"),
    "of an authority not for this name": Row(_by_constrained(_NOT_HERE), "excluded subtree violation"),
    "of somebody who is no authority": Row(
        lambda world: world.serving(issue(Wish(), _as_if_authority(world))), "invalid CA certificate"
    ),
    "with a wildcard for a whole domain": Row(_leaf(dns=("*.test",)), "not valid for 'shop.test'"),
    "with a wildcard inside a label": Row(_leaf(dns=("sh*p.test",)), "not valid for 'shop.test'"),
    "with a wildcard for everything": Row(_leaf(dns=("*",)), "not valid for 'shop.test'"),
    "with a wildcard for two labels": Row(
        _leaf(dns=("*.shop.test",)), "not valid for 'a.b.shop.test'", "a.b.shop.test"
    ),
    "of another IP address": Row(_leaf(dns=(), ips=("127.0.0.2",)), "127.0.0.1", "127.0.0.1"),
    "with the IP address as a name": Row(_leaf(dns=("127.0.0.1",)), "127.0.0.1", "127.0.0.1"),
}

GOOD: Mapping[str, Row] = {
    "RSA of 2048 bits": Row(_leaf(key=_rsa(2048))),
    "ECDSA": Row(_leaf()),
    "Ed25519": Row(_leaf(key=ed25519.Ed25519PrivateKey.generate)),
    "TLS 1.2": Row(_version(ssl.TLSVersion.TLSv1_2)),
    "TLS 1.3": Row(_version(ssl.TLSVersion.TLSv1_3)),
    "a wildcard for one label": Row(_leaf(dns=("*.shop.test",)), host="www.shop.test"),
    "an IP address": Row(_leaf(dns=(), ips=("127.0.0.1",)), host="127.0.0.1"),
    "an authority between": Row(lambda world: world.serving(issue(Wish(), authority("between", world.root)))),
}


def _as_if_authority(world: World) -> Signer:
    """An honest leaf of the root that signs another."""
    leaf = issue(Wish(usage={"digital_signature": True, "key_cert_sign": False}), world.root)
    return Signer(leaf.certificate, leaf.key, (world.root.certificate,))


_NO_USAGE = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)
