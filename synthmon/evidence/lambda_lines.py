"""What AWS Lambda writes into a log: lines of JSON, text with its own beginning, and its reports of an invocation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from synthmon.core.fields import fields_of

REPORTS = frozenset(("START", "END", "REPORT"))


def fields_of_message(message: str) -> dict[str, Any]:
    """The fields of one log event, in which ids of X-Ray stand as trace ids; what is none of these is one `message`.

    The formats: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
    """
    line = message.strip()
    fields = fields_of(line.encode("utf-8", "replace"))
    if fields is not None:
        return _report_in_json(fields) or _opened(fields)
    report = _REPORT.fullmatch(line)
    if report is not None:
        return {"step": report[1], "requestId": report[2], **dict(_parts(report[3]))}
    text = _OF_NODE.fullmatch(line) or _OF_PYTHON.fullmatch(line)
    if text is None:
        return {"message": line}
    begun = {name: told for name, told in text.groupdict().items() if told != "undefined"}
    said = begun.pop("message").strip()
    return begun | (fields_of(said.encode("utf-8", "replace")) or {"message": said})


def _opened(fields: dict[str, Any]) -> dict[str, Any]:
    """Lambda's JSON keeps an object that was logged under `message`; its fields come first."""
    match fields.get("message"):
        case dict(inner):
            return {**inner, **{name: told for name, told in fields.items() if name not in inner and name != "message"}}
    return fields


def _report_in_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`platform.report` and its like; empty for anything else."""
    match fields:
        case {"type": str(type_), "record": dict(record)} if type_.startswith("platform."):
            told = {name: value for name, value in record.items() if name not in ("metrics", "tracing")}
            match record.get("metrics"):
                case dict(metrics):
                    told |= metrics
            match record.get("tracing"):
                case {"value": str(value), **more} if (trace := _ROOT.search(value)) is not None:
                    told |= {"traceId": trace[1], "spanId": more.get("spanId", "")}
            return {"step": type_, "time": fields.get("time", ""), **told}
    return {}


def _parts(rest: str) -> Iterator[tuple[str, Any]]:
    """`Duration: 2.38 ms` and its like, between tabs; what has a usual name gets it."""
    for part in rest.split("\t"):
        name, _, told = part.strip().partition(": ")
        if name == "Duration":
            yield "durationMs", told.removesuffix(" ms")
        elif name:
            yield _USUAL.get(name, name), told


_USUAL = {"Status": "status", "XRAY TraceId": "traceId", "SegmentId": "spanId"}
_INSTANT = r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)"
_REQUEST = r"(?P<requestId>[0-9a-f-]{36}|undefined)"
_OF_NODE = re.compile(rf"{_INSTANT}\t{_REQUEST}\t(?P<level>[A-Z]+)\t(?P<message>.*)", re.DOTALL)
_OF_PYTHON = re.compile(rf"\[(?P<level>[A-Z]+)\]\t{_INSTANT}\t{_REQUEST}\t(?P<message>.*)", re.DOTALL)
_REPORT = re.compile(rf"({'|'.join(sorted(REPORTS))}) RequestId: ([0-9a-f-]{{36}})(.*)", re.DOTALL)
_ROOT = re.compile(r"Root=([0-9a-f]{32})\b")
