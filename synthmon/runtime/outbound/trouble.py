"""Why no answer came, and whose fault that was: told from the system's own word and the phase reached."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx

from synthmon.core.door import Trouble
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import SecretError
from synthmon.runtime.outbound.body import Undecodable
from synthmon.runtime.outbound.gate import NotAsked, Withdrawn
from synthmon.runtime.outbound.guard import Refused
from synthmon.runtime.outbound.limits import Saturated
from synthmon.runtime.outbound.redirects import Astray
from synthmon.runtime.outbound.routes import forbidden_here
from synthmon.runtime.outbound.stamps import Stamps, TooLarge

OURS_PART = 0.2  # a timeout is ours when our own loop or queue took at least this part of it


class Unfit(Exception):
    """A rendered request that cannot be sent as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What else there is to know about an attempt that failed. `stamps` are None before it reached a transport."""

    where: str  # host:port
    secure: bool
    timeout_s: float
    stamps: Stamps | None = None
    queued_s: float = 0.0
    stalled_s: float = 0.0  # of the target's time
    sent: bool = False
    limits: str = ""  # our own, in words


def classify(error: BaseException, scene: Scene) -> Trouble:
    """The reason, and a sentence for a person at 3 a.m. (its secrets are not yet blotted out)."""
    reason, detail = _judge(error, scene)
    if reason in _BY_STALL and scene.stalled_s >= OURS_PART * scene.timeout_s:
        reason = Reason.LOOP_STALLED
        detail = f"our own event loop stood still for {scene.stalled_s:.3g} s of the target's time; then: {detail}"
    elif reason is Reason.TIMEOUT and scene.queued_s >= OURS_PART * scene.timeout_s:
        reason = Reason.SATURATED
        detail = f"our own limits took {scene.queued_s:.3g} s of the time; then: {detail}"
    return Trouble(reason, detail, scene.sent)


def most_telling(errors: Sequence[Exception]) -> Exception:
    """Of the failures of several addresses the one to report: one that met the target, before one of our own routes."""
    return next((error for error in errors if _number(error) not in _NO_ROUTE), errors[0])


def _judge(error: BaseException, scene: Scene) -> tuple[Reason, str]:
    match error:
        case Refused():
            return Reason.EGRESS_BLOCKED, str(error)
        case SecretError():
            return Reason.MISSING_SECRET, str(error)
        case Saturated() | httpx.PoolTimeout():
            return Reason.SATURATED, str(error)
        case NotAsked():
            return Reason.CIRCUIT_OPEN, str(error)
        case Withdrawn():
            return Reason.INTERRUPTED, str(error)
        case Unfit():
            return Reason.EXPRESSION, str(error)
        case TooLarge():
            return Reason.TOO_LARGE, f"{scene.where} sent more than is read: {error}"
        case Undecodable() | Astray():
            return Reason.BAD_ANSWER, f"{scene.where} answered, but {error}"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return _silence(scene)
    for cause in _chain(error):
        match cause:
            case socket.gaierror():
                return _no_name(cause, scene)
            case ssl.SSLError():
                return Reason.TLS, f"TLS with {_at(scene)} failed: {_tls_words(cause)}"
            case OSError() if cause.errno:
                return _by_number(cause.errno, scene)
    match error:
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol():
            return Reason.BROKEN, f"the request for {scene.where} could not be written: {error}"
        case httpx.TransportError() | ConnectionError():
            return _no_number(error, scene)
    return Reason.BROKEN, f"a defect in synthmon: {type(error).__name__}: {error}"


def _no_name(error: socket.gaierror, scene: Scene) -> tuple[Reason, str]:
    host = scene.where.rpartition(":")[0]
    if error.errno in _NONAME:
        return Reason.NO_SUCH_NAME, f"the resolver says that there is no address for {host}: {error.strerror}"
    return Reason.RESOLVER, f"our resolver gave no answer for {host}: {error.strerror}"


def _by_number(number: int, scene: Scene) -> tuple[Reason, str]:
    said = f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
    at = _at(scene)
    if number in _SHORT:
        return Reason.DESCRIPTORS, f"this host ran out of sockets or memory for them: {said}"
    if number in _FORBIDDEN or (number in _ASK_ROUTES and _forbidden(scene)):
        return Reason.PROHIBITED, f"this host's own rules or routes forbid the way to {at}: {said}"
    if number in _UNREACHABLE:
        return Reason.UNREACHABLE, f"the network on the way says that {at} cannot be reached: {said}"
    if number == errno.ECONNREFUSED:
        return Reason.REFUSED, f"{at} refused the connection: nobody listens there. {said}"
    if number in _BROKEN_OFF:
        return Reason.RESET, f"{at} broke the connection off {_phase(scene)}: {said}"
    if number == errno.ETIMEDOUT:
        return Reason.TIMEOUT, f"{at} did not react {_phase(scene)}: {said}"
    return Reason.BROKEN, f"the way to {at} failed {_phase(scene)} in a way that we do not know: {said}"


def _forbidden(scene: Scene) -> bool:
    return scene.stamps is not None and forbidden_here(scene.stamps.address)


def _silence(scene: Scene) -> tuple[Reason, str]:
    stamps = scene.stamps
    limit = f"within {scene.timeout_s:.3g} s"
    if stamps is None:
        return Reason.SATURATED, f"the request for {scene.where} did not leave {limit}: {scene.limits}"
    if not stamps.resolved_ns and not stamps.reused:
        return Reason.RESOLVER, f"our resolver gave no answer for {scene.where.rpartition(':')[0]} {limit}"
    return Reason.TIMEOUT, f"{_at(scene)} did not finish {limit}; the limit passed {_phase(scene)}"


def _no_number(error: BaseException, scene: Scene) -> tuple[Reason, str]:
    """The other side closed in good order, or spoke something else than HTTP."""
    stamps, at = scene.stamps or Stamps(), _at(scene)
    if not stamps.connected_ns and not stamps.reused:
        return Reason.BROKEN, f"no connection to {at} was made, and nothing says why: {error}"
    if isinstance(error, ConnectionError) and not isinstance(error, httpx.HTTPError):
        return Reason.RESET, f"{at} broke the connection off {_phase(scene)}: {error}"
    if scene.secure and stamps.connected_ns and not stamps.secured_ns:
        return Reason.TLS, f"{at} closed the connection in the TLS handshake"
    if not stamps.first_byte_ns:
        return Reason.NO_ANSWER, f"{at} closed the connection without a byte of an answer"
    return Reason.BAD_ANSWER, f"{at} sent something that is no whole HTTP answer: {error}"


def _phase(scene: Scene) -> str:
    stamps = scene.stamps or Stamps()
    if stamps.first_byte_ns:
        return "in the middle of its answer"
    if stamps.sent_ns:
        return "while its answer was awaited"
    if stamps.connected_ns:
        return "in the TLS handshake" if scene.secure and not stamps.secured_ns else "before the request was sent"
    return "while connecting"


def _at(scene: Scene) -> str:
    address = scene.stamps.address if scene.stamps is not None else ""
    return f"{scene.where} ({address})" if address and address not in scene.where else scene.where


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        said = getattr(error, "verify_message", "") or error  # of a library's own subclass it may be missing
        return f"its certificate is not to be trusted: {said}"
    return _TLS_WORDS.get(error.reason or "", re.sub(r"\s*\(_ssl\.c:\d+\)|^\[[^]]*\]\s*", "", str(error.args[-1])))


def _number(error: BaseException) -> int | None:
    return next((cause.errno for cause in _chain(error) if isinstance(cause, OSError) and cause.errno), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and so on; the causes of a group side by side."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        at = waiting.pop(0)
        if id(at) in seen:
            continue
        seen.add(id(at))
        yield at
        if isinstance(at, BaseExceptionGroup):
            waiting.extend(at.exceptions)
        if (before := at.__cause__ or (None if at.__suppress_context__ else at.__context__)) is not None:
            waiting.append(before)


_BY_STALL = frozenset((Reason.TIMEOUT, Reason.RESET, Reason.NO_ANSWER, Reason.RESOLVER))
_NONAME = frozenset((socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)))
_SHORT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
_ASK_ROUTES = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EINVAL))
_UNREACHABLE = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENONET))
_NO_ROUTE = _FORBIDDEN | _ASK_ROUTES
_BROKEN_OFF = frozenset((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ESHUTDOWN))
_TLS_WORDS = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS there",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it offers no TLS version from 1.2 on",
    "UNSUPPORTED_PROTOCOL": "it offers no TLS version from 1.2 on",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it demands a client certificate; set `tls: {cert: …, key: …}`",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refused the handshake: no common cipher, or it demands a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "it does not know this host name",
    "UNEXPECTED_EOF_WHILE_READING": "it ended the connection in the middle of it",
}
