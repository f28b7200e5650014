"""One MQTT 5 session of our own: a socket to an address that the guard chose, and the broker's word on all it is asked.

The library does the protocol, and our loop moves its bytes. It is neither let look up a name, nor use a proxy that the
environment names, nor connect a second time.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.messages import Message
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S, MISC_S, LEAVE_S = 20, 1.0, 2.0
DIAL_S = 5.0  # for one address
AT_LEAST_ONCE = 1
_NOT_ALLOWED = frozenset((0x86, 0x87, 0x8A, 0x8C))  # a login or a right that we lack (MQTT 5, 2.4)

Lost = Callable[[str], None]
Heard = Callable[[Message], None]


class Session:
    """It ends with its connection, and nothing of it is kept by the broker (clean start, no expiry).

    `lost` is told why when it ends by itself; what fails before it is set is told to who asked for it.
    """

    def __init__(self, wire: socket.socket, client_id: str, heard: Heard) -> None:
        self._loop = asyncio.get_running_loop()
        self._wire, self._heard = wire, heard
        self.lost: Lost | None = None
        self._accepted: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._asked: dict[int, asyncio.Future[ReasonCode]] = {}  # the answers that are awaited, by packet
        self._care: asyncio.Task[None] | None = None
        self._leaving = False
        self._client = _client(wire, client_id)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        loop = self._loop
        self._client.on_socket_open = lambda *_: loop.add_reader(wire, self._read)
        self._client.on_socket_close = lambda *_: _forget(loop.remove_reader, wire)
        self._client.on_socket_register_write = lambda *_: loop.add_writer(wire, self._write)
        self._client.on_socket_unregister_write = lambda *_: _forget(loop.remove_writer, wire)

    async def begin(self, host: str, port: int, user: str, password: str) -> None:
        """Log in. Raises `ConnectionTrouble`."""
        if user:
            self._client.username_pw_set(user, password)
        self._client.connect_async(host, port, keepalive=KEEPALIVE_S, clean_start=True)
        self._client.reconnect()
        self._care = asyncio.create_task(self._keep_alive())
        _check(await self._accepted, f"{host} did not let `{user or 'anonymous'}` in")

    async def publish(self, topic: str, headers: Sequence[tuple[str, str]], content: bytes) -> None:
        """Until the broker has acknowledged it. Raises `ConnectionTrouble`."""
        self._check_alive()
        info = self._client.publish(topic, content, AT_LEAST_ONCE, properties=_properties(headers))
        _check(await self._answer(info.mid), f"nothing was published at {topic}")

    async def subscribe(self, pattern: str) -> None:
        """From now on, and no retained message of before. Raises `ConnectionTrouble`."""
        from paho.mqtt.subscribeoptions import SubscribeOptions

        self._check_alive()
        options = SubscribeOptions(AT_LEAST_ONCE, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        _, mid = self._client.subscribe(pattern, options=options)
        assert mid is not None  # it has a connection
        _check(await self._answer(mid), f"{pattern} could not be subscribed to")

    async def aclose(self) -> None:
        """Take leave, or go without. Never raises."""
        self._leaving = True
        if self._client.socket() is not None:
            with suppress(Exception):  # it is let go of, whatever comes
                self._client.disconnect()
                async with asyncio.timeout(LEAVE_S):
                    await asyncio.shield(self._ended)
        self._end("it was closed")
        if self._care is not None:
            self._care.cancel()
            await asyncio.gather(self._care, return_exceptions=True)

    def _check_alive(self) -> None:
        if self._ended.done():
            raise ConnectionTrouble(Reason.RESET, "the connection to the broker was lost", sent=False)

    async def _answer(self, mid: int) -> ReasonCode:
        answer: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._asked[mid] = answer
        try:
            return await answer
        finally:
            del self._asked[mid]

    async def _keep_alive(self) -> None:
        """Signs of life; one that stays away ends the session."""
        while not self._ended.done():
            await asyncio.sleep(MISC_S)
            self._client.loop_misc()

    def _read(self) -> None:
        try:
            self._client.loop_read()
            while isinstance(self._wire, ssl.SSLSocket) and self._client.socket() is not None and self._wire.pending():
                self._client.loop_read()  # what TLS has read already wakes nobody
        except Exception as error:  # noqa: BLE001  a packet that is none may fail anywhere in the library
            self._end(f"it sent something that is no MQTT 5: {type(error).__name__}")

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001  as above
            self._end(str(error))

    def _end(self, why: str) -> None:
        """It is over; whoever waits for an answer is told."""
        if self._ended.done():
            return
        self._ended.set_result(None)
        if self._wire.fileno() >= 0:
            self._loop.remove_reader(self._wire)
            self._loop.remove_writer(self._wire)
            self._wire.close()
        for answer in (self._accepted, *self._asked.values()):
            if not answer.done():
                answer.set_exception(ConnectionTrouble(Reason.NO_ANSWER, f"the connection to the broker ended: {why}"))
        if self.lost is not None and not self._leaving:
            self.lost(why)
        if self._accepted.done() and not self._accepted.cancelled():
            self._accepted.exception()  # nobody may be there to be told

    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if not self._accepted.done():
            self._accepted.set_result(code)

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._end(str(code) if flags.is_disconnect_packet_from_server else "it broke off without a word")

    def _on_publish(self, client: Client, data: Any, mid: int, code: ReasonCode, properties: Properties) -> None:
        self._tell(mid, code)

    def _on_subscribe(
        self, client: Client, data: Any, mid: int, codes: Sequence[ReasonCode], properties: Properties | None
    ) -> None:
        self._tell(mid, codes[0])

    def _tell(self, mid: int, code: ReasonCode) -> None:
        answer = self._asked.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(code)

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        if not message.retain:  # one that was there before: some brokers send it all the same
            self._heard(_message(message))


async def dial(addresses: Sequence[str], port: int, host: str, context: ssl.SSLContext | None) -> socket.socket:
    """A connected socket to the first address that answers; TLS with the name of the host. Raises what the last one
    did: `OSError` or `ConnectionTrouble`."""
    failed: Exception = ConnectionTrouble(Reason.RESOLVER, f"there is no address for {host}", sent=False)
    for address in addresses:
        try:
            async with asyncio.timeout(DIAL_S):
                return await _dialled(address, port, host, context)
        except TimeoutError:
            failed = ConnectionTrouble(Reason.TIMEOUT, f"{host} ({address}) was silent for {DIAL_S:g} s", sent=False)
        except OSError as error:
            failed = error
    raise failed


async def _dialled(address: str, port: int, host: str, context: ssl.SSLContext | None) -> socket.socket:
    wire = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, (address, port))
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            wire = context.wrap_socket(wire, server_hostname=host, do_handshake_on_connect=False)
            await _shake(wire)
    except BaseException:
        wire.close()
        raise
    return wire


async def _shake(wire: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            wire.do_handshake()
            return
        except ssl.SSLWantReadError:
            await _ready(wire, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(wire, loop.add_writer, loop.remove_writer)


async def _ready(wire: socket.socket, add: Callable[..., object], remove: Callable[..., object]) -> None:
    ready = asyncio.Event()
    add(wire, ready.set)
    try:
        await ready.wait()
    finally:
        remove(wire)


def _forget(remove: Callable[[socket.socket], bool], wire: socket.socket) -> None:
    remove(wire)


def _client(wire: socket.socket, client_id: str) -> Client:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    class Connected(Client):
        """One that is given its socket."""

        def _create_socket(self) -> socket.socket:
            return wire

    version = MQTTProtocolVersion.MQTTv5
    return Connected(CallbackAPIVersion.VERSION2, client_id, protocol=version, reconnect_on_failure=False)


def _check(code: ReasonCode, what: str) -> None:
    if code.is_failure:
        reason = Reason.CONNECTION if code.value in _NOT_ALLOWED else Reason.REFUSED
        raise ConnectionTrouble(reason, f"{what}: {code}")


def _properties(headers: Sequence[tuple[str, str]]) -> Properties:
    """The marks are user properties; the content type and the correlation id have places of their own too."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    own = [(name, value) for name, value in headers if name.lower() != "content-type"]
    if own:
        properties.UserProperty = own
    for name, value in headers:
        match name.lower():
            case "content-type":
                properties.ContentType = value
            case "x-correlation-id":
                properties.CorrelationData = value.encode()
    return properties


def _message(message: MQTTMessage) -> Message:
    properties = message.properties
    headers = [(name.lower(), value) for name, value in getattr(properties, "UserProperty", ())]
    there = {name for name, _ in headers}
    for word, name in (("ContentType", "content-type"), ("ResponseTopic", "response-topic")):
        if name not in there and (value := getattr(properties, word, "")):
            headers.append((name, value))
    if "correlation-data" not in there and (data := getattr(properties, "CorrelationData", b"")):
        headers.append(("correlation-data", data.decode("utf-8", "replace")))
    return Message(message.topic, tuple(headers), bytes(message.payload), 0.0)
