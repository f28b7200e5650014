"""The fields of OTLP export requests that are read, by message and number (opentelemetry-proto 1.x)."""

from __future__ import annotations

from synthmon.web.protobuf import Field, Form, Table

TABLE: Table = {
    "traces": {1: Field("resourceSpans", "ResourceSpans", True)},
    "ResourceSpans": {1: Field("resource", "Resource"), 2: Field("scopeSpans", "ScopeSpans", True)},
    "ScopeSpans": {1: Field("scope", "Scope"), 2: Field("spans", "Span", True)},
    "Span": {
        1: Field("traceId", Form.HEX),
        2: Field("spanId", Form.HEX),
        3: Field("traceState", Form.TEXT),
        4: Field("parentSpanId", Form.HEX),
        5: Field("name", Form.TEXT),
        6: Field("kind", Form.INT),
        7: Field("startTimeUnixNano", Form.UINT64),
        8: Field("endTimeUnixNano", Form.UINT64),
        9: Field("attributes", "KeyValue", True),
        11: Field("events", "Event", True),
        13: Field("links", "Link", True),
        15: Field("status", "Status"),
    },
    "Event": {
        1: Field("timeUnixNano", Form.UINT64),
        2: Field("name", Form.TEXT),
        3: Field("attributes", "KeyValue", True),
    },
    "Link": {1: Field("traceId", Form.HEX), 2: Field("spanId", Form.HEX), 4: Field("attributes", "KeyValue", True)},
    "Status": {2: Field("message", Form.TEXT), 3: Field("code", Form.INT)},
    "logs": {1: Field("resourceLogs", "ResourceLogs", True)},
    "ResourceLogs": {1: Field("resource", "Resource"), 2: Field("scopeLogs", "ScopeLogs", True)},
    "ScopeLogs": {1: Field("scope", "Scope"), 2: Field("logRecords", "LogRecord", True)},
    "LogRecord": {
        1: Field("timeUnixNano", Form.UINT64),
        2: Field("severityNumber", Form.INT),
        3: Field("severityText", Form.TEXT),
        5: Field("body", "AnyValue"),
        6: Field("attributes", "KeyValue", True),
        9: Field("traceId", Form.HEX),
        10: Field("spanId", Form.HEX),
        11: Field("observedTimeUnixNano", Form.UINT64),
        12: Field("eventName", Form.TEXT),
    },
    "Resource": {1: Field("attributes", "KeyValue", True)},
    "Scope": {1: Field("name", Form.TEXT)},
    "KeyValue": {1: Field("key", Form.TEXT), 2: Field("value", "AnyValue")},
    "AnyValue": {
        1: Field("stringValue", Form.TEXT),
        2: Field("boolValue", Form.BOOL),
        3: Field("intValue", Form.INT),
        4: Field("doubleValue", Form.DOUBLE),
        5: Field("arrayValue", "ArrayValue"),
        6: Field("kvlistValue", "KeyValueList"),
        7: Field("bytesValue", Form.BASE64),
    },
    "ArrayValue": {1: Field("values", "AnyValue", True)},
    "KeyValueList": {1: Field("values", "KeyValue", True)},
}
