"""The order workflow: intake, inventory, payment, ledger, shipping and mailer, each fed by the one before."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from synthmon.demo.callback import call_back
from synthmon.demo.correlation import new_place
from synthmon.demo.faults import Board
from synthmon.demo.functions import Dependencies, Event, Following, Function, Skip
from synthmon.demo.rows import Row, Rows, iso

PRICES: dict[str, Decimal] = {
    "tea-green": Decimal("4.20"),
    "mug-blue": Decimal("12.50"),
    "kettle-steel": Decimal("39.00"),
    "vinyl-limited": Decimal("25.00"),
}
FIRST_STOCK: dict[str, int] = {"tea-green": 10_000, "mug-blue": 10_000, "kettle-steel": 10_000, "vinyl-limited": 0}
RESTOCK_BELOW = 2_000
RESTOCK_BY = 10_000
PSP_LIMIT = Decimal("2000.00")
PSP_TYPICAL_MS = 60.0
PSP_SLOW_S = 3.0
STAGES = ("placed", "validated", "reserved", "paid", "booked", "shipped")


class Stock:
    """What lies in the warehouse: how many, how many of them promised, and every movement."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._on_hand = dict(FIRST_STOCK)
        self._reserved = dict.fromkeys(FIRST_STOCK, 0)

    def available(self, sku: str) -> int:
        return self._on_hand[sku] - self._reserved[sku]

    def reserve(self, order: Row, event: Event) -> None:
        sku, quantity = order["sku"], order["quantity"]
        self._reserved[sku] += quantity
        self._moved("reserved", order, event.correlation.id)
        if self.available(sku) < RESTOCK_BELOW:
            self._on_hand[sku] += RESTOCK_BY

    def ship(self, order: Row) -> None:
        self._on_hand[order["sku"]] -= order["quantity"]
        self._reserved[order["sku"]] -= order["quantity"]

    def take_back(self, order: Row) -> None:
        """The order was deleted: undo what its movements did."""
        if "reserved" not in order["timeline"]:
            return
        if "shipped" in order["timeline"]:
            self._on_hand[order["sku"]] += order["quantity"]
        else:
            self._reserved[order["sku"]] -= order["quantity"]
        self._moved("returned", order, order["correlationId"])

    def view(self, sku: str) -> Row:
        """Numbers and the latest 50 movements, newest first; ``seq`` is that of the newest."""
        movements = self._rows.movements.find(sku=sku)[-50:][::-1]
        return {
            "sku": sku,
            "price": str(PRICES[sku]),
            "onHand": self._on_hand[sku],
            "reserved": self._reserved[sku],
            "available": self.available(sku),
            "seq": movements[0]["seq"] if movements else 0,
            "time": iso(time.time_ns()),
            "movements": movements,
        }

    def _moved(self, kind: str, order: Row, correlation_id: str) -> None:
        self._rows.movements.write(
            {
                "kind": kind,
                "sku": order["sku"],
                "quantity": order["quantity"],
                "orderId": order["id"],
                "reference": order["reference"],
                "correlationId": correlation_id,
            }
        )


