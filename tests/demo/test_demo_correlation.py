"""What a caller says about a request reaches every log line and every span of it."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shop_visitor import visiting

from synthmon.demo.correlation import Correlation, at_the_door, new_place, received
from synthmon.demo.shop import running_shop

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SERVICES = {"gateway", "intake", "inventory", "payment", "ledger", "shipping", "mailer"}
HEADERS = {
    "X-Correlation-ID": "run-1",
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "tracestate": "synthmon=run-1",
    "baggage": "synthetic_request=true",
}


class Collector:
    """An OTLP/HTTP collector that keeps what it gets."""

    def __init__(self) -> None:
        self.batches: queue.Queue[dict[str, Any]] = queue.Queue()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/json"
                collector.batches.put(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def spans(self) -> list[tuple[str, dict[str, Any]]]:
        """Everything so far, with its service."""
        found = []
        while not self.batches.empty():
            for resource in self.batches.get()["resourceSpans"]:
                service = next(
                    a["value"]["stringValue"] for a in resource["resource"]["attributes"] if a["key"] == "service.name"
                )
                found += [(service, span) for scope in resource["scopeSpans"] for span in scope["spans"]]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    serving = threading.Thread(target=collector.server.serve_forever)
    serving.start()
    yield collector
    collector.server.shutdown()
    serving.join()
    collector.server.server_close()


async def test_the_correlation_id_is_in_every_log_line_and_span(collector: Collector, tmp_path: Path) -> None:
    async with running_shop(tmp_path, otlp=collector.url, busy_rate=0.0) as shop, visiting(shop) as visitor:
        await visitor.mailed(await visitor.order(headers=HEADERS))
        logs = shop.logs

    lines = [json.loads(line) for file in logs.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert {line["service"] for line in lines} == SERVICES
    assert {line["correlationId"] for line in lines} == {"run-1"}
    wanted = {
        "time",
        "workflow",
        "step",
        "dependency",
        "latencyMs",
        "attempt",
        "status",
        "eventId",
        "traceId",
        "spanId",
    }
    assert all(wanted <= set(line) for line in lines)

    spans = collector.spans()
    assert {service for service, _ in spans} == SERVICES
    for _, span in spans:
        attributes = {a["key"]: a["value"] for a in span["attributes"]}
        assert attributes["messaging.message.conversation_id"] == {"stringValue": "run-1"}
        assert span["traceState"] == "synthmon=run-1"
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])


async def test_consumers_start_a_new_trace_that_links_to_the_producer(collector: Collector, tmp_path: Path) -> None:
    async with running_shop(tmp_path, otlp=collector.url, busy_rate=0.0) as shop, visiting(shop) as visitor:
        await visitor.mailed(await visitor.order(headers=HEADERS))

    spans = [span for _, span in collector.spans()]
    server, producer, consumer = 2, 4, 5  # SpanKind
    (door,) = [span for span in spans if span["kind"] == server]
    assert (door["traceId"], door["parentSpanId"]) == (TRACE, SPAN)
    sent = {(span["traceId"], span["spanId"]) for span in spans if span["kind"] == producer}
    consumed = [span for span in spans if span["kind"] == consumer]
    assert len(consumed) == len(SERVICES) - 1
    assert len({span["traceId"] for span in consumed} | {TRACE}) == len(SERVICES)
    for span in consumed:
        (link,) = span["links"]
        assert (link["traceId"], link["spanId"]) in sent
        assert span["parentSpanId"] == ""


async def test_a_collector_that_is_not_there_disturbs_nobody(tmp_path: Path) -> None:
    async with running_shop(tmp_path, otlp="http://127.0.0.1:9") as shop, visiting(shop) as visitor:
        order = await visitor.order()

        assert await visitor.mailed(order)


async def test_a_stranger_without_an_id_gets_one(tmp_path: Path) -> None:
    told = at_the_door({})

    assert len(told.id) == 32
    assert told.sender is None


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"},
        {"traceparent": "nonsense", "tracestate": "a=b"},
        {"X-Correlation-ID": "two\nlines"},
        {"X-Correlation-ID": "x" * 129},
        {"baggage": "é=1"},
    ],
)
def test_unreadable_headers_count_as_absent(headers: dict[str, str]) -> None:
    assert received(headers) == Correlation("")


def test_what_is_received_is_passed_on_from_the_new_sender() -> None:
    sender = new_place()

    passed = received({name.upper(): value for name, value in HEADERS.items()}).headers(sender)

    assert passed == HEADERS | {"traceparent": sender.traceparent}


@pytest.mark.parametrize(
    ("baggage", "held_ms"),
    [
        ("synthmon.hold=orders.paid:300", 300),
        ("a=b, synthmon.hold=orders.paid:300;ttl=1", 300),
        ("synthmon.hold=other:9%2Corders.paid:20", 20),
        ("synthmon.hold=orders.paid:1,synthmon.hold=orders.paid:7", 7),
        ("synthmon.hold=orders.paid:99999999999", 10_000),
        ("synthmon.hold=orders.paid:-5", 0),
        ("synthmon.hold=orders.paid", 0),
        ("synthmon.hold=other:300", 0),
        ("", 0),
    ],
)
def test_a_hold_is_read_from_the_baggage_and_bounded(baggage: str, held_ms: int) -> None:
    assert Correlation("c", baggage=baggage).hold_ms("orders.paid", "ledger-posted") == held_ms
