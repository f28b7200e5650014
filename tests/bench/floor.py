"""The floor: the same three requests with asyncio and httptools and nothing else.

    python -m tests.bench.floor http://127.0.0.1:PORT

No schedule, checks, record or metrics, no httpx, no limits; one new connection a journey, until SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

import httptools
import orjson

LANES = 16


class _Client(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: bytes) -> bytes:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None:
            self._answer.set_result(b"".join(self._body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    def close(self) -> None:
        self._transport.close()


async def _lane(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    body = b'{"item":"sku-1","qty":2}'
    common = b"Host: %s:%d\r\nUser-Agent: floor\r\nAccept: */*\r\n" % (host.encode(), port)
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in count():
        _, client = await loop.create_connection(_Client, host, port)
        order = orjson.loads(await client.ask(b"POST /orders?ms=0 HTTP/1.1\r\n" + common + kind + body))["id"]
        look = b"GET /orders/%s HTTP/1.1\r\n" % order.encode() + common + b"\r\n"
        assert orjson.loads(await client.ask(look))["status"] == "done"  # at once, with ms=0
        assert orjson.loads(await client.ask(look))["total"] == 42.5
        client.close()


async def main(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    await asyncio.gather(*(_lane(host, int(port)) for _ in range(LANES)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
