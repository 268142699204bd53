"""What one watch remembers of the things that are not in order: a row for each, in columns. Pure.

Bit k of `bad` says that the window k windows ago breached, bit k of `good` that it was known and clear. Where
unknown holds, only the last N = rule.windows known windows are kept; where unknown clears, every window is
known, but for those in which a thing that fires could not be seen, and `good` is not used. A thing without a
breach in its history, whose alert does not fire, has no row. While an alert fires, unknown windows
leave its history as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.evaluation.bits import ONE, Bits, highest, ones, shifted, without_highest
from alerts.rule import Rule

MOST_UNKNOWN = 5
"""Unknown windows in a row that empty the history of what does not fire."""

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(slots=True)
class History:
    """k things: columns (k,). row: where the thing stands in the frame, -1 when it is not there."""

    things: NDArray[np.object_]
    row: Rows
    bad: Bits
    good: Bits
    unknown: NDArray[np.int64]
    """Unknown windows in a row until now; where unknown clears 0."""
    since_ns: NDArray[np.int64]
    """Of what fires: start of the first breached window when it began to."""
    seen_ns: NDArray[np.int64]
    """Start of the last known window."""
    firing: Mask

    @classmethod
    def of(cls, things: NDArray[np.object_], row: Rows, start_ns: int) -> History:
        """Things whose first breached window is that of start_ns."""
        k = len(things)
        return cls(
            things, row, np.full(k, ONE), np.zeros(k, np.uint64), np.zeros(k, np.int64),
            np.zeros(k, np.int64), np.full(k, start_ns, np.int64), np.zeros(k, np.bool_),
        )  # fmt: skip

    @classmethod
    def empty(cls) -> History:
        return cls.of(np.empty(0, np.object_), np.empty(0, np.intp), 0)

    def __len__(self) -> int:
        return len(self.things)

    def keep(self, mask: Mask) -> None:
        """Only these rows."""
        if not mask.all():
            for name in self.__slots__:
                setattr(self, name, getattr(self, name)[mask])

    def add(self, more: History) -> None:
        if len(more):
            for name in self.__slots__:
                setattr(self, name, np.concatenate([getattr(self, name), getattr(more, name)]))

    def pause(self, rule: Rule, windows: int) -> None:
        """So many windows that nobody judged: unknown to what does not fire, no time to what does."""
        still = ~self.firing
        self.bad = np.where(still, shifted(self.bad, windows), self.bad)
        self.good = np.where(still, shifted(self.good, windows), self.good)
        if rule.unknown == "holds":
            self.unknown = np.where(still, self.unknown + windows, self.unknown)
        self._tidy(rule)

    def step(self, rule: Rule, bad: Mask, known: Mask, start_ns: int, late: bool = False) -> None:
        """One window; bad, known (k,): bad ones are known. late: where it is unknown, that is no time to what
        fires."""
        moves = known | ~self.firing
        self.bad = np.where(moves, (self.bad << ONE) | bad, self.bad)
        self.good = np.where(moves, (self.good << ONE) | (known & ~bad), self.good)
        self.unknown = np.where(known, 0, self.unknown + (~self.firing if late else 1))
        self.seen_ns = np.where(known, start_ns, self.seen_ns)
        self._tidy(rule)

    def fires(self, rule: Rule) -> Mask:
        """Which have breached windows enough."""
        enough: Mask = ones(self.bad) >= rule.hold_windows
        return enough

    def first_breach_ns(self, length_ns: int, start_ns: int) -> NDArray[np.int64]:
        """Start of the oldest breached window in the history; start_ns: of the newest."""
        return start_ns - highest(self.bad) * length_ns

    def breaches_now(self, start_ns: int) -> Mask:
        """Which breached in the newest window, which began then."""
        breaches: Mask = ((self.bad & ONE) == ONE) & (self.seen_ns == start_ns)
        return breaches

    def _tidy(self, rule: Rule) -> None:
        """Forget what is older than the rule looks back."""
        if rule.unknown == "clears":
            reach = np.uint64((1 << rule.windows) - 1)
            self.bad, self.good = self.bad & reach, np.zeros_like(self.good)
            return
        stale = ~self.firing & (self.unknown >= MOST_UNKNOWN)
        self.bad = np.where(stale, np.uint64(0), self.bad)
        self.good = np.where(stale, np.uint64(0), self.good)
        while (many := ones(self.bad | self.good) > rule.windows).any():
            rest = without_highest(self.bad | self.good)
            self.bad = np.where(many, self.bad & rest, self.bad)
            self.good = np.where(many, self.good & rest, self.good)
