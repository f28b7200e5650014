"""The OpenAPI document of the API, made from its table of endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synthmon.core.finding.peers import MOST_GOOD
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.replaying import MOST_TIMES, Stand
from synthmon.web.api import ENDPOINTS, PREFIX
from synthmon.web.endpoints import MOST_RUNS, Endpoint
from synthmon.web.standing import State

_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_BOOL = {"type": "boolean"}
_INSTANT = {"type": "string", "format": "date-time"}
_MAYBE_INSTANT = {"type": ["string", "null"], "format": "date-time"}
_INTEGER = {"type": "integer"}
_OBJECT = {"type": "object"}


def document(version: str) -> Mapping[str, Any]:
    """OpenAPI 3.1 as a mapping."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(PREFIX + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "synthmon", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"bearer": []}, {"basic": []}, {}],
    }


def _operation(endpoint: Endpoint) -> Mapping[str, Any]:
    names = re.findall(r"{(\w+)}", endpoint.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": _QUERY_SCHEMAS.get(name, _TEXT)}
        for name, text in endpoint.query.items()
    ]
    if endpoint.method == "POST":
        guard = {"type": "string", "const": "1"}
        parameters.append({"name": "X-Synthmon", "in": "header", "required": True, "schema": guard})
    content = {"application/json": {"schema": _ref(endpoint.body)}}
    return {
        "summary": endpoint.summary,
        "description": endpoint.answer.__doc__,
        "operationId": endpoint.answer.__name__,
        "parameters": parameters,
        **({"requestBody": {"content": content}} if endpoint.body else {}),
        "responses": {
            **{
                str(status): _response(endpoint.summary, "application/json", endpoint.shape)
                for status in endpoint.statuses
            },
            "default": _response("It did not work", "application/problem+json", "Fault"),
        },
    }


def _response(description: str, kind: str, shape: str) -> Mapping[str, Any]:
    return {"description": description, "content": {kind: {"schema": _ref(shape)}}}


_QUERY_SCHEMAS: Mapping[str, Any] = {
    "outcome": {"type": "array", "items": {"type": "string", "enum": list(Outcome)}},
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS},
    "before": _INSTANT,
    "good": {"type": "integer", "minimum": 1, "maximum": MOST_GOOD},
    "state": {"type": "string", "enum": list(State)},
}


