"""How the headers of a session come onto a request, for whoever performs it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from synthmon.core.door import Trouble


class Signer(Protocol):
    """The headers that requests carry under a session (`runtime.sessions`)."""

    def wanted(self, auth: str, system: str) -> bool:
        """Whether a request of this session, or to this system, carries any."""
        ...

    async def headers(self, auth: str, system: str, clean_up: bool = False) -> tuple[tuple[str, str], ...] | Trouble:
        """The headers, their secrets sealed; logs in if need be, for clean-up also when nothing else may leave."""
        ...

    def renew(self, auth: str, system: str, used: tuple[tuple[str, str], ...]) -> bool:
        """The target answered 401 to these headers; whether there may be others now."""
        ...


def signed(request: Any, headers: tuple[tuple[str, str], ...]) -> Any:
    """A request with the headers of its session, where its kind has headers at all."""
    if not hasattr(request, "headers"):
        return request
    return replace(request, headers=(*request.headers, *headers))
