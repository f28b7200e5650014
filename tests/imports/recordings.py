"""Recordings of a browser, as it would export them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SHOP = "https://shop.example.com"
TOKEN = "eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl"
REFERENCE = "7d444840-9dc0-41d1-b245-5ffdce74fad2"


def entry(
    at_s: float,
    method: str,
    url: str,
    status: int = 200,
    *,
    sent: Any = None,
    got: Any = None,
    headers: Mapping[str, str] | None = None,
    answered: Mapping[str, str] | None = None,
    media: str = "application/json",
    text: str | None = None,
    resource: str = "xhr",
) -> dict[str, Any]:
    """One request with its answer; `sent` and `got` are JSON bodies."""
    request: dict[str, Any] = {"method": method, "url": url, "headers": _listed(headers)}
    if sent is not None:
        request["postData"] = {"mimeType": "application/json", "text": json.dumps(sent)}
    body = text if text is not None else "" if got is None else json.dumps(got)
    return {
        "startedDateTime": f"2026-01-01T10:00:{at_s:06.3f}Z",
        "_resourceType": resource,
        "request": request,
        "response": {"status": status, "headers": _listed(answered), "content": {"mimeType": media, "text": body}},
    }


def har(*entries: dict[str, Any]) -> str:
    """A HAR file."""
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


def bought() -> str:
    """Somebody opens the shop, logs in, orders a mug and waits until it is paid; entries are not in order."""
    signed = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "Mozilla/5.0", "sec-fetch-mode": "cors"}
    order = {"id": "ord_8842abX", "status": "placed"}
    page = '<html><title>The Shop</title><input name="csrf" value="kfjh3487fhskjfh3487fhk"></html>'
    body = {"sku": "mug-blue", "reference": REFERENCE, "phone": "+44 20 7183 8750", "card": "4539578763621486"}
    login = {"email": "jane@corp.com", "password": "hunter2hunter2", "csrf": "kfjh3487fhskjfh3487fhk"}
    return har(
        entry(
            5, "GET", f"{SHOP}/api/orders/ord_8842abX", got={**order, "status": "paid", "total": 25.0}, headers=signed
        ),
        entry(0, "GET", f"{SHOP}/", media="text/html", text=page, resource="document"),
        entry(0.5, "GET", f"{SHOP}/a.css", media="text/css", resource="stylesheet"),
        entry(0.6, "GET", "https://www.google-analytics.com/collect?x=1"),
        entry(
            1,
            "POST",
            f"{SHOP}/api/login",
            sent=login,
            got={"access_token": TOKEN, "user": {"id": 77, "email": "jane@corp.com"}},
            answered={"Set-Cookie": "sid=s3ss10n1234; Path=/; HttpOnly"},
        ),
        entry(
            2,
            "GET",
            f"{SHOP}/api/users/77",
            got={"name": "Jane"},
            headers={**signed, "Cookie": "sid=s3ss10n1234; _ga=1"},
        ),
        entry(3, "POST", f"{SHOP}/api/orders", 201, sent=body, got={**order, "reference": REFERENCE}, headers=signed),
        entry(3.5, "GET", f"{SHOP}/api/orders/ord_8842abX", got=order, headers=signed),
        entry(4, "GET", f"{SHOP}/api/orders/ord_8842abX", got=order, headers=signed),
        entry(
            6,
            "GET",
            f"{SHOP}/api/ledger?reference={REFERENCE}&order=ord_8842abX",
            got={"entries": [{"a": 1}]},
            headers=signed,
        ),
    )


def _listed(headers: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in (headers or {}).items()]
