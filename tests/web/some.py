"""A run with everything a page can show, and journeys in every state."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from synthmon.core.errors import Place, Problem
from synthmon.core.finding.order import Finding
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.replaying import Made, Replaying, Stand, Wish
from synthmon.core.run import Attempt, CheckRecord, DebtRecord, Record, StepRecord
from synthmon.core.timing import Timing
from synthmon.core.undo.debt_budget import DebtBudget
from tests.metrics.some import NOON, a_journey, a_record
from tests.web.monitor import MemoryMonitor, a_plan

RUN = "9f86d081884c7d659a2feaa0c55ad015"
YAML = """\
journey: invoice-close
title: A closed invoice reaches the ledger, once
every: 1m
system: billing
steps:
  - id: invoice
    http: POST /invoices
    expect:
      - status == 201
      - body.state == "open"
    undo:
      http: DELETE /invoices/${invoice.id}
  - id: posted
    http: GET /ledger
    within: 10s after invoice
    expect:
      - body.entries[0].amount == case.amount
"""


def a_timing(total_ms: float, new: bool = True, **more: object) -> Timing:
    """Where a request of that length spent its time."""
    first = {"dns_ms": 3.2, "connect_ms": 11.0, "tls_ms": 27.5} if new else {}
    spent = sum(first.values())
    fields = {**first, "wait_ms": (total_ms - spent) * 0.8, "read_ms": (total_ms - spent) * 0.2, "total_ms": total_ms}
    return Timing(**(fields | {"first_byte_at_s": 1.0, "address": "192.0.2.10:443"} | more))  # type: ignore[arg-type]


def a_failed_run(
    journey: str = "invoice-close", run_id: str = "9f86d081884c7d659a2feaa0c55ad015", **more: object
) -> Record:
    """A poll that never held, a check with its values, clean-up with one debt left."""
    looks = tuple(
        Attempt(f"posted#{i + 1}", "GET /ledger → 200", 620 + 900 * i, 85.0, timing=a_timing(85, new=i == 0))
        for i in range(9)
    )
    refused = Attempt(
        "close#1",
        "POST /invoices/i-77/close",
        330,
        40,
        Reason.RESET,
        "the connection was reset before a byte of the answer came",
        Timing(dns_ms=2, connect_ms=9, total_ms=40, ours_ms=12),
        'POST /invoices/i-77/close HTTP/1.1\nauthorization: •••\nidempotency-key: 9f86d081-close\n\n{"by": "synthmon"}',
    )
    again = replace(refused, id="close#2", what="POST /invoices/i-77/close → 202", at_ms=420, took_ms=110)
    again = replace(again, reason=Reason.NONE, detail="", timing=a_timing(110), answer="HTTP/1.1 202\n\n{}")
    bad = CheckRecord(
        "body.entries[0].amount == case.amount",
        "probes/invoice-close.yaml:17:9",
        False,
        (("body.entries[0].amount", '"12.00"'), ("case.amount", '"12.50"')),
    )
    fields: dict[str, object] = {
        "journey": journey,
        "slot": NOON,
        "outcome": Outcome.FAILED,
        "reason": Reason.LATE,
        "run_id": run_id,
        "version": "d" * 64,
        "location": "eu",
        "started": NOON,
        "ended": NOON + timedelta(seconds=9),
        "took_ms": 8700.0,
        "lateness_ms": 1.8,
        "message": 'posted: after 8.1 s body.entries[0].amount is still "12.00", case.amount is "12.50"',
        "step": "posted",
        "system": "billing",
        "steps": (
            StepRecord(
                "invoice",
                "http",
                "Open an invoice",
                Outcome.PASSED,
                at_ms=0,
                latency_ms=310,
                attempts=(
                    Attempt(
                        "invoice#1",
                        "POST /invoices → 201",
                        0,
                        310,
                        timing=a_timing(310),
                        request='POST /invoices HTTP/1.1\nauthorization: •••\n\n{"amount": "12.50"}',
                        answer='HTTP/1.1 201\ncontent-type: application/json\n\n{"id": "i-77", "state": "open"}',
                    ),
                ),
                checks=(
                    CheckRecord("status == 201", "probes/invoice-close.yaml:9:9", True),
                    CheckRecord('body.state == "open"', "probes/invoice-close.yaml:10:9", True),
                ),
                saved={"id": "i-77", "lines": [1, 2]},
                system="billing",
            ),
            StepRecord(
                "close", "http", "Close it", Outcome.FLAKY, at_ms=330, latency_ms=200, attempts=(refused, again)
            ),
            StepRecord(
                "posted",
                "http",
                "It stands in the ledger",
                Outcome.FAILED,
                Reason.LATE,
                "Still not so 8.1 s after `close` left; 10 s were allowed.",
                620,
                None,
                attempts=looks,
                checks=(CheckRecord("size(body.entries) == 1", "probes/invoice-close.yaml:16:9", True), bad),
            ),
            StepRecord("receipt", "receive", "A receipt", Outcome.SKIPPED, message="not reached"),
        ),
        "verify": (
            CheckRecord("once: mailed", "probes/invoice-close.yaml:40:7", True),
            CheckRecord("happens: posted, within 10s after close", "probes/invoice-close.yaml:41:7", None),
        ),
        "undo": (
            Attempt("invoice~undo1", "DELETE /invoices/i-77 → 204", 8720, 60, timing=a_timing(60, new=False)),
            Attempt(
                "invoice~gone1",
                "GET /invoices/i-77 → 200",
                8790,
                45,
                Reason.EXPECTATION,
                "still there",
                a_timing(45, new=False),
            ),
        ),
        "debts": (
            DebtRecord("invoice", "POST /invoices", "owed"),
            DebtRecord("close", "POST /invoices/i-77/close", "never_left"),
        ),
        "vars": {"reference": "inv-9f86d081884c7d659a2feaa0c55ad015"},
        "identity": {"email": "ada.lovelace@synthetic.example.com", "name": "Ada Lovelace"},
    }
    return Record(**(fields | more))  # type: ignore[arg-type]


def a_replay(run: str) -> Replaying:
    """One that is over, of an order that is not to blame."""
    made = Made("close<invoice", "ab" * 16, Outcome.PASSED, "")
    return Replaying(run, Stand.OVER, a_plan(Wish(run)), (made,), Finding("b<a", 1, 4, 0, 5, 0.5, "not confirmed"))


async def a_monitor(problems: bool = True) -> MemoryMonitor:
    """Journeys in every state, with some history."""
    draw = random.Random(4)
    shop = {"system": "shop"}
    told = [
        (
            "invoice-close",
            {"title": "A closed invoice reaches the ledger, once", "owner": "billing-oncall", "system": "billing"},
        ),
        ("checkout/card", {"title": "A card payment is captured", "owner": "payments", **shop}),
        ("checkout/voucher", {"title": "A voucher pays the whole basket", "owner": "payments", **shop}),
        ("order-is-paid", {"title": "An order is paid and shipped", **shop}),
        ("refund", {"title": "A refund reaches the customer within a minute", "owner": "payments", **shop}),
        ("sign-up", {"title": "A new customer gets a welcome mail", "owner": "growth", "system": "accounts"}),
        (
            "password-reset",
            {"title": "The reset mail arrives and its link works once", "owner": "growth", "system": "accounts"},
        ),
        ("search-is-fresh", {"title": "A new article is found", "owner": "catalogue", "system": "search"}),
        ("nightly-export", {"title": "The export lands in the bucket", "owner": "data", "system": "warehouse"}),
        ("webhook-delivery", {"title": "Our partners are called once", "owner": "platform", "system": "hooks"}),
    ]
    journeys = [
        a_journey(name, text=YAML.replace("invoice-close", name), labels={"team": "core"}, **fields)
        for name, fields in told
    ]
    monitor = MemoryMonitor(journeys)
    for journey in journeys[:-1]:
        for back in range(60, 0, -1):
            slot = NOON - timedelta(minutes=back)
            record = replace(a_record(journey, draw, location="eu"), slot=slot, started=slot, ended=slot)
            if record.outcome is Outcome.FAILED:
                record = replace(record, message="create: status is 503, expected 201", outcome_ms=None)
            if draw.random() < 0.03:
                record = replace(record, outcome=Outcome.FLAKY, reason=Reason.NONE, message="")
            await monitor.keep(replace(record, version="d" * 64))
    for back in range(3, 0, -1):
        slot = NOON - timedelta(seconds=30 * back)
        await monitor.keep(a_failed_run(slot=slot, run_id=f"{back:x}" * 32))
    await monitor.keep(a_failed_run())
    await monitor.keep(
        _ended("checkout/voucher", Outcome.FAILED, Reason.TIMEOUT, "pay: no answer within 10 s of POST /payments")
    )
    await monitor.keep(
        _ended(
            "password-reset",
            Outcome.UNKNOWN,
            Reason.LOOKED_TOO_LATE,
            "mail: the mailbox could not be read before 12:00:20",
        )
    )
    await monitor.keep(
        _ended("search-is-fresh", Outcome.FLAKY, Reason.NONE, "publish: passed at the second try, after a reset")
    )
    monitor.replays[RUN] = a_replay(RUN)
    monitor.paused.add("nightly-export")
    monitor.running.add("order-is-paid")
    if problems:
        place = Place("probes/refund.yaml", 12, 9, "steps[1].http")
        other = Place("probes/new-thing.yaml", 3, 1, "evry")
        monitor.problems = (
            Problem(
                place, "no-value", "${login.token} has no value yet.", "Save it in an earlier step or correct the name."
            ),
            Problem(other, "unknown-key", "`evry` is no key.", "Did you mean `every`?", "warning"),
        )
        monitor.open_debts = (
            {
                "id": f"{'9f' * 16}:invoice",
                "run": "9f" * 16,
                "journey": "invoice-close",
                "step": "invoice",
                "system": "billing",
                "tag": "syn-9f9f9f9f9f9f9f9f01234567",
                "since": NOON.isoformat(),
                "tries": 3,
                "last_fault": "DELETE /invoices/i-77 → <500>",
                "by_hand": "DELETE https://billing.example.com/invoices/i-77",
            },
        )
        monitor.budget = DebtBudget({"": 1, "billing": 1}, {"": 500, "billing": 0})
    return monitor


def _ended(journey: str, outcome: Outcome, reason: Reason, message: str) -> Record:
    return a_failed_run(
        journey, run_id=random.Random(journey).randbytes(16).hex(), outcome=outcome, reason=reason, message=message
    )
