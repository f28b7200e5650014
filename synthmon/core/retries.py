"""Whether a failed request may be repeated: not while too many fail, so that an outage is not made worse.

Retry throttling as in gRPC's proposal A6: a failure takes a token, a success gives half of one back, and nothing is
repeated while no more than half of them are left. Failures are repeated while at most a third of the requests fail; of
many in a row only the first few are.
"""

from __future__ import annotations

TOKENS = 20.0
GIVEN_BACK = 0.5


class RetryTokens:
    """Those of one place of a system, over all runs together."""

    def __init__(self) -> None:
        self._left = TOKENS

    @property
    def allowed(self) -> bool:
        """Whether a request may be repeated now."""
        return self._left > TOKENS / 2

    def succeeded(self) -> None:
        """An answer that says all is well."""
        self._left = min(TOKENS, self._left + GIVEN_BACK)

    def failed(self) -> None:
        """No answer, or one that says the system is in trouble (5xx)."""
        self._left = max(0.0, self._left - 1)
