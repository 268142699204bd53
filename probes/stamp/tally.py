"""What each flow contributed over several windows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from probes.stamp.direction import Direction
from probes.stamp.fate import Fates
from probes.stamp.sessions import Sessions
from probes.stamp.span_delay import round_trips
from probes.stamp.window import Span

Ints = NDArray[np.int64]
_TOLD = ("sent", "replied", "lost_forward", "lost_backward", "lost_unattributed")
_COUNTS = (*_TOLD, "timed", "start_ns")


@dataclass(slots=True)
class Tally:
    """Sums over the windows added so far, (n,) for n sessions; rtt_ fields are those of `timed` packets.

    start_ns: of the first window added, 0 where none was.
    """

    start_ns: Ints
    sent: Ints
    replied: Ints
    lost_forward: Ints
    lost_backward: Ints
    lost_unattributed: Ints
    timed: Ints
    rtt_sum_ns: NDArray[np.float64]
    rtt_min_ns: NDArray[np.float64]

    @classmethod
    def empty(cls, sessions: int) -> Tally:
        """Nothing added yet."""
        a, b, c, d, e, f, g = np.zeros((7, sessions), np.int64)
        return cls(a, b, c, d, e, f, g, np.zeros(sessions), np.full(sessions, np.inf))

    def clear(self, some: NDArray[np.intp]) -> None:
        """Begin anew with these sessions."""
        for name in _COUNTS:
            getattr(self, name)[some] = 0
        self.rtt_sum_ns[some], self.rtt_min_ns[some] = 0.0, np.inf

    def add(self, sessions: Sessions, fates: Fates, span: Span) -> None:
        """Add a window."""
        n = len(sessions)
        self.start_ns[self.start_ns == 0] = span.start_ns

        def each(mask: NDArray[np.bool_]) -> Ints:
            return np.bincount(fates.session[mask & fates.inside], minlength=n).astype(np.int64)

        self.sent += each(~fates.failed)
        self.replied += each(fates.seen)
        self.lost_forward += each(fates.direction == Direction.FORWARD)
        self.lost_backward += each(fates.direction == Direction.BACKWARD)
        self.lost_unattributed += each(fates.direction == Direction.UNATTRIBUTED)
        session, rtt_ns = round_trips(fates, span.tai_offset_s)
        self.timed += np.bincount(session, minlength=n).astype(np.int64)
        self.rtt_sum_ns += np.bincount(session, rtt_ns, n)
        np.minimum.at(self.rtt_min_ns, session, rtt_ns)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Columns of the table flow, (n,)."""
        mean = np.full(len(self.sent), np.nan)
        np.divide(self.rtt_sum_ns, self.timed * NS_PER_US, out=mean, where=self.timed > 0)
        least = np.where(self.timed > 0, self.rtt_min_ns / NS_PER_US, np.nan)
        return {**{name: getattr(self, name) for name in _TOLD}, "rtt_mean_us": mean, "rtt_min_us": least}