def _schemas() -> Mapping[str, Any]:
    outcome = {"type": "string", "enum": list(Outcome)}
    reason = {"type": ["string", "null"], "enum": [None, *(reason for reason in Reason if reason)]}
    summary = {
        "id": _MAYBE,
        **dict.fromkeys(("journey", "location", "message", "cause"), _TEXT),
        **dict.fromkeys(("step", "system"), _MAYBE),
        "slot": _INSTANT,
        "started": _MAYBE_INSTANT,
        "ended": _MAYBE_INSTANT,
        "outcome": outcome,
        "reason": reason,
        **dict.fromkeys(("took_ms", "lateness_ms"), _NUMBER),
        "outcome_ms": _MAYBE_NUMBER,
        "lagged": _BOOL,
        "slots": _INTEGER,
    }
    journey = {
        **dict.fromkeys(("name", "title", "owner", "system"), _TEXT),
        "state": {"type": "string", "enum": list(State)},
        **dict.fromkeys(("paused", "running"), _BOOL),
        "next_slot": _MAYBE_INSTANT,
        "latency_ms": _object({"p50": _MAYBE_NUMBER, "p95": _MAYBE_NUMBER}),
        "last": {"anyOf": [_ref("RunSummary"), {"type": "null"}]},
    }
    detail = {
        **dict.fromkeys(("version", "place", "schedule", "runbook", "text"), _TEXT),
        "deadline_s": _NUMBER,
        **dict.fromkeys(("case", "labels", "alert"), _OBJECT),
        "slo": {"type": ["object", "null"]},
        "locations": _list(_TEXT),
        "steps": _list(_OBJECT),
        "recent": _list(_ref("RunSummary")),
    }
    run = {
        "version": _TEXT,
        "replay_of": _MAYBE,
        **dict.fromkeys(("steps", "verify", "clauses", "timeline", "undo", "debts"), _list(_OBJECT)),
        "notes": _list(_TEXT),
        "evidence_forgotten": _BOOL,
        **dict.fromkeys(("vars", "identity"), _OBJECT),
    }
    difference = {
        **dict.fromkeys(("turn", "said"), _TEXT),
        "names": _list(_TEXT),
        "at_ms": _NUMBER,
        **dict.fromkeys(("good_with", "good"), _INTEGER),
        "predicate": _MAYBE,
    }
    comparison = {
        **dict.fromkeys(("run", "of"), _TEXT),
        "good": _INTEGER,
        "first": {"anyOf": [_ref("Difference"), {"type": "null"}]},
        "differences": _list(_ref("Difference")),
        "spent": _list(_OBJECT),
    }
    suspect = {
        **dict.fromkeys(("predicate", "said"), _TEXT),
        **dict.fromkeys(("bad_with", "bad", "good_with", "good"), _INTEGER),
        **dict.fromkeys(("ochiai", "increase"), _NUMBER),
    }
    suspects = {
        **dict.fromkeys(("journey", "of", "said"), _TEXT),
        **dict.fromkeys(("good", "bad"), _INTEGER),
        "enough": _BOOL,
        "suspects": _list(_ref("Suspect")),
    }
    investigation = {
        "run": _ref("RunSummary"),
        "verdict": _TEXT,
        **dict.fromkeys(("notes", "next"), _list(_TEXT)),
        **dict.fromkeys(("clauses", "story"), _list(_OBJECT)),
        "comparison": _ref("Comparison"),
        "suspects": _ref("Suspects"),
    }
    made = {"order": _MAYBE, "run": _TEXT, "outcome": outcome, "message": _TEXT}
    found = {
        **dict.fromkeys(("order", "said"), _TEXT),
        **dict.fromkeys(("forced_bad", "forced_good", "reversed_bad", "reversed_good"), _INTEGER),
        "p": _NUMBER,
        "verdict": {"type": "string", "enum": ["confirmed", "not confirmed", "cannot force"]},
    }
    replaying = {
        **dict.fromkeys(("replay_of", "said"), _TEXT),
        "state": {"type": "string", "enum": list(Stand)},
        "plan": _ref("ReplayPlan"),
        "runs": _list(_object(made)),
        "finding": {"anyOf": [_object(found), {"type": "null"}]},
    }
    plan = {
        **dict.fromkeys(("replay_of", "journey", "version"), _TEXT),
        **dict.fromkeys(("systems", "writes", "runs", "notes", "lines"), _list(_TEXT)),
        "same_keys": _BOOL,
    }
    wish = {
        **dict.fromkeys(("same_keys", "yes"), _BOOL),
        "order": _TEXT,
        "times": {"type": "integer", "minimum": 0, "maximum": MOST_TIMES},
    }
    problem = {
        **dict.fromkeys(("file", "path", "level", "code", "fault", "remedy"), _TEXT),
        **dict.fromkeys(("line", "column"), _INTEGER),
    }
    return {
        "RunSummary": _object(summary),
        "Run": _object(summary | run),
        "Difference": _object(difference),
        "Comparison": _object(comparison),
        "Suspect": _object(suspect),
        "Suspects": _object(suspects),
        "Investigation": _object(investigation),
        "Runs": _object({"runs": _list(_ref("RunSummary")), "next": _MAYBE_INSTANT}),
        "JourneySummary": _object(journey),
        "Journey": _object(journey | detail),
        "Journeys": _object({"journeys": _list(_ref("JourneySummary")), "next": _MAYBE}),
        "Started": _object({"run": _TEXT}),
        "Paused": _object({"paused": _BOOL}),
        "Problem": _object(problem),
        "Problems": _object({"problems": _list(_ref("Problem"))}),
        "Reloaded": _object(
            {**dict.fromkeys(("added", "changed", "removed"), _list(_TEXT)), "problems": _list(_ref("Problem"))}
        ),
        "ReplayWish": {"type": "object", "properties": wish, "additionalProperties": False},
        "ReplayPlan": _object(plan),
        "Replaying": _object(replaying),
        "Identities": _object({"identities": _list(_OBJECT)}),
        "Debts": _object({"debts": _list(_OBJECT), "budget": _OBJECT}),
        "Fault": _object({"title": _TEXT, "status": _INTEGER, "detail": _TEXT}),
    }


def _object(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> Mapping[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
