"""The largest packet that passes a way: a search over sizes, sent with Don't Fragment. Pure.

Sizes are octets of the IP packet. A size passes when the far end replies (with as many octets, so it is the
MTU of the way out and back); it is too big when a router says so, when the kernel will not send it, or when
all copies vanish in silence, as behind a firewall that swallows packet-too-big. What a packet-too-big claims
as MTU only tells where to look next, because it may be wrong: that size and the next are both sent. A result
that rests on silence is sent once more at both sides of the edge, because a way that failed meanwhile is
silent as well.
"""

from __future__ import annotations

from enum import Enum

CEILING = 9000
"""Largest size that is tried; a way that carries more is reported as this."""
USUAL = 1500
COPIES = 3
"""Packets of one size before silence is taken for too big."""


class _Step(Enum):
    """Why the present size is tried."""

    ANCHOR = "a size that is likely the MTU"
    EDGE = "one octet more than an anchor that passed"
    TOP = "the largest"
    HALF = "the middle of what is left"
    BELOW = "the result again: it must pass"
    ABOVE = "one octet more again: it must not"
    DONE = ""
    FAILED = "contradictory"


def headers_bytes(*, v6: bool) -> int:
    """Octets of an IP packet before its UDP payload: IP without options, and UDP."""
    return 48 if v6 else 28


class MtuSearch:
    """One search: send `copies` packets of `size`, tell what came by passed/too_big/silent, until `done`.

    floor: a size that has just passed. known: MTU found before, 0 = none. thorough: also look above a known
    MTU that still passes; otherwise that ends the search at once.
    """

    def __init__(self, floor: int, known: int = 0, *, thorough: bool = True) -> None:
        self._low, self._high = floor, CEILING + 1
        self._known, self._thorough = known, thorough
        self._doubted = self._by_silence = False
        self.size = 0
        """The size to be tried."""
        self._step = _Step.DONE
        if floor < CEILING and (thorough or known != floor):
            self._try(_Step.ANCHOR, min(max(known or USUAL, floor + 1), CEILING))

    @property
    def done(self) -> bool:
        """The search is over; see `mtu`."""
        return self._step in (_Step.DONE, _Step.FAILED)

    @property
    def mtu(self) -> int | None:
        """The largest size that passes; None while, or when, it cannot be told."""
        return self._low if self._step is _Step.DONE else None

    @property
    def copies(self) -> int:
        """How many packets of the size to send: one where it is expected to pass."""
        return 1 if self.size == self._known and not self._doubted else COPIES

    def passed(self) -> None:
        """A packet of the size came back."""
        if self._step is _Step.BELOW:
            self._try(_Step.ABOVE, self._high)
        elif self._step is _Step.ABOVE:
            self._step = _Step.FAILED
        else:
            self._low = self.size
            self._passed()

    def too_big(self, claimed: int = 0) -> None:
        """A router said so, or the kernel did not send it. claimed: the MTU that it told, 0 = none."""
        self._shrink(claimed, by_silence=False)

    def silent(self) -> None:
        """No copy came back."""
        if self.copies < COPIES:
            self._doubted = True
        elif self._step is _Step.BELOW:
            self._step = _Step.FAILED
        else:
            self._shrink(0, by_silence=True)

    def _passed(self) -> None:
        if self.size == self._known and not self._thorough:
            self._step = _Step.DONE
        elif self._step is _Step.ANCHOR and self._high - self._low > 1:
            self._try(_Step.EDGE, self._low + 1)
        elif self._step is _Step.EDGE and self._high > CEILING:
            self._try(_Step.TOP, CEILING)
        else:
            self._halve()

    def _shrink(self, claimed: int, *, by_silence: bool) -> None:
        if self._step is _Step.ABOVE:
            self._step = _Step.DONE
        elif self._step is _Step.BELOW:
            self._step = _Step.FAILED
        else:
            self._high, self._by_silence = self.size, by_silence
            if self._low < claimed < self._high:
                self._try(_Step.ANCHOR, claimed)
            elif claimed == self._low and self._high - self._low > 1:
                self._try(_Step.EDGE, self._low + 1)
            else:
                self._halve()

    def _halve(self) -> None:
        if self._high - self._low > 1:
            self._try(_Step.HALF, (self._low + self._high) // 2)
        elif self._by_silence and self._high <= CEILING:
            self._try(_Step.BELOW, self._low)
        else:
            self._step = _Step.DONE

    def _try(self, step: _Step, size: int) -> None:
        self._step, self.size = step, size
