"""Headers of a message as attributes of SQS and SNS, and back; and a run's trace as AWS writes it."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Reason

MOST = 10  # of one message (SQS, and SNS towards SQS)

Headers = tuple[tuple[str, str], ...]


def attributes_of(headers: Sequence[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """`MessageAttributes` of a message on its way out; where there are too many, marks that no other needs stay behind.
    Raises `ConnectionTrouble`."""
    texts = {name.lower() if name.lower() in _OURS else name: value for name, value in headers if value}
    for spare in _SPARE:
        if len(texts) > MOST:
            texts.pop(spare, None)
    if len(texts) > MOST:
        said = f"a message takes {MOST} attributes and this one has {len(texts)}: {', '.join(sorted(texts))}"
        raise ConnectionTrouble(Reason.EXPRESSION, f"{said}; leave some of its `headers` out", sent=False)
    for name in texts:
        if not _NAME.fullmatch(name) or name.lower().startswith(("aws.", "amazon.")):
            said = f"the header {name!r} cannot be an attribute: letters, digits, `-`, `_` and single dots"
            raise ConnectionTrouble(Reason.EXPRESSION, said, sent=False)
    return {name: {"DataType": "String", "StringValue": value} for name, value in texts.items()}


def text_of(content: bytes, what: str) -> str:
    """The content as AWS takes it. Raises `ConnectionTrouble`."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConnectionTrouble(
            Reason.EXPRESSION, f"{what} takes text, and this content is none", sent=False
        ) from error
    if not text:
        raise ConnectionTrouble(Reason.EXPRESSION, f"{what} takes no message without content", sent=False)
    return text


def fifo_of(headers: Sequence[tuple[str, str]], group: str | None, name: str) -> dict[str, str]:
    """Group and deduplication id: a FIFO needs both. Without a group of the writer's, a run is one of its own; the
    idempotency key makes a repeated attempt the same message for AWS too."""
    known = {header.lower(): value for header, value in headers}
    if not name.endswith(".fifo"):
        return {"MessageGroupId": group} if group else {}
    once = known.get("idempotency-key") or secrets.token_hex(16)
    return {"MessageGroupId": group or known.get("x-correlation-id") or once, "MessageDeduplicationId": once}


def trace_header(traceparent: str) -> str:
    """The W3C trace as X-Ray writes it; empty for none: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=…;Sampled=1`.

    X-Ray takes the first 8 of the 32 digits of a trace id for a time, and any time will do since it takes W3C ids.
    """
    if not (parts := _TRACEPARENT.fullmatch(traceparent)):
        return ""
    trace, parent, flags = parts.groups()
    return f"Root=1-{trace[:8]}-{trace[8:]};Parent={parent};Sampled={int(flags, 16) & 1}"


def trace_of(headers: Sequence[tuple[str, str]]) -> str:
    """The same, of a message on its way out."""
    return trace_header(next((value for name, value in headers if name.lower() == "traceparent"), ""))


def headers_of(attributes: Mapping[str, Mapping[str, Any]], trace: str = "") -> Headers:
    """Headers of a message that came, of SQS or of an envelope of SNS. `trace`: its `AWSTraceHeader`; the trace id in
    it is a header of its own, `trace-id`, so that a function that hands on nothing else is found."""
    return (*_read(attributes), *_traced(trace))


def _read(attributes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, attribute in attributes.items():
        value = attribute.get("StringValue", attribute.get("Value"))
        binary = attribute.get("BinaryValue")
        yield name.lower(), str(value) if value is not None else base64.b64encode(binary or b"").decode()


def _traced(trace: str) -> Iterator[tuple[str, str]]:
    if trace:
        yield "x-amzn-trace-id", trace
    if root := _ROOT.search(trace):
        yield "trace-id", f"{root[1]}{root[2]}"


_NAME = re.compile(r"(?!\.)(?:[A-Za-z0-9_-]|\.(?!\.|$)){1,256}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_ROOT = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})")
_SPARE = ("user-agent", "tracestate")
_OURS = frozenset((*_SPARE, "traceparent", "baggage", "x-correlation-id", "idempotency-key"))
