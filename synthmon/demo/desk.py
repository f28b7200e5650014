"""The writes of the gateway: place and delete orders and sign-ups, and tell the functions."""

from __future__ import annotations

import json
import time
import uuid
from decimal import Decimal
from typing import Any

from synthmon.demo.answers import Refused, email_of, text_of
from synthmon.demo.bus import Bus, BusTrouble
from synthmon.demo.callback import callback_of
from synthmon.demo.correlation import Correlation, Place, new_place
from synthmon.demo.notes import Note, Notes
from synthmon.demo.orders import PRICES, Stock
from synthmon.demo.rows import Row, Rows, iso
from synthmon.demo.signups import PLAN_BONUS
from synthmon.demo.spans import Kind, Span
from synthmon.demo.worker import messaging

SERVICE = "gateway"
MAX_QUANTITY = 100


class Desk:
    """Takes what people ask for. A write that the bus does not take is refused (503) and leaves no row."""

    def __init__(self, rows: Rows, stock: Stock, bus: Bus, notes: Notes) -> None:
        self._rows = rows
        self._stock = stock
        self._bus = bus
        self._notes = notes

    async def place_order(self, body: dict[str, Any], correlation: Correlation) -> Row:
        quantity = body.get("quantity", 1)
        if not isinstance(quantity, int) or isinstance(quantity, bool) or not 1 <= quantity <= MAX_QUANTITY:
            raise Refused(400, "bad_request", f"quantity must be a whole number from 1 to {MAX_QUANTITY}")
        sku = text_of(body, "sku")
        order = {
            "id": f"o-{uuid.uuid4().hex[:16]}",
            "reference": text_of(body, "reference"),
            "sku": sku,
            "quantity": quantity,
            "name": text_of(body, "name", default="Somebody"),
            "email": email_of(body),
        }
        order["amount"] = str((PRICES.get(sku, Decimal(0)) * quantity).quantize(Decimal("0.01")))
        order["currency"] = "EUR"
        order["status"] = "placed"
        order["correlationId"] = correlation.id
        order["timeline"] = {"placed": iso(time.time_ns())}
        if notify := callback_of(body):
            order["notify"] = notify
        kept = self._rows.orders.write(order)
        payload = {"orderId": kept["id"], "reference": kept["reference"]}
        try:
            await self._tell("orders", "order-placed", "orders.placed", payload, correlation)
        except Refused:
            self._rows.orders.remove(id=kept["id"])
            raise
        return kept

    async def sign_up(self, body: dict[str, Any], correlation: Correlation) -> Row:
        plan = text_of(body, "plan", default="free")
        if plan not in PLAN_BONUS:
            raise Refused(400, "bad_request", f"plan must be one of {', '.join(PLAN_BONUS)}")
        kept = self._rows.signups.write(
            {
                "id": f"s-{uuid.uuid4().hex[:16]}",
                "reference": text_of(body, "reference"),
                "name": text_of(body, "name"),
                "email": email_of(body),
                "plan": plan,
                "correlationId": correlation.id,
            }
        )
        payload = {"signupId": kept["id"], "reference": kept["reference"]}
        try:
            await self._tell("onboarding", "signup-created", "signups.created", payload, correlation)
        except Refused:
            self._rows.signups.remove(id=kept["id"])
            raise
        return kept

    def delete_order(self, order_id: str) -> None:
        """The order and everything that it left in payments, ledger, shipments and mails; stock comes back."""
        order = self._rows.orders.get(order_id)
        if order is None:
            raise Refused(404, "not_found", f"there is no order {order_id}")
        self._stock.take_back(order)
        rows = self._rows
        for table in (rows.payments, rows.ledger, rows.shipments, rows.mails):
            table.remove(orderId=order_id)
        rows.orders.remove(id=order_id)
        self._note("orders", "order-deleted", order)

    def delete_signup(self, signup_id: str) -> None:
        signup = self._rows.signups.get(signup_id)
        if signup is None:
            raise Refused(404, "not_found", f"there is no sign-up {signup_id}")
        rows = self._rows
        for table in (rows.profiles, rows.credits, rows.mails):
            table.remove(signupId=signup_id)
        rows.signups.remove(id=signup_id)
        self._note("onboarding", "signup-deleted", signup)

    async def _tell(
        self, workflow: str, step: str, subject: str, payload: dict[str, Any], correlation: Correlation
    ) -> None:
        """Publish, and write down that it was asked for: a server span, and the producer's inside it."""
        started_ns = time.time_ns()
        serving = correlation.sender.inside() if correlation.sender else new_place()
        sender, message_id = serving.inside(), uuid.uuid4().hex
        reference = str(payload["reference"])
        self._notes.write(
            Note(SERVICE, workflow, step, "ok", correlation, serving, message_id, started_ns, time.time_ns(),
                 reference=reference)
        )  # fmt: skip
        try:
            await self._bus.publish(subject, json.dumps(payload).encode(), correlation.headers(sender), message_id)
        except BusTrouble as trouble:
            raise Refused(503, "bus_unavailable", str(trouble)) from trouble
        finally:
            self._trace(step, subject, message_id, correlation, serving, sender, started_ns)

    def _trace(
        self,
        step: str,
        subject: str,
        message_id: str,
        correlation: Correlation,
        serving: Place,
        sender: Place,
        started_ns: int,
    ) -> None:
        ended_ns = time.time_ns()
        parent = correlation.sender.span_id if correlation.sender else ""
        told = messaging("send", subject, message_id, correlation.id)
        state = correlation.tracestate
        self._notes.trace(
            Span(SERVICE, step, Kind.SERVER, serving, started_ns, ended_ns, parent, tracestate=state, attributes=told),
            Span(SERVICE, f"send {subject}", Kind.PRODUCER, sender, started_ns, ended_ns, serving.span_id,
                 tracestate=state, attributes=told),
        )  # fmt: skip

    def _note(self, workflow: str, step: str, row: Row) -> None:
        now_ns = time.time_ns()
        correlation = Correlation(row["correlationId"])
        self._notes.write(
            Note(SERVICE, workflow, step, "ok", correlation, new_place(), uuid.uuid4().hex, now_ns, now_ns,
                 reference=row["reference"])
        )  # fmt: skip
