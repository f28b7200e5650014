"""A target that knows the truth: what it was asked, when, and how long it really took.

    python -m tests.bench.shop --for 600

Prints its port, and ends by itself. It keeps no state: the id of an order says when the order is done.

    GET    /json             a small document; with ?n=K the instant of its arrival is kept under K
    GET    /delay/{ms}       answers after so many milliseconds; X-Server-Us says how many microseconds it really took
    POST   /orders?ms=N      202 with an id, pending; done N ms later
    GET    /orders/{id}      pending or done
    DELETE /orders/{id}      204
    GET    /ctl/stats        requests, connections, posts, CPU seconds
    GET    /ctl/arrivals     [[K, Unix time in seconds], …], and forgets them
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from itertools import count
from typing import cast

import httptools

SMALL = b'{"ok":true,"service":"shop","version":"1.2.3","items":[1,2,3]}'
_REASONS = {200: b"200 OK", 202: b"202 Accepted", 204: b"204 No Content", 404: b"404 Not Found"}
_NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


class Books:
    """What was asked so far."""

    def __init__(self) -> None:
        self.requests = self.connections = self.posts = 0
        self.arrivals: list[tuple[int, float]] = []
        self.numbers = count(1)

    def stats(self) -> bytes:
        counted = {"requests": self.requests, "connections": self.connections, "posts": self.posts}
        return json.dumps(counted | {"cpu_s": time.process_time()}).encode()

    def told(self) -> bytes:
        arrivals, self.arrivals = self.arrivals, []
        return json.dumps(arrivals).encode()


class Counter(asyncio.Protocol):
    """One connection. Headers are not looked at, so that httptools does not call Python for them."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._parser = httptools.HttpRequestParser(self)
        self._arrived = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is none by inheritance
        self._books.connections += 1

    def data_received(self, data: bytes) -> None:
        self._arrived = time.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        books, url = self._books, self._url
        books.requests += 1
        if url.startswith(b"/orders"):
            self._order(url)
        elif url.startswith(b"/json"):
            if (at := url.find(b"?n=")) > 0:
                books.arrivals.append((int(url[at + 3 :]), self._arrived))
            self._say(200, SMALL)
        elif url.startswith(b"/delay/"):
            due_s = float(url[7:]) / 1000
            asyncio.get_running_loop().call_later(due_s, self._late, time.perf_counter())
        elif url == b"/ctl/stats":
            self._say(200, books.stats())
        elif url == b"/ctl/arrivals":
            self._say(200, books.told())
        else:
            self._say(404, b"{}")

    def _order(self, url: bytes) -> None:
        method = self._parser.get_method()
        if method == b"POST":
            self._books.posts += 1
            ms = int(url.partition(b"ms=")[2] or 0)
            self._say(202, b'{"id":"%x-%x","status":"pending"}' % (_now_ms() + ms, next(self._books.numbers)))
        elif method == b"DELETE":
            self._transport.write(_NOTHING)
        else:
            made = url[8:]
            done = int(made.partition(b"-")[0], 16) <= _now_ms()
            self._say(200, b'{"id":"%s","status":"%s","total":42.5}' % (made, b"done" if done else b"pending"))

    def _late(self, arrived_s: float) -> None:
        truth_us = (time.perf_counter() - arrived_s) * 1e6
        self._say(200, SMALL, b"X-Server-Us: %d\r\n" % truth_us)

    def _say(self, status: int, body: bytes, more: bytes = b"") -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        self._transport.write(head % (_REASONS[status], more, len(body)) + body)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _serve(limit_s: float) -> None:
    books = Books()
    server = await asyncio.get_running_loop().create_server(lambda: Counter(books), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    parent = os.getppid()
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s and os.getppid() == parent:  # noqa: ASYNC110  an orphan serves nobody
        await asyncio.sleep(1)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--for", type=float, default=600, dest="limit_s", metavar="SECONDS")
    limit_s = arguments.parse_args().limit_s
    try:
        import uvloop  # the faster, the better: the truth must not be the bottleneck
    except ModuleNotFoundError:
        asyncio.run(_serve(limit_s))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(limit_s))


if __name__ == "__main__":
    main()
