"""Rounds of echo probes on their way to becoming windows: a window is complete once nothing can add to it.

That is when it has ended, and no round runs that began before its end. A window is made once. Safe to use
from several threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linkgauge.clock import Clock, window_start
from linkgauge.frame import Frame
from probes.echo import EchoRound, window_frame

_MISSED = 4_096
"""Missed rounds that are remembered until their window is complete."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which an echo window was measured: sum of its Unfit bits; whether a throughput test ran here."""

    unfit: int = 0
    under_test: bool = False


Judge = Callable[[int, int], Conditions]
"""Conditions of a window, by its start and length in ns."""


class EchoWindows:
    """Keeps the rounds whose windows are not complete yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rounds: dict[str, list[EchoRound]] = {}
        self._running: dict[object, tuple[str, int]] = {}
        self._made: dict[str, int] = {}
        self._missed: deque[tuple[str, int]] = deque(maxlen=_MISSED)

    def missed(self, probe: str) -> None:
        """A round was due now and did not begin."""
        with self._lock:
            self._missed.append((probe, self._clock.now().wall_ns))

    def run(self, probe: str, one_round: Callable[[], EchoRound]) -> None:
        """Run a round; the windows that it may touch wait for its end."""
        token = object()
        with self._lock:
            self._running[token] = (probe, self._clock.now().wall_ns)
        try:
            done = one_round()
            with self._lock:
                self._rounds.setdefault(probe, []).append(done)
        finally:
            with self._lock:
                del self._running[token]

    def take(self, length_ns: int, now_ns: int | None, judge: Judge) -> list[Frame]:
        """WINDOW rows of the windows that are complete by now_ns (None: of all that are left)."""
        with self._lock:
            return [frame for probe in self._rounds for frame in self._take(probe, length_ns, now_ns, judge)]

    def begin_anew(self) -> int:
        """The wall clock was set back: rounds sent at times still to come belong to no window.

        Returns how many are dropped.
        """
        now_ns = self._clock.now().wall_ns
        with self._lock:
            dropped = 0
            for probe, rounds in self._rounds.items():
                self._rounds[probe] = [one for one in rounds if _sent_last_ns(one) <= now_ns]
                dropped += len(rounds) - len(self._rounds[probe])
            self._made = {}
        return dropped

    def _take(self, probe: str, length_ns: int, now_ns: int | None, judge: Judge) -> list[Frame]:
        rounds = self._rounds[probe]
        sent = np.concatenate([np.empty(0, np.int64), *(one.sent_wall_ns for one in rounds)])
        starts = sorted({window_start(int(at), length_ns) for at in np.unique(sent)})
        begun = [at for running, at in self._running.values() if running == probe]
        open_from = min([now_ns, *begun]) if now_ns is not None else None
        complete = [
            start
            for start in starts
            if start > self._made.get(probe, 0) and (open_from is None or start + length_ns <= open_from)
        ]
        frames = [self._made_of(rounds, probe, start, length_ns, judge) for start in complete]
        if complete:
            end = complete[-1] + length_ns
            self._rounds[probe] = [one for one in rounds if _sent_last_ns(one) >= end]
            self._made[probe] = complete[-1]
        return frames

    def _made_of(
        self, rounds: list[EchoRound], probe: str, start_ns: int, length_ns: int, judge: Judge
    ) -> Frame:
        conditions = judge(start_ns, length_ns)
        missed = sum(of == probe and start_ns <= at < start_ns + length_ns for of, at in self._missed)
        return window_frame(
            rounds,
            probe,
            start_ns,
            length_ns,
            conditions.unfit,
            under_test=int(conditions.under_test),
            missed=missed,
        )


def _sent_last_ns(one: EchoRound) -> int:
    return int(one.sent_wall_ns.max(initial=0))
