"""How long to wait before the next attempt: doubling, with jitter, so that many do not come at once."""

from __future__ import annotations

import random

FIRST_S, LONGEST_S = 0.5, 30.0


class Backoff:
    """Waits of 0.5 s, 1 s, … 30 s, each times 0.5 to 1; a server's own word (Retry-After) is honoured."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def next(self, retry_after_s: float | None = None) -> float:
        """Seconds to wait now, at least `retry_after_s` (which is believed up to five minutes)."""
        wait_s = self._next_s * random.uniform(0.5, 1)
        self._next_s = min(2 * self._next_s, LONGEST_S)
        return max(wait_s, min(retry_after_s or 0, 300))

    def reset(self) -> None:
        """The last attempt went well."""
        self._next_s = FIRST_S
