"""What a receiver that forgets (policy.resend_s) is told again, from the book: so also after a restart."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.delivery.book import Book, Notice, Stands
from alerts.receivers.receiver import Receiver
from alerts.receivers.told import Told
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import SinkRejected

KEPT_ENDED_S = 900
"""How long the end of an alert is told again."""


class Resending:
    """For one thread at a time. at_once: alerts in a message, at most."""

    def __init__(self, book: Book, receiver: Receiver, clock: Clock, at_once: int) -> None:
        self._book, self._receiver, self._clock, self._at_once = book, receiver, clock, at_once
        self._done_ns: int | None = None
        self._between_ns: int | None = None

    @property
    def every_s(self) -> float | None:
        """Seconds from round to round; None: the receiver remembers."""
        return self._receiver.policy.resend_s

    def left_s(self) -> float:
        """Seconds to the next round."""
        return self._left_s(self._done_ns)

    def between(self) -> bool:
        """Whether it is time for a round although notices wait that were put off; once in a round."""
        if self.every_s is None or self.left_s() > 0 or self._left_s(self._between_ns) > 0:
            return False
        self._between_ns = self._clock.now().mono_ns
        return True

    def stands(self, notice: Notice, told: Told, now_ns: int) -> Stands:
        """How long a notice that was taken is told again."""
        until_ns = None if told.fires else now_ns + KEPT_ENDED_S * NS_PER_S
        return Stands(self._receiver.name, notice.alert, notice.body, until_ns)

    def tell(self) -> tuple[bool, str | None]:
        """One round: whether anything stands, and why some of it was refused. Raises SinkBusy, StoreError."""
        bodies = self._book.standing(self._receiver.name, self._clock.now().wall_ns)
        size = self._at_once
        parts = [bodies[at : at + size] for at in range(0, len(bodies), size)]
        refused = [why for part in parts if (why := self._again(part)) is not None]
        self._done_ns = self._clock.now().mono_ns
        return bool(bodies), refused[0] if refused else None

    def _left_s(self, since_ns: int | None) -> float:
        if since_ns is None or self.every_s is None:
            return 0.0
        return max(0.0, self.every_s - (self._clock.now().mono_ns - since_ns) / NS_PER_S)

    def _again(self, bodies: Sequence[bytes]) -> str | None:
        """Tell what stands, in halves where all of it is refused; returns why one of them was."""
        try:
            self._receiver.deliver(bodies)
        except SinkRejected as err:
            if len(bodies) == 1:
                return str(err)
            half = len(bodies) // 2
            each = [self._again(bodies[:half]), self._again(bodies[half:])]
            return next((why for why in each if why is not None), None)
        return None
