"""Whom TLS believes: the system's certificates or the settings', never what an environment variable says."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certifi

from synthmon.core.door import Authorities
from synthmon.core.system import Tls


class TrustError(Exception):
    """A certificate or key of the settings cannot be used; the message names it."""


def context_of(tls: Tls) -> ssl.SSLContext:
    """A client context: TLS 1.2 or newer, certificates checked, host names by subjectAltName only (RFC 9525).

    Without `ca` it trusts the bundle of the operating system, else certifi's; `SSL_CERT_FILE`, `SSL_CERT_DIR` and
    `SSLKEYLOGFILE` are not looked at. Revocation is not checked. Costs up to 50 ms: build one per `Tls` and share it.
    Raises `TrustError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    try:
        if tls.ca:
            context.load_verify_locations(cadata=_content(tls.ca).decode("ascii"))
        else:
            context.load_verify_locations(cafile=system_bundle())
    except (OSError, ValueError) as error:
        raise TrustError(f"`tls.ca: {tls.ca or system_bundle()}` cannot be used: {error}") from error
    if tls.cert:
        try:
            with _as_file(tls.cert) as cert, _as_file(tls.key or tls.cert) as key:
                context.load_cert_chain(cert, key, password=_no_password)
        except (OSError, ValueError) as error:
            raise TrustError(f"`tls.cert: {tls.cert}` with its key cannot be used: {error}") from error
    return context


def authorities_of(tls: Tls) -> Authorities:
    """The same as PEM, for a client with a TLS of its own. Raises `TrustError`."""
    try:
        roots = _content(tls.ca) if tls.ca else Path(system_bundle()).read_bytes()
        if not tls.cert:
            return Authorities(roots)
        return Authorities(roots, _content(tls.cert), _content(tls.key or tls.cert))
    except (OSError, ValueError) as error:
        raise TrustError(f"what `tls` names cannot be used: {error}") from error


def system_bundle() -> str:
    """The first bundle that exists: where OpenSSL was compiled to look, where distributions keep it, certifi's."""
    compiled_in = ssl.get_default_verify_paths().openssl_cafile
    return next((path for path in (compiled_in, *_BUNDLES) if Path(path).is_file()), certifi.where())


def _content(reference: str) -> bytes:
    word, _, rest = reference.partition(":")
    match word:
        case "env":
            if rest not in os.environ:
                raise ValueError(f"the environment has no {rest}")
            return os.environ[rest].encode()
        case "file":
            return Path(rest).read_bytes()
    return Path(reference).read_bytes()


@contextmanager
def _as_file(reference: str) -> Iterator[str]:
    """OpenSSL wants a file: a key from elsewhere stays in memory and never touches a disk."""
    if not reference.startswith("env:"):
        yield reference.removeprefix("file:")
        return
    handle = os.memfd_create("synthmon-tls")
    try:
        os.write(handle, _content(reference))
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one without a passphrase")  # else OpenSSL would ask the terminal


_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
