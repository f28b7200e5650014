"""What can be broken in the shop, where it hurts, and whether it hurts this time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of being wrong while every function still answers."""

    name: str
    service: str  # the function (or the gateway) that is broken
    does: str  # one sentence for the person who switches it on
    shows: str  # where it can be seen over HTTP
    rate: float = 1.0  # share of the events or reads that are hit when nobody says otherwise


FAULTS: tuple[Fault, ...] = (
    Fault(
        "lose-event",
        "payment",
        "Payment takes the money and never publishes orders.paid.",
        "The order stays paid: GET /ledger?reference= has no entry, no shipment, no mail.",
    ),
    Fault(
        "duplicate-event",
        "payment",
        "Payment publishes orders.paid twice under different message ids.",
        "GET /ledger?reference=, /shipments?reference= and /mails?to= show the effect twice.",
    ),
    Fault(
        "swap-order",
        "profile",
        "Credits no longer waits for the profile; in a share (rate) of the sign-ups the profile is late.",
        "GET /signups/{id}: credits.seq is below profile.seq and the bonus of the plan is missing.",
        rate=0.03,
    ),
    Fault(
        "slow-dependency",
        "psp",
        "The payment provider answers late as soon as two authorisations overlap.",
        "GET /payments?reference= shows a high tookMs for orders placed side by side, never for one alone.",
    ),
    Fault(
        "lose-correlation",
        "ledger",
        "Ledger forgets the correlation headers of the event that it publishes.",
        "Shipment and mail have an empty correlationId and are missing in GET /events?correlation=.",
    ),
    Fault(
        "error-body",
        "gateway",
        "The gateway answers GET /payments with 200 and an error inside.",
        "GET /payments?reference= has the key error and no payments.",
    ),
    Fault(
        "stale-cache",
        "gateway",
        "The gateway answers GET /stock/{sku} from a cache that is never refreshed.",
        "GET /stock/{sku} does not show the reservation of an order that is already shipped.",
    ),
    Fault(
        "dead-worker",
        "shipping",
        "Shipping stops consuming; its events pile up until it is mended.",
        "The order stays booked: no shipment, no mail.",
    ),
)

BY_NAME: dict[str, Fault] = {fault.name: fault for fault in FAULTS}


class UnknownFault(LookupError):
    """Nobody can break that: the message lists what can be broken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no fault {name!r}. Choose one of: {', '.join(BY_NAME)}.")


class Board:
    """The switches: which faults are on, at which rate, how often each has struck."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.up = asyncio.Event()  # set while no consumer is down
        self.up.set()
        self._on: dict[str, float] = {}
        self._struck: dict[str, int] = dict.fromkeys(BY_NAME, 0)

    def break_(self, name: str, rate: float | None = None) -> None:
        """Switch a fault on; ``rate`` is the share of events hit, 0 to 1 (ValueError beyond)."""
        if name not in BY_NAME:
            raise UnknownFault(name)
        chosen = BY_NAME[name].rate if rate is None else rate
        if not 0.0 <= chosen <= 1.0:
            raise ValueError(f"rate is {chosen}; it must lie between 0 and 1.")
        self._on[name] = chosen
        self._tell_who_waits()

    def mend(self, name: str) -> None:
        """Switch a fault off; mending what is whole changes nothing."""
        if name not in BY_NAME:
            raise UnknownFault(name)
        self._on.pop(name, None)
        self._tell_who_waits()

    def on(self, name: str) -> bool:
        return name in self._on

    def down(self, service: str) -> bool:
        """Whether this consumer has stopped consuming."""
        return self._on.get("dead-worker", 0.0) > 0.0 and BY_NAME["dead-worker"].service == service

    def strikes(self, name: str, service: str) -> bool:
        """Whether ``service`` is hit this time: throws the dice, so ask once an event."""
        rate = self._on.get(name)
        if rate is None or BY_NAME[name].service != service:
            return False
        hit = self._dice.random() < rate
        self._struck[name] += hit
        return hit

    def _tell_who_waits(self) -> None:
        if self._on.get("dead-worker", 0.0) > 0.0:
            self.up.clear()
        else:
            self.up.set()

    def listing(self) -> list[dict[str, object]]:
        return [
            {
                "name": fault.name,
                "service": fault.service,
                "on": fault.name in self._on,
                "rate": self._on.get(fault.name, fault.rate),
                "struck": self._struck[fault.name],
                "does": fault.does,
                "shows": fault.shows,
            }
            for fault in FAULTS
        ]
