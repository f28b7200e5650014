"""The web config file of the Prometheus exporters, read from a mapping: TLS, users and extra headers.

Format: https://prometheus.io/docs/prometheus/latest/configuration/https/ (exporter-toolkit). What we cannot do is
refused, not ignored; `http2` is accepted, and we speak HTTP/1.1.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthmon.core.errors import Invalid, Place, Problem

_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|1\d|2\d|3[01])\$[./A-Za-z0-9]{53}")
_COSTLIEST = 15  # two seconds of a core for every guess; each one more doubles it
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_OPTIONAL,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAnyClientCert": None,  # Python cannot ask for a certificate without verifying it
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_HEADERS = (
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy",
)
_KEYS = {
    "": ("tls_server_config", "http_server_config", "basic_auth_users"),
    "tls_server_config": ("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version", "max_version"),
    "http_server_config": ("http2", "headers"),
}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What TLS needs; paths are absolute or relative to the web config file."""

    cert: Path
    key: Path
    client_ca: Path | None = None
    client_cert: ssl.VerifyMode = ssl.CERT_NONE
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises `OSError` (also `ssl.SSLError`) when they cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.renew(context)
        return context

    def renew(self, context: ssl.SSLContext) -> None:
        """Read them into a context that is in use: it counts from the next connection on. Raises as `context`."""
        context.minimum_version, context.maximum_version = self.lowest, self.highest
        context.load_cert_chain(self.cert, self.key)
        if self.client_ca:
            context.load_verify_locations(self.client_ca)
        context.verify_mode = self.client_cert

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that it reads."""
        return (self.cert, self.key, *((self.client_ca,) if self.client_ca else ()))


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says; users are name → bcrypt hash."""

    tls: TlsFiles | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def read(tree: Any, file: str) -> WebConfig:
    """Check a parsed web config file. Raises `Invalid` with everything that is wrong with it."""
    tree = {} if tree is None else tree  # an empty file
    problems = list(_faults(tree, file))
    if problems:
        raise Invalid(problems)
    tls = tree.get("tls_server_config") or {}
    return WebConfig(
        _tls_files(tls, Path(file).parent) if tls else None,
        dict(tree.get("basic_auth_users") or {}),
        dict((tree.get("http_server_config") or {}).get("headers") or {}),
    )


def _tls_files(tls: Mapping[str, str], folder: Path) -> TlsFiles:
    return TlsFiles(
        folder / tls["cert_file"],
        folder / tls["key_file"],
        folder / tls["client_ca_file"] if tls.get("client_ca_file") else None,
        _CLIENT_AUTH[tls.get("client_auth_type") or "NoClientCert"] or ssl.CERT_NONE,
        _VERSIONS[tls.get("min_version") or "TLS12"],
        _VERSIONS.get(tls.get("max_version") or "", ssl.TLSVersion.MAXIMUM_SUPPORTED),
    )


def _faults(tree: Any, file: str) -> Iterator[Problem]:
    def problem(path: str, fault: str, remedy: str) -> Problem:
        return Problem(Place(file, path=path), "web-config", fault, remedy)

    if not isinstance(tree, Mapping):
        yield problem("", "is not a map.", f"Write {', '.join(_KEYS[''])}.")
        return
    for path, allowed in _KEYS.items():
        part = (tree.get(path) if path else tree) or {}
        if not isinstance(part, Mapping):
            yield problem(path, "is not a map.", f"Write {', '.join(allowed)}.")
            return
        for key in part:
            if key not in allowed:
                yield problem(f"{path}.{key}".strip("."), "cannot be done here.", f"Known: {', '.join(allowed)}.")
    tls = tree.get("tls_server_config") or {}
    if tls:
        for key in ("cert_file", "key_file"):
            if not isinstance(tls.get(key), str):
                yield problem(f"tls_server_config.{key}", "is missing.", "Name a PEM file.")
        if (given := tls.get("client_auth_type") or "NoClientCert") not in _CLIENT_AUTH or not isinstance(
            _CLIENT_AUTH[given], ssl.VerifyMode
        ):
            known = ", ".join(name for name, mode in _CLIENT_AUTH.items() if mode is not None)
            yield problem("tls_server_config.client_auth_type", f"{given} is not possible.", f"Use one of {known}.")
        elif given != "NoClientCert" and not tls.get("client_ca_file"):
            yield problem("tls_server_config.client_ca_file", "is missing.", "Name the CA of the client certificates.")
        for key in ("min_version", "max_version"):
            if tls.get(key) and tls[key] not in _VERSIONS:
                yield problem(f"tls_server_config.{key}", f"{tls[key]} is not offered.", "Use TLS12 or TLS13.")
    users = tree.get("basic_auth_users") or {}
    if not isinstance(users, Mapping):
        yield problem("basic_auth_users", "is not a map.", "Write user: bcrypt hash.")
        return
    for name, hashed in users.items():
        if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
            yield problem(f"basic_auth_users.{name}", "is no bcrypt hash.", "Make one with `htpasswd -nBC 10 USER`.")
        elif int(hashed[4:6]) > _COSTLIEST:
            fault = f"costs too much ({hashed[4:6]}): whoever guesses would hold a core for long."
            yield problem(f"basic_auth_users.{name}", fault, "Make one with `htpasswd -nBC 10 USER`.")
    headers = (tree.get("http_server_config") or {}).get("headers") or {}
    for name, text in headers.items() if isinstance(headers, Mapping) else ():
        if name not in _HEADERS:
            yield problem(f"http_server_config.headers.{name}", "is not allowed.", f"Known: {', '.join(_HEADERS)}.")
        elif not isinstance(text, str) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]", text):
            yield problem(f"http_server_config.headers.{name}", "is no header value.", "Write one line of text.")
