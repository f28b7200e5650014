"""What a draft calls its journey, systems, steps, secrets and saved values."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from synthmon.imports.texts import Value
from synthmon.language.words import TAKEN, word_fault

_BAD_AS_NAME = frozenset(
    "type int uint double string bool list map dyn size matches timestamp duration optional base64 strings".split()
)
_ENOUGH = 40


def word_of(text: str, otherwise: str = "value") -> str:
    """A name as the language has them: `orderId` → `order_id`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    word = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")[:_ENOUGH].strip("_")
    word = re.sub(r"^[0-9_]+", "", word) or otherwise
    return f"{word}_value" if word_fault(word, TAKEN) or word in _BAD_AS_NAME else word


def unused(word: str, used: Container[str], between: str = "_") -> str:
    """The word, with a number behind it if it is taken."""
    made, n = word, 2
    while made in used:
        made, n = f"{word}{between}{n}", n + 1
    return made


def journey_name(*words: str) -> str:
    """A name for a journey: small letters, digits and `-`."""
    slug = "-".join(filter(None, (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)))
    return re.sub(r"^[0-9-]+", "", slug)[:60].strip("-") or "draft"


def system_name(origin: str) -> str:
    """`https://api.shop.example.com` → `shop`; an address in numbers and localhost are `local`."""
    host = (urlsplit(origin).hostname or "").lower()
    if host == "localhost" or _is_address(host):
        return "local"
    labels = [label for label in host.split(".") if label]
    while len(labels) > 1 and labels[0] in _NO_NAMES:
        labels = labels[1:]
    return re.sub(r"[^a-z0-9-]", "", labels[0] if labels else "").strip("-")[:40] or "system"


def step_id(method: str, path: Sequence[Value], used: Container[str]) -> str:
    """`POST /orders` → `order`, `GET /orders` → `orders`, `GET /orders/…` → `read_order`."""
    static = [unquote(piece) for piece in path if isinstance(piece, str) and piece and not looks_like_id(piece)]
    noun = word_of(static[-1].rpartition(".")[0] or static[-1] if static else "page", "step").removesuffix("_value")
    item = bool(path) and (not isinstance(path[-1], str) or looks_like_id(path[-1]))
    match method:
        case "GET" | "HEAD" | "OPTIONS" | "TRACE":
            word = f"read_{singular(noun)}" if item else noun
        case "POST":
            word = singular(noun)
        case "DELETE":
            word = f"delete_{singular(noun)}"
        case _:
            word = f"change_{singular(noun)}"
    return unused(word_of(word, "step"), used)


def singular(noun: str) -> str:
    """`orders` → `order`, `categories` → `category`."""
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and len(noun) > 3 else noun


def looks_like_id(text: str) -> bool:
    """Whether a segment of a path is likely to be one thing's id."""
    return bool(
        re.fullmatch(r"\d+|[0-9a-fA-F]{8,}|(?=.*\d)[\w.~-]{12,}|[0-9a-fA-F-]{32,36}", text)
    ) and not re.fullmatch(r"v\d+(\.\d+)?", text)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


_NO_NAMES = frozenset("www api app m web rest gateway backend staging stage test dev prod".split())
