"""What may be asked at once and in a second, decided before anything is read or parsed.

A bucket of requests for each holder of a token; a bound on the batches in work, in number, in octets, and for
each holder. Who asks for more is told when to come again, each at another time.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from collector.admission import Refusal
from linkgauge.clock import NS_PER_S, Clock

SPREAD_S = 10.0
"""Over how long those who were turned away at once come again."""
AT_ONCE = 64
"""Batches in work at once; more are asked to come again, which bounds the memory."""
EACH_AT_ONCE = 4
"""Of these, how many may be of one holder."""


class Later(Refusal):
    """A refusal that tells when to come again. retry_after_s: whole seconds, with a share of chance."""

    def __init__(self, reason: str, sentence: str, status: int, least_s: float = 1.0) -> None:
        super().__init__(reason, sentence, status)
        self.retry_after_s = jittered_s(least_s)


def jittered_s(least_s: float) -> int:
    """`least_s` and up to SPREAD_S more, rounded up, at least 1."""
    return max(1, math.ceil(least_s + random.random() * SPREAD_S))


class Rate:
    """A token bucket for each name: `per_s` requests a second, `burst` at once. Thread safe.

    Names are those of holders in the token file, so there are never more buckets than holders.
    """

    def __init__(self, per_s: float, burst: int, clock: Clock) -> None:
        self._per_s, self._burst, self._clock = per_s, float(burst), clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, int]] = {}

    def take(self, name: str) -> None:
        """Count one request; raises Later (429) when `name` has none left."""
        now_ns = self._clock.now().mono_ns
        with self._lock:
            left, at_ns = self._buckets.get(name, (self._burst, now_ns))
            left = min(self._burst, left + (now_ns - at_ns) / NS_PER_S * self._per_s)
            allowed = left >= 1
            self._buckets[name] = (left - allowed, now_ns)
        if not allowed:
            raise Later(
                "rate",
                f"{name} asks more than {self._per_s:g} times a second; see `limits` in the settings",
                429,
                (1 - left) / self._per_s,
            )


class Workload:
    """Batches in work; used by the server's loop alone. most_octets: of all their bodies together."""

    def __init__(self, most_octets: int) -> None:
        self._most_octets = most_octets
        self._octets = 0
        self._of: dict[str, int] = {}

    @property
    def batches(self) -> int:
        return sum(self._of.values())

    @contextmanager
    def room(self, name: str, octets: int) -> Iterator[None]:
        """Hold room for one batch of `name` with a body of at most `octets`; raises Later (503, 429)."""
        if self._of.get(name, 0) >= EACH_AT_ONCE:
            raise Later("rate", f"{name} has {EACH_AT_ONCE} batches in work; wait for their answers", 429)
        if self.batches >= AT_ONCE or (self._octets and self._octets + octets > self._most_octets):
            raise Later("busy", "the collector has too many batches in work; send it again", 503)
        self._of[name] = self._of.get(name, 0) + 1
        self._octets += octets
        try:
            yield
        finally:
            self._octets -= octets
            self._of[name] -= 1
            if not self._of[name]:
                del self._of[name]
