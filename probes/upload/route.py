"""Which collector is asked: addresses in order of preference, a circuit breaker for each. Pure.

    closed      asked whenever its turn comes
    open        after `opens_after` failures in a row, or a Retry-After: not asked for a time that doubles
                with each failure, jittered, from FIRST_S to `longest_s`, and never less than Retry-After
    half-open   that time is over: one try; success closes, failure opens for longer

The preferred address that may be asked is always asked first, so an agent goes over to the next address at
once and comes back as soon as the preferred one has answered again. Time and jitter come in as values.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkgauge.clock import seconds

FIRST_S, LONGEST_S = 0.5, 30.0
OPENS_AFTER = 2


def backoff_s(failures: int, jitter: float, longest_s: float = LONGEST_S) -> float:
    """The wait after so many failures in a row (from 1), s; jitter: 0..1, gives 0.5 to 1 of the whole."""
    whole_s: float = min(longest_s, FIRST_S * 2.0 ** min(failures - 1, 20))
    return whole_s * (0.5 + 0.5 * jitter)


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    until_ns: int = 0
    """Not asked before, monotonic ns."""


class Route:
    """Over `count` addresses, told by their place in the order. All times are monotonic ns."""

    def __init__(self, count: int, opens_after: int = OPENS_AFTER, longest_s: float = LONGEST_S) -> None:
        self._breakers = [_Breaker() for _ in range(count)]
        self._opens_after, self._longest_s = opens_after, longest_s
        self.address = 0
        """The one that answered last."""

    def order(self, now_ns: int) -> list[int]:
        """The addresses that may be asked now, the preferred first; empty when all are open."""
        return [at for at, breaker in enumerate(self._breakers) if breaker.until_ns <= now_ns]

    def on_trial(self, at: int) -> bool:
        """Whether it failed when it was asked last: it is given one try, which must not take long."""
        return self._breakers[at].failures > 0

    def answered(self, at: int) -> None:
        """It answered: closed."""
        self._breakers[at] = _Breaker()
        self.address = at

    def failed(self, at: int, now_ns: int, jitter: float, least_s: float = 0.0) -> None:
        """No answer, or not now. least_s: it asked for at least this wait (Retry-After)."""
        breaker = self._breakers[at]
        breaker.failures += 1
        over = breaker.failures - self._opens_after
        wait_s = backoff_s(over + 1, jitter, self._longest_s) if over >= 0 else 0.0
        # those that were told the same time must not all come at its end
        breaker.until_ns = now_ns + seconds(max(wait_s, least_s * (1.0 + 0.25 * jitter)))

    def wait_s(self, now_ns: int) -> float:
        """Time until an address may be asked, 0 when one may now."""
        return max(0, min(breaker.until_ns for breaker in self._breakers) - now_ns) / 1e9
