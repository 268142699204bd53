"""What may be asked at once and in a second, decided before anything is read or parsed.

A bucket of requests for each holder of a token; a bound on the batches in work, in number, in octets, and for
each holder. Who asks for more is told when to come again, each at another time.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from collector.admission import Refusal
from linkgauge.clock import NS_PER_S, Clock

SPREAD_S = 10.0
"""Over how long those who were turned away at once come again."""
AT_ONCE = 64
"""Batches in work at once, which bounds the memory; more wait, and are asked to come again."""
WAIT_S = 4.0
"""How long a batch may wait for room: less than a client's patience."""
EACH_AT_ONCE = 4
"""Of these and of those that wait, how many may be of one holder."""
EACH_SHARE = 8
"""One holder's bodies may be so large a part of all; one body is always taken."""


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
    """Batches in work; used by the server's loop alone. most_octets: of all their bodies together.

    Who finds no room waits in a line for it, at most WAIT_S, before anything of the body is read: that costs
    a connection, which is bounded, and less than being sent away to come again.
    """

    def __init__(self, most_octets: int) -> None:
        self._most_octets = most_octets
        self._octets = 0
        self._working = 0
        self._of: dict[str, tuple[int, int]] = {}  # batches and octets of a holder, those that wait as well
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def batches(self) -> int:
        """In work."""
        return self._working

    @asynccontextmanager
    async def room(self, name: str, octets: int) -> AsyncIterator[None]:
        """Hold room for one batch of `name` with a body of at most `octets`; raises Later (503, 429)."""
        batches, held = self._of.get(name, (0, 0))
        if batches >= EACH_AT_ONCE or (batches and held + octets > self._most_octets // EACH_SHARE):
            raise Later("rate", f"{name} has {batches} batches in work; wait for their answers", 429)
        self._of[name] = batches + 1, held + octets
        try:
            if self._line or not self._fits(octets):
                await self._wait(octets)
            else:
                self._take(octets)
            try:
                yield
            finally:
                self._give_back(octets)
        finally:
            batches, held = self._of.pop(name)
            if batches > 1:
                self._of[name] = batches - 1, held - octets

    async def _wait(self, octets: int) -> None:
        """Until there is room, which is then taken."""
        turn = asyncio.get_running_loop().create_future()
        place = (turn, octets)
        self._line.append(place)
        try:
            await asyncio.wait_for(asyncio.shield(turn), WAIT_S)
        except (TimeoutError, asyncio.CancelledError) as err:
            if turn.done():  # at the very moment
                self._give_back(octets)
            else:
                self._line.remove(place)
                self._advance()
            if isinstance(err, TimeoutError):
                raise Later("busy", "the collector has too many batches in work; come again", 503) from None
            raise

    def _fits(self, octets: int) -> bool:
        few = self._working < AT_ONCE
        return few and (not self._octets or self._octets + octets <= self._most_octets)

    def _take(self, octets: int) -> None:
        self._working += 1
        self._octets += octets

    def _give_back(self, octets: int) -> None:
        self._working -= 1
        self._octets -= octets
        self._advance()

    def _advance(self) -> None:
        """Give room to those who wait, in turn."""
        while self._line and self._fits(self._line[0][1]):
            turn, octets = self._line.popleft()
            self._take(octets)
            turn.set_result(None)
