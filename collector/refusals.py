"""Who was refused lately, and why: so that who looks at the status need not read the log. Thread safe."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from linkgauge.clock import NS_PER_S, Clock

LATELY_S = 120.0
MOST = 64
"""Pairs of who and why that are remembered; the one that is longest ago goes first."""
TOLD_ELSEWHERE = frozenset({"rate", "busy", "slow", "store", "truncated"})
"""Reasons that pass by themselves, or that the status tells in another way."""


@dataclass(frozen=True, slots=True)
class Refused:
    """who: a holder ("agent:n1") or the address that a connection came from. times: since it began."""

    who: str
    reason: str
    sentence: str
    times: int
    age_s: float


class Refusals:
    """See above."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._noted: dict[tuple[str, str], tuple[str, int, int]] = {}

    def note(self, who: str, reason: str, sentence: str) -> None:
        """One refusal."""
        if reason in TOLD_ELSEWHERE:
            return
        with self._lock:
            _, times, _ = self._noted.pop((who, reason), ("", 0, 0))
            self._noted[who, reason] = sentence[:300], times + 1, self._clock.now().mono_ns
            if len(self._noted) > MOST:
                del self._noted[next(iter(self._noted))]

    def lately(self) -> list[Refused]:
        """Those of the last LATELY_S, the newest first."""
        now_ns = self._clock.now().mono_ns
        with self._lock:
            found = [
                Refused(who, reason, sentence, times, (now_ns - at_ns) / NS_PER_S)
                for (who, reason), (sentence, times, at_ns) in reversed(self._noted.items())
            ]
        return [each for each in found if each.age_s <= LATELY_S]
