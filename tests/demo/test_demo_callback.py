"""Who leaves an address with an order is called when it is shipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from shop_visitor import Visitor, visiting

from synthmon.demo.shop import running_shop

CALLER = {"X-Correlation-ID": "c-1"}


class Customer:
    """Answers each call with the next status, and the last one again."""

    def __init__(self, *statuses: int) -> None:
        self.calls: list[str] = []
        self.url = ""
        self._statuses = list(statuses)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        self.calls.append(head + (await reader.readexactly(length)).decode())
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        writer.write(f"HTTP/1.1 {status} So\r\nlocation: {self.url}/there\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def a_customer(*statuses: int) -> AsyncIterator[Customer]:
    customer = Customer(*statuses)
    server = await asyncio.start_server(customer.serve, "127.0.0.1", 0)
    customer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/h"
    try:
        yield customer
    finally:
        server.close()
        await server.wait_closed()


async def test_a_customer_is_called_once_with_the_ids_of_the_order(visitor: Visitor) -> None:
    async with a_customer(204) as customer:
        order = await visitor.order(CALLER, notify=customer.url)
        await visitor.mailed(order)

    (call,) = customer.calls
    assert call.startswith("POST /h HTTP/1.1")
    assert "x-correlation-id: c-1" in call.lower()
    assert f'"orderId": "{order["id"]}"' in call
    assert f'"reference": "{order["reference"]}"' in call


@pytest.mark.parametrize("refusal", [503, 302])
async def test_a_call_that_is_not_taken_is_made_again_and_what_follows_happens_once(
    visitor: Visitor, refusal: int
) -> None:
    async with a_customer(refusal, refusal, 200) as customer:
        order = await visitor.order(notify=customer.url)
        await visitor.mailed(order)

    assert [call.split(" ")[1] for call in customer.calls] == ["/h"] * 3  # no redirect is followed
    assert len(await visitor.rows("shipments", order)) == 1


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/h", "http://192.0.2.1/h", "http://127.0.0.1.example.com/h", "http://a@127.0.0.1/h", 7, "/h",
     "http://[::1/h", f"http://127.0.0.1/{'h' * 500}"],
)  # fmt: skip
async def test_only_an_address_of_this_machine_is_taken(url: object) -> None:
    async with running_shop(bus="memory") as shop, visiting(shop) as visitor:
        body = {"reference": "r", "sku": "mug-blue", "email": "ann@example.com", "notify": url}

        answer = await visitor.http.post("/orders", json=body)

        assert answer.status_code == 400
        assert "an http address of this machine" in answer.json()["reason"]
        assert (await visitor.get("/orders", reference="r"))["count"] == 0
