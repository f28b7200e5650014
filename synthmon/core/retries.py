"""Whether a failed request may be repeated: not while most fail, so that an outage is not made worse.

Retry throttling as in gRPC's proposal A6: a failure takes a token, a success gives a tenth of one back, and nothing is
repeated while no more than half of them are left. A few failures among many successes are repeated; of many in a row
only the first few are.
"""

from __future__ import annotations

TOKENS = 10.0
GIVEN_BACK = 0.1


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
