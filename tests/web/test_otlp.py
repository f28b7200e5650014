"""OTLP over HTTP: what comes in, in both formats, and what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
from contextlib import suppress

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from synthmon.core.telemetry import Link, SpanEvent
from synthmon.web import otlp
from synthmon.web.auth import Access
from synthmon.web.collector import Collector
from synthmon.web.otlp import TooLarge, Unreadable, decode, unpack
from tests.web.calls import a_caller

TRACE, OTHER = bytes(range(1, 17)), bytes(range(17, 33))
TOKEN = "correct-horse-battery-staple"
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}


def attribute(key, **value):
    return KeyValue(key=key, value=AnyValue(**value))


def spans(*more):
    """A request of the library with one whole span (and more)."""
    whole = Span(
        trace_id=TRACE,
        span_id=TRACE[:8],
        parent_span_id=OTHER[:8],
        trace_state="synthmon=abc",
        name="ledger-posted",
        kind=Span.SPAN_KIND_CONSUMER,
        start_time_unix_nano=1_800_000_000_000_000_001,
        end_time_unix_nano=1_800_000_000_500_000_002,
        attributes=[
            attribute("text", string_value="naïve \U0001f600"),
            attribute("yes", bool_value=True),
            attribute("no", bool_value=False),
            attribute("below", int_value=-(2**63)),
            attribute("half", double_value=0.5),
            attribute("endless", double_value=float("inf")),
            attribute("raw", bytes_value=b"\x00\xff"),
            attribute("empty", string_value=""),
            attribute("list", array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="b")])),
            attribute("map", kvlist_value=KeyValueList(values=[attribute("k", string_value="v")])),
            attribute("nothing"),
        ],
        events=[Span.Event(name="retry", time_unix_nano=5, attributes=[attribute("n", int_value=2)])],
        links=[Span.Link(trace_id=OTHER, span_id=OTHER[:8], attributes=[attribute("why", string_value="queue")])],
        status=Status(code=Status.STATUS_CODE_ERROR, message="late"),
        flags=1,
    )
    request = ExportTraceServiceRequest()
    outer = request.resource_spans.add()
    outer.resource.attributes.append(attribute("service.name", string_value="ledger"))
    inner = outer.scope_spans.add()
    inner.scope.name = "shop.instrumentation"
    inner.spans.extend([whole, *more])
    return request


def as_json(request):
    """As a sender writes it: ids in hex, 64-bit numbers as texts."""
    tree = MessageToDict(request, use_integers_for_enums=True)
    for outer in tree.get("resourceSpans", []) + tree.get("resourceLogs", []):
        for inner in outer.get("scopeSpans", []) + outer.get("scopeLogs", []):
            for record in inner.get("spans", []) + inner.get("logRecords", []):
                for one in (record, *record.get("links", [])):
                    _in_hex(one)
    return json.dumps(tree).encode()


def _in_hex(told):
    for key in ("traceId", "spanId", "parentSpanId"):
        if key in told:
            told[key] = base64.b64decode(told[key]).hex().upper()


def test_a_span_is_read_whole_from_both_formats():
    request = spans()

    binary, text = decode(request.SerializeToString(), False, "traces"), decode(as_json(request), True, "traces")

    (span,) = binary.spans
    assert span.trace_id == "0102030405060708090a0b0c0d0e0f10"
    assert (span.span_id, span.parent_id) == ("0102030405060708", "1112131415161718")
    assert (span.name, span.kind, span.status, span.status_message) == ("ledger-posted", "consumer", "error", "late")
    assert (span.start_ns, span.end_ns) == (1_800_000_000_000_000_001, 1_800_000_000_500_000_002)
    assert (span.tracestate, span.scope) == ("synthmon=abc", "shop.instrumentation")
    assert span.resource == {"service.name": "ledger"}
    assert span.attributes == {
        "text": "naïve \U0001f600",
        "yes": True,
        "no": False,
        "below": -(2**63),
        "half": 0.5,
        "endless": "inf",
        "raw": "AP8=",
        "empty": "",
        "list": [1, "b"],
        "map": {"k": "v"},
        "nothing": None,
    }
    assert span.links == (Link("1112131415161718191a1b1c1d1e1f20", "1112131415161718", {"why": "queue"}),)
    assert span.events == (SpanEvent("retry", 5, {"n": 2}),)
    assert binary == text


def test_a_log_is_read_whole_from_both_formats():
    request = ExportLogsServiceRequest()
    outer = request.resource_logs.add()
    outer.resource.attributes.append(attribute("service.name", string_value="ledger"))
    body = AnyValue(kvlist_value=KeyValueList(values=[attribute("step", string_value="posted")]))
    record = LogRecord(
        time_unix_nano=7, observed_time_unix_nano=8, severity_number=9, severity_text="INFO", body=body,
        attributes=[attribute("attempt", int_value=2)], trace_id=TRACE, span_id=TRACE[:8], event_name="posted",
    )  # fmt: skip
    outer.scope_logs.add().log_records.extend([record, LogRecord(body=AnyValue(string_value="bare"))])

    binary, text = decode(request.SerializeToString(), False, "logs"), decode(as_json(request), True, "logs")

    log, bare = binary.logs
    assert (log.at_ns, log.observed_ns, log.severity, log.severity_text, log.name) == (7, 8, 9, "INFO", "posted")
    assert (log.body, log.attributes, log.resource) == ({"step": "posted"}, {"attempt": 2}, {"service.name": "ledger"})
    assert (log.trace_id, log.span_id) == ("0102030405060708090a0b0c0d0e0f10", "0102030405060708")
    assert (bare.body, bare.trace_id, bare.at_ns) == ("bare", "", 0)
    assert binary == text


def test_a_record_that_cannot_be_meant_is_counted_and_costs_no_other():
    bad = [Span(name="no ids"), Span(trace_id=bytes(16), span_id=TRACE[:8]), Span(trace_id=TRACE, span_id=b"short")]
    unlinked = Span(trace_id=TRACE, span_id=OTHER[:8], links=[Span.Link(trace_id=b"odd", span_id=b"odd")])

    export = decode(spans(*bad, unlinked).SerializeToString(), False, "traces")

    assert [span.span_id for span in export.spans] == ["0102030405060708", "1112131415161718"]
    assert export.spans[1].links == ()
    assert export.dropped == 3


def test_what_is_past_a_limit_is_left_out(monkeypatch):
    monkeypatch.setattr(otlp, "MOST_RECORDS", 5)
    wide = Span(
        trace_id=TRACE, span_id=OTHER[:8], name="x" * 10_000,
        attributes=[attribute(str(n), int_value=n) for n in range(300)],
        links=[Span.Link(trace_id=OTHER, span_id=OTHER[:8])] * 300,
    )  # fmt: skip

    export = decode(spans(*[wide] * 9).SerializeToString(), False, "traces")

    assert (len(export.spans), export.dropped) == (5, 5)
    assert len(export.spans[1].attributes) == len(export.spans[1].links) == 128
    assert len(export.spans[1].name) == 4096


def test_a_handle_of_a_secret_cannot_be_smuggled_in():
    forged = attribute("key", string_value="\ue000secret.token\ue001")

    export = decode(
        spans(Span(trace_id=TRACE, span_id=OTHER[:8], attributes=[forged])).SerializeToString(), False, "traces"
    )

    assert export.spans[1].attributes == {"key": "\ufffdsecret.token\ufffd"}


@pytest.mark.parametrize(
    ("content", "is_json"),
    [
        (b"", True),
        (b"[]", True),
        (b"null", True),
        (b'{"resourceSpans": NaN}', True),
        (b'{"a": 1, "a": 2}', True),
        (b"[" * 100_000, True),
        (b"\x0a", False),
        (b"\x0a\xff\xff\xff\xff\x0f", False),
        (b"\x0a\x05\x12\x7f", False),
        (b"\x0b\x0c", False),
        (b"\x08" + b"\xff" * 20, False),
        (b"hello, world", False),
        (b"\x12\x06\x0a\x04\x08\x01\xff", False),
    ],
)
def test_what_is_no_request_is_unreadable(content, is_json):
    with pytest.raises(Unreadable):
        decode(content, is_json, "traces")


@pytest.mark.parametrize("strange", [b"{}", b'{"resourceSpans": 5}', b'{"resourceSpans": [[], 5, {"scopeSpans": {}}]}'])
def test_what_holds_nothing_is_nothing(strange):
    assert decode(strange, True, "traces") == otlp.Export()


def nested(depth):
    value = AnyValue(string_value="deep")
    for _ in range(depth):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    return value


def test_depth_is_bounded():
    shallow = Span(trace_id=TRACE, span_id=OTHER[:8], attributes=[KeyValue(key="a", value=nested(5))])
    deep = Span(trace_id=TRACE, span_id=OTHER[:8], attributes=[KeyValue(key="a", value=nested(40))])

    assert decode(spans(shallow).SerializeToString(), False, "traces").spans[1].attributes == {"a": [[[[["deep"]]]]]}
    with pytest.raises(Unreadable, match="deep"):
        decode(spans(deep).SerializeToString(), False, "traces")


def length_delimited(number, content):
    size, out = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(out) + bytes([size]) + content


@pytest.mark.parametrize("depth", [(), (1,), (1, 2), (1, 2, 2)])
def test_a_bomb_of_empty_messages_is_refused_for_little_memory(depth, monkeypatch):
    monkeypatch.setattr(otlp, "MOST_MESSAGES", 20_000)
    field = {(): b"\x0a\x00", (1,): b"\x12\x00", (1, 2): b"\x12\x00", (1, 2, 2): b"\x4a\x00"}[depth]
    content = field * (otlp.MOST_BYTES // 2 - 16)
    for number in reversed(depth):
        content = length_delimited(number, content)
    assert len(content) <= otlp.MOST_BYTES

    tracemalloc.start()
    with pytest.raises(TooLarge):
        decode(content, False, "traces")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 20_000 * 250


@pytest.mark.parametrize("content", [b"[" + b"{}," * 900_000 + b"{}]", b"[" + b"0," * 1_900_000 + b"0]"])
def test_a_bomb_of_json_is_refused_before_it_is_read(content):
    with pytest.raises(TooLarge):
        decode(b'{"resourceSpans": ' + content + b"}", True, "traces")


def test_gzip_is_undone_up_to_a_limit():
    whole = gzip.compress(b"a" * 1000) + gzip.compress(b"b" * 1000)

    assert unpack(whole) == b"a" * 1000 + b"b" * 1000
    with pytest.raises(TooLarge):
        unpack(whole, 1999)
    with pytest.raises(TooLarge):
        unpack(gzip.compress(bytes(50_000_000)))
    for broken in (whole[:-1], b"not gzip", whole + b"rest"):
        with pytest.raises(Unreadable):
            unpack(broken)


@settings(max_examples=200, deadline=None, database=None)
@given(st.binary(max_size=200), st.booleans(), st.sampled_from(["traces", "logs"]))
def test_no_bytes_break_it(content, is_json, carries):
    with suppress(Unreadable, TooLarge):
        decode(content, is_json, carries)


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=20).map(
            lambda value: AnyValue(string_value=value.replace("\ue000", "").replace("\ue001", ""))
        ),
        st.integers(-(2**63), 2**63 - 1).map(lambda value: AnyValue(int_value=value)),
        st.booleans().map(lambda value: AnyValue(bool_value=value)),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: AnyValue(double_value=value)),
        st.binary(max_size=20).map(lambda value: AnyValue(bytes_value=value)),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda told: AnyValue(array_value=ArrayValue(values=told))),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(VALUES, max_size=5), st.integers(0, 2**64 - 1), st.sampled_from(range(6)), st.text(max_size=30))
def test_what_the_library_writes_reads_the_same_from_both_formats(values, at_ns, kind, name):
    name = name.replace("\ue000", "").replace("\ue001", "")
    attributes = [KeyValue(key=str(n), value=value) for n, value in enumerate(values)]
    span = Span(
        trace_id=TRACE, span_id=TRACE[:8], name=name, kind=kind, start_time_unix_nano=at_ns, attributes=attributes
    )
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])])

    binary, text = decode(request.SerializeToString(), False, "traces"), decode(as_json(request), True, "traces")

    assert binary == text
    (read,) = binary.spans
    assert (read.name, read.start_ns, len(read.attributes)) == (name, at_ns, len(values))


def listened(**more):
    """A collector and what it handed on."""
    collector, heard = Collector(**more), []
    collector.subscribe(lambda told: heard.append(told) or True)
    return collector, heard


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("binary", [False, True])
async def test_a_sender_is_heard_in_its_own_format(binary, packed):
    collector, heard = listened()
    body = spans().SerializeToString() if binary else as_json(spans())
    headers = (PROTOBUF if binary else JSON) | ({"content-encoding": "gzip"} if packed else {})
    async with a_caller(collector=collector) as client:
        answer = await client.post("/v1/traces", content=gzip.compress(body) if packed else body, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == headers["content-type"]
    assert answer.content == (b"" if binary else b"{}")
    ((told,),) = [heard]
    assert [span.name for span in told.spans] == ["ledger-posted"]
    assert told.logs == ()


async def test_what_was_dropped_is_told_to_the_sender():
    collector, heard = listened()
    request = spans(Span(name="no ids"))
    async with a_caller(collector=collector) as client:
        text = await client.post("/v1/traces", content=as_json(request), headers=JSON)
        binary = await client.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)

    assert text.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert ExportTraceServiceResponse.FromString(binary.content).partial_success.rejected_spans == 1
    assert [told.dropped for told in heard] == [1, 1]


async def test_an_empty_request_of_logs_is_answered():
    collector, heard = listened()
    async with a_caller(collector=collector) as client:
        answer = await client.post("/v1/logs", content=b"", headers=PROTOBUF)

    assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()
    assert heard[0].logs == ()


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        (JSON, b"{", 400),
        (PROTOBUF, b"hello, world", 400),
        (JSON | {"content-encoding": "gzip"}, b"not gzip", 400),
        (JSON | {"content-encoding": "br"}, b"{}", 415),
        ({"content-type": "text/plain"}, b"{}", 415),
        ({}, b"{}", 415),
        (JSON, b" " * (1024 * 1024 + 1), 413),
        (JSON | {"content-encoding": "gzip"}, gzip.compress(b" " * (4 * 1024 * 1024 + 1)), 413),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_words(headers, content, status):
    collector, heard = listened()
    async with a_caller(collector=collector) as client:
        answer = await client.post("/v1/traces", content=content, headers=headers)

    assert answer.status_code == status
    assert len(answer.content) > 10
    assert not heard


async def test_only_who_has_the_token_is_heard():
    collector, heard = listened(access=Access((TOKEN,)), local_only=False)
    async with a_caller(collector=collector) as client:
        codes = []
        for given_token in ("", "Bearer wrong-wrong-wrong-wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}"):
            answer = await client.post("/v1/logs", content=b"{}", headers=JSON | {"authorization": given_token})
            codes.append(answer.status_code)

    assert codes == [401, 401, 401, 200]
    assert len(heard) == 1


async def test_without_a_token_only_this_machine_is_heard():
    public, from_public = listened(local_only=False)
    local, from_local = listened()
    async with a_caller(collector=public) as client:
        refused = await client.post("/v1/logs", content=b"{}", headers=JSON)
    async with a_caller(collector=local) as client:
        rebound = await client.post("/v1/logs", content=b"{}", headers=JSON | {"host": "evil.example"})
        here = await client.post("/v1/logs", content=b"{}", headers=JSON)

    assert (refused.status_code, rebound.status_code, here.status_code) == (401, 401, 200)
    assert "hooks.token" in refused.json()["message"]
    assert (len(from_public), len(from_local)) == (0, 1)


async def test_a_listener_without_room_sends_the_sender_away_for_a_while():
    collector, _ = listened()
    stop = collector.subscribe(lambda told: False)
    async with a_caller(collector=collector) as client:
        full = await client.post("/v1/logs", content=b"{}", headers=JSON)
        stop()
        stop()
        fine = await client.post("/v1/logs", content=b"{}", headers=JSON)

    assert (full.status_code, full.headers["retry-after"]) == (503, "1")
    assert fine.status_code == 200
