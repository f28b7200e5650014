"""Breaks and mends a running shop from the command line: plain blocking calls, no proxy."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_LIMIT_S = 5.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoTrouble(Exception):
    """The shop did not do it; the text tells a person why and what to do."""


def faults(url: str) -> list[dict[str, Any]]:
    """All faults: name, service, on, rate, struck, does, shows."""
    return _ask("GET", url)


def break_fault(url: str, name: str, rate: float | None = None) -> list[dict[str, Any]]:
    """Switch a fault on; answers as ``faults``. Raises DemoTrouble."""
    return _ask("POST", url, name, {} if rate is None else {"rate": rate})


def mend(url: str, name: str) -> list[dict[str, Any]]:
    """Switch a fault off; answers as ``faults``. Raises DemoTrouble."""
    return _ask("DELETE", url, name)


def _ask(method: str, url: str, name: str = "", body: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    base = url.rstrip("/")
    address = f"{base}/_demo/faults" + (f"/{urllib.parse.quote(name, safe='')}" if name else "")
    try:
        request = urllib.request.Request(
            address,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with _DIRECT.open(request, timeout=_LIMIT_S) as answer:
            told = json.loads(answer.read())["faults"]
    except urllib.error.HTTPError as exc:
        raise DemoTrouble(_reason(exc, base)) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DemoTrouble(
            f"no demo shop answers at {base}. Start one with `make demo` or `synthmon demo`, or name it by --shop."
        ) from exc
    if not isinstance(told, list):
        raise DemoTrouble(f"{base} answers, but it is not a demo shop.")
    return told


def _reason(exc: urllib.error.HTTPError, base: str) -> str:
    try:
        return str(json.loads(exc.read())["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{base} answers {exc.code}; it does not look like a demo shop."
