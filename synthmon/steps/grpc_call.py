"""One gRPC call over a channel of its own: at the addresses that were found, timed, and whose fault its failure is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from synthmon.core.door import Door, Envelope, Found, Trouble
from synthmon.core.foreign import disarm
from synthmon.core.outcomes import Reason
from synthmon.core.timing import Timing
from synthmon.steps.grpc_methods import Method, NoMethod, first, from_file, from_server

if TYPE_CHECKING:
    from grpc.aio import AioRpcError

MOST_BYTES = 4 * 1024 * 1024  # of one message


@dataclass(frozen=True, slots=True)
class GrpcRequest:
    """A call with all values filled in; secrets are sealed."""

    service: str
    method: str
    value: Any = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    descriptor: bytes = field(default=b"", repr=False)
    first: int = 1


@dataclass(frozen=True, slots=True)
class GrpcAnswer:
    """What came back, whatever its status."""

    status: str
    details: str
    messages: tuple[Any, ...]
    trailers: Mapping[str, str]
    timing: Timing

    @property
    def said(self) -> Mapping[str, Any]:
        """What it told (`core.proof.contents.Telling`)."""
        return {"body": self.messages[0]} if len(self.messages) == 1 else {"messages": [*self.messages]}

    def saying(self, said: Mapping[str, Any]) -> GrpcAnswer:
        """The same call, other messages."""
        return replace(self, messages=tuple(said.get("messages", (said["body"],) if "body" in said else ())))

    def broken(self) -> GrpcAnswer:
        """What a server says when something in it went wrong."""
        return replace(self, status="INTERNAL", details="injected by synthmon prove", messages=())


class Call:
    """One call, timed from its beginning."""

    def __init__(self, door: Door, envelope: Envelope) -> None:
        self._door, self._envelope = door, envelope
        self._began_ns = time.monotonic_ns()
        self._sent_ns = 0
        self._at = ""

    @property
    def sent(self) -> bool:
        """Whether it may have left."""
        return bool(self._sent_ns)

    def left_s(self) -> float:
        """Of the limit."""
        return max(0.01, self._envelope.timeout_s - (time.monotonic_ns() - self._began_ns) / 1e9)

    async def made(
        self, request: GrpcRequest, value: Any, metadata: list[tuple[str, str]], found: Found
    ) -> GrpcAnswer | Trouble:
        """Connect, learn what it takes, call it."""
        from grpc import ChannelConnectivity, StatusCode
        from grpc.aio import AioRpcError

        self._at = f"{found.host}:{found.port}"
        named = {name for name, _ in metadata}
        marks = [(name, text) for name, text in self._door.marks(self._envelope) if name not in named]
        metadata += [(name, text) for name, text in marks if name != "user-agent"]
        channel = _channel(found, next((text for name, text in marks if name == "user-agent"), ""))
        try:
            if request.descriptor:
                method = from_file(request.descriptor, request.service, request.method)
            else:
                method = await from_server(channel, request.service, request.method, metadata)
            content = method.request(value)
            self._sent_ns = time.monotonic_ns()
            return await self._answered(channel, method, content, metadata, request.first)
        except NoMethod as error:
            said = self._door.redact(f"{request.service}/{request.method} cannot be called at {self._at}: {error}")
            return Trouble(Reason.BAD_ANSWER, said, self.sent, self.timing())
        except ValueError as error:
            said = self._door.redact(f"the JSON does not fit {request.service}/{request.method}: {error}")
            ours = not self.sent
            return Trouble(Reason.EXPRESSION if ours else Reason.BAD_ANSWER, said, self.sent, self.timing())
        except AioRpcError as error:
            if error.code() is StatusCode.DEADLINE_EXCEEDED and self.left_s() <= 0.05:
                raise TimeoutError from error
            if error.code() is StatusCode.UNAVAILABLE and channel.get_state() is not ChannelConnectivity.READY:
                return self._unreached(error)
            return self._status(error)
        finally:
            await channel.close()

    async def _answered(
        self, channel: Any, method: Method, content: bytes, metadata: list[tuple[str, str]], most: int
    ) -> GrpcAnswer:
        """Raises `AioRpcError` for a status other than OK, `ValueError` for what cannot be read."""
        limit_s = self.left_s()
        if method.streams:
            call = channel.unary_stream(method.path)(content, metadata=metadata, timeout=limit_s)
            came = await first(call, most)
            if len(came) == most:
                call.cancel()
                return self._answer("OK", "", tuple(map(method.answer, came)), ())
        else:
            call = channel.unary_unary(method.path)(content, metadata=metadata, timeout=limit_s)
            came = [await call]
        trailers = await call.trailing_metadata()
        return self._answer("OK", await call.details(), tuple(map(method.answer, came)), trailers)

    def _status(self, error: AioRpcError) -> GrpcAnswer:
        return self._answer(error.code().name, error.details(), (), error.trailing_metadata())

    def _answer(self, status: str, details: str | None, messages: tuple[Any, ...], trailers: Any) -> GrpcAnswer:
        texts = {name: disarm(text) for name, text in trailers or () if isinstance(text, str)}
        return GrpcAnswer(status, disarm(details or ""), messages, texts, self.timing())

    def _unreached(self, error: AioRpcError) -> Trouble:
        """The library's own words, which are all there is to tell by."""
        said = error.details() or ""
        reason = next((reason for word, reason in _SAID if word.search(said)), Reason.RESET)
        detail = self._door.redact(f"{self._at} cannot be called: {said}")
        return Trouble(reason, detail, self.sent and reason is Reason.RESET, self.timing())

    def timing(self) -> Timing:
        """Until now."""
        now_ns = time.monotonic_ns()
        sent_ns = self._sent_ns or now_ns
        return Timing(
            wait_ms=(now_ns - sent_ns) / 1e6,
            total_ms=(now_ns - self._began_ns) / 1e6,
            sent_at_s=self._sent_ns / 1e9 if self._sent_ns else None,
            first_byte_at_s=now_ns / 1e9,
        )


def _channel(found: Found, agent: str) -> Any:
    """A channel that dials the found addresses and nothing else, whatever the environment or the server says."""
    from grpc import aio, ssl_channel_credentials

    family = "ipv6" if ":" in found.addresses[0] else "ipv4"
    hosts = [host for host in found.addresses if (":" in host) == (family == "ipv6")]
    ends = ",".join(f"[{host}]:{found.port}" if family == "ipv6" else f"{host}:{found.port}" for host in hosts)
    options: list[tuple[str, Any]] = [
        ("grpc.default_authority", f"{found.host}:{found.port}"),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", agent),
        ("grpc.max_receive_message_length", MOST_BYTES),
    ]
    if found.authorities is None:
        return aio.insecure_channel(f"{family}:{ends}", options=options)
    own = found.authorities
    credentials = ssl_channel_credentials(own.roots, own.key or None, own.chain or None)
    options.append(("grpc.ssl_target_name_override", found.host))
    return aio.secure_channel(f"{family}:{ends}", credentials, options=options)


_SAID = (
    (re.compile("refused"), Reason.REFUSED),
    (re.compile("(?i)certificate|handshake|ssl|tls"), Reason.TLS),
    (re.compile("unreachable|No route"), Reason.UNREACHABLE),
)