class Orders:
    """The six functions. Each changes rows only after its last await."""

    def __init__(self, rows: Rows, stock: Stock, dependencies: Dependencies, board: Board) -> None:
        self._rows = rows
        self._stock = stock
        self._dependencies = dependencies
        self._board = board
        self._authorising = 0
        self._overlaps = 0

    def functions(self) -> tuple[Function, ...]:
        return (
            Function("intake", "orders", "order-validated", "orders.placed", "", self.validate),
            Function("inventory", "orders", "stock-reserved", "orders.validated", "stock-db", self.reserve),
            Function("payment", "orders", "payment-authorised", "orders.reserved", "psp", self.authorise),
            Function("ledger", "orders", "ledger-posted", "orders.paid", "ledger-db", self.book),
            Function("shipping", "orders", "shipment-prepared", "orders.booked", "carrier", self.prepare_shipment),
            Function("mailer", "orders", "mail-sent", "orders.shipped", "smtp", self.confirm),
        )

    async def validate(self, event: Event) -> tuple[Following, ...]:
        order = self._order(event)
        if order["sku"] not in PRICES:
            return _end(order, "rejected", f"nothing is sold as {order['sku']!r}")
        return _advance(order, "validated")

    async def reserve(self, event: Event) -> tuple[Following, ...]:
        await self._dependencies.call(event, "stock-db", 3)
        order = self._order(event)
        if self._stock.available(order["sku"]) < order["quantity"]:
            return _end(order, "out-of-stock", f"{self._stock.available(order['sku'])} left")
        self._stock.reserve(order, event)
        return _advance(order, "reserved")

    async def authorise(self, event: Event) -> tuple[Following, ...]:
        took_ms = await self._ask_psp(event)
        order = self._order(event)
        declined = Decimal(order["amount"]) > PSP_LIMIT
        self._rows.payments.write(
            {
                **_of(order, event),
                "amount": order["amount"],
                "currency": "EUR",
                "state": "declined" if declined else "authorised",
                "tookMs": took_ms,
            }
        )
        if declined:
            return _end(order, "declined", f"above the limit of {PSP_LIMIT}")
        return _advance(order, "paid")

    async def book(self, event: Event) -> tuple[Following, ...]:
        await self._dependencies.call(event, "ledger-db", 4)
        order = self._order(event)
        self._rows.ledger.write(
            {**_of(order, event), "account": "sales", "amount": order["amount"], "currency": "EUR", "kind": "sale"}
        )
        return _advance(order, "booked")

    async def prepare_shipment(self, event: Event) -> tuple[Following, ...]:
        await self._dependencies.call(event, "carrier", 10)
        await self._tell(event)
        order = self._order(event)
        if "shipped" not in order["timeline"]:
            self._stock.ship(order)
        self._rows.shipments.write(
            {**_of(order, event), "sku": order["sku"], "quantity": order["quantity"], "to": order["name"]}
        )
        return _advance(order, "shipped")

    async def confirm(self, event: Event) -> tuple[Following, ...]:
        await self._dependencies.call(event, "smtp", 8)
        order = self._order(event)
        self._rows.mails.write(
            {
                **_of(order, event),
                "kind": "confirmation",
                "to": order["email"],
                "subject": f"Your order {order['reference']} is on its way",
                "text": f"{order['quantity']} x {order['sku']}, {order['amount']} EUR. Thank you, {order['name']}.",
            }
        )
        return ()

    async def _tell(self, event: Event) -> None:
        """Who ordered may have left an address to be called; until it is, nothing is shipped."""
        order = self._order(event)
        if "notify" not in order:
            return
        sender = event.correlation.sender.inside() if event.correlation.sender else new_place()
        told = {"orderId": order["id"], "reference": order["reference"], "status": "shipped"}
        await call_back(order["notify"], told, event.correlation.headers(sender))

    async def _ask_psp(self, event: Event) -> float:
        """Milliseconds for both the ordinary call and, if the fault is on and another overlapped, the wait."""
        started_ns = time.time_ns()
        overlaps_before = self._overlaps
        self._overlaps += self._authorising > 0
        self._authorising += 1
        try:
            await self._dependencies.call(event, "psp", PSP_TYPICAL_MS)
            if self._overlaps > overlaps_before and self._board.strikes("slow-dependency", "psp"):
                await asyncio.sleep(PSP_SLOW_S)
        finally:
            self._authorising -= 1
        return round((time.time_ns() - started_ns) / 1e6, 3)

    def _order(self, event: Event) -> Row:
        order = self._rows.orders.get(str(event.payload.get("orderId", "")))
        if order is None:
            raise Skip("the order was deleted")
        return order


def _of(order: Row, event: Event) -> Row:
    """What every row of an order carries."""
    return {"orderId": order["id"], "reference": order["reference"], "correlationId": event.correlation.id}


def _advance(order: Row, stage: str) -> tuple[Following, ...]:
    """Note the stage, never backwards, and tell the others."""
    if STAGES.index(stage) > STAGES.index(order["status"]):
        order["status"] = stage
    order["timeline"].setdefault(stage, iso(time.time_ns()))
    return (Following(f"orders.{stage}", {"orderId": order["id"], "reference": order["reference"]}),)


def _end(order: Row, state: str, reason: str) -> tuple[Following, ...]:
    order["status"] = state
    order["reason"] = reason
    order["timeline"].setdefault(state, iso(time.time_ns()))
    return (Following(f"orders.{state}", {"orderId": order["id"], "reference": order["reference"]}),)
