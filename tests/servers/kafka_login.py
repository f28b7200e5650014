"""The login of a Kafka broker that has none: SASL PLAIN (RFC 4616) and SCRAM (RFC 5802) before the broker itself."""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable

from tests.servers.front import Greet, Streams

HANDSHAKE, VERSIONS, AUTHENTICATE = 17, 18, 36
UNSUPPORTED, FAILED = 33, 58  # error codes: https://kafka.apache.org/protocol#protocol_error_codes
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
SALT, ROUNDS = b"a-salt-of-the-test", 4096


def login(mechanism: str, user: str, password: str) -> Greet:
    """Lets through who knows the password."""

    async def greet(client: Streams, server: Streams) -> bool:
        step = _plain(user, password) if mechanism == "PLAIN" else _scram(HASHES[mechanism], user, password)
        while True:
            frame = await _frame(client)
            api, _, correlation = struct.unpack(">hhi", frame[:8])
            body = frame[10 + struct.unpack(">h", frame[8:10])[0] :]
            answer = struct.pack(">i", correlation)
            if api == VERSIONS:
                server[1].write(struct.pack(">i", len(frame)) + frame)
                answer = await _frame(server)
            elif api == HANDSHAKE:
                known = body[2:].decode() == mechanism
                answer += struct.pack(">hi", 0 if known else UNSUPPORTED, 1) + _string(mechanism)
            elif api == AUTHENTICATE:
                told, passed = step(body[4:])
                error = struct.pack(">hh", 0, -1) if told is not None else struct.pack(">h", FAILED) + _string("denied")
                answer += error + struct.pack(">i", len(told or b"")) + (told or b"") + struct.pack(">q", 0)
                if passed:
                    client[1].write(struct.pack(">i", len(answer)) + answer)
                    return True
            else:
                return False
            client[1].write(struct.pack(">i", len(answer)) + answer)
            await client[1].drain()

    return greet


Step = Callable[[bytes], tuple[bytes | None, bool]]
"""What the client said → the answer (None: refused), and whether it is in."""


def _plain(user: str, password: str) -> Step:
    def step(said: bytes) -> tuple[bytes | None, bool]:
        good = said.split(b"\0")[1:] == [user.encode(), password.encode()]
        return (b"", True) if good else (None, False)

    return step


def _scram(name: str, user: str, password: str) -> Step:
    key = hashlib.pbkdf2_hmac(name, password.encode(), SALT, ROUNDS)
    heard: list[str] = []

    def mac(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, name).digest()

    def step(said: bytes) -> tuple[bytes | None, bool]:
        text = said.decode()
        if not heard:
            first = text.removeprefix("n,,")
            fields = dict(part.split("=", 1) for part in first.split(","))
            heard.extend((first, f"r={fields['r']}more,s={b64encode(SALT).decode()},i={ROUNDS}"))
            return (heard[1].encode(), False) if fields["n"] == user else (None, False)
        without, _, proof = text.rpartition(",p=")
        signed = ",".join((*heard, without)).encode()
        client_key = mac(key, b"Client Key")
        signature = mac(hashlib.new(name, client_key).digest(), signed)
        if bytes(a ^ b for a, b in zip(b64decode(proof), signature, strict=True)) != client_key:
            return None, False
        return b"v=" + b64encode(mac(mac(key, b"Server Key"), signed)), True

    return step


async def _frame(streams: Streams) -> bytes:
    (size,) = struct.unpack(">i", await streams[0].readexactly(4))
    return await streams[0].readexactly(size)


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
