"""Records, claims and entries for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from synthmon.core.evidence import Evidence
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Attempt, CheckRecord, DebtRecord, Record, StepRecord
from synthmon.core.timing import Timing
from synthmon.core.undo.intents import Claim, Entry, Intent, Opened, Settled

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def slot(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def run_id(number: int) -> str:
    """Ids that differ in their first digits."""
    return f"{number:08x}{'0' * 24}"


def a_record(number: int = 0, journey: str = "checkout", **others: Any) -> Record:
    """A run of a journey that passed in the slot `number` minutes after noon, with one step."""
    step = StepRecord("order", "http", "place an order", Outcome.PASSED, attempts=(an_attempt(),))
    given: dict[str, Any] = {
        "slot": slot(number),
        "outcome": Outcome.PASSED,
        "reason": Reason.NONE,
        "run_id": run_id(number),
        "started": slot(number) + timedelta(microseconds=1234),
        "ended": slot(number) + timedelta(seconds=1),
        "took_ms": 998.7,
        "steps": (step,),
        "verify": (CheckRecord("status == 200", "checkout.yaml:7:5", True, (("status", "200"),)),),
        "debts": (DebtRecord("order", "DELETE /orders/1 → 204", "closed"),),
        "vars": {"order": {"id": 1, "lines": ["é", None, 2.5]}},
        "identity": {"email": "ada@example.com"},
    }
    return Record(journey, **(given | others))


def some_evidence(count: int) -> tuple[Evidence, ...]:
    """Records a millisecond apart, from three services."""
    noon_ns = int(NOON.timestamp()) * 10**9
    return tuple(
        Evidence(
            source="logs",
            step=("order.placed", "order.charged", "order.sent")[n % 3],
            at_ns=noon_ns + n * 1_000_000,
            status="ok",
            clock=("shop", "payments", "mailer")[n % 3],
            id=f"event-{n}",
            causes=(f"event-{n - 1}",),
            attrs={"correlationId": run_id(n), "text": "é" * 20},
            received_ns=noon_ns + n * 1_000_000 + 20_000_000,
            matched_by="correlationId",
        )
        for n in range(count)
    )


def an_attempt() -> Attempt:
    timing = Timing(dns_ms=0.1, connect_ms=0.2, total_ms=12.5, sent_at_s=1.5, address="127.0.0.1:80", kernel=True)
    return Attempt("order#1", "POST /orders → 201", 0.5, 12.5, timing=timing, request="{}", answer='{"id": 1}' * 20)


def a_claim(number: int = 0, journey: str = "checkout", location: str = "") -> Claim:
    return Claim(journey, slot(number), location, run_id(number), slot(number))


def opened(minute: int = 0, version: str = "v1") -> Opened:
    return Opened("checkout", version, "shop", "https://shop.example", slot(minute), "", {"run": {"id": "x"}})


def intent(path: str = "order", order: int = 1) -> Intent:
    return Intent(path, order, f"key-{path}", "syn-0", slot(60), {"id": None})


def three_entries(minute: int) -> tuple[Entry, ...]:
    """A run that did one thing and took it back."""
    return opened(minute), intent(), Settled("order", "closed")
