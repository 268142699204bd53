"""The engine's counters, window by window. Pure reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.answering import Answering
from probes.closing import Closings
from probes.sender import Sender
from probes.stamp.policy import Refusal
from probes.stamp.reflector import Reflector
from probes.stamp.sessions import Discard


class Counters:
    """Counts since the start are read from where they arise; `noted` tells what came since the last time."""

    def __init__(
        self, answering: Answering, reflector: Reflector, senders: Sequence[Sender], closings: Closings
    ) -> None:
        self._answering, self._reflector = answering, reflector
        self._senders, self._closings = senders, closings
        self._last, self._replies = self._totals(), self._dropped_replies()

    def noted(self) -> dict[str, int]:
        """Counters of Fitness since the last call."""
        last, self._last = self._last, self._totals()
        return {name: value - last[name] for name, value in self._last.items()}

    def replies_dropped(self) -> int:
        """How many replies to our own packets the kernel dropped since the last call. What it drops of the
        packets of others is their loss, and spoils nothing of ours."""
        last, self._replies = self._replies, self._dropped_replies()
        return self._replies - last

    def _dropped_replies(self) -> int:
        return sum(port.socket.dropped for sender in self._senders for port in sender.ports)

    def _totals(self) -> dict[str, int]:
        sockets = [*self._answering.sockets, *(p.socket for s in self._senders for p in s.ports)]
        discarded = np.sum([sender.sessions.discarded for sender in self._senders], axis=0)
        refused = self._reflector.refused
        malformed = discarded[Discard.SHORT] + discarded[Discard.CORRUPT] + discarded[Discard.UNAUTHENTIC]
        counts = {
            "receive_dropped": sum(sock.dropped for sock in sockets),
            "malformed": malformed,
            "unmatched": discarded[Discard.UNMATCHED],
            "too_late": discarded[Discard.TOO_LATE] + self._closings.too_late,
            "send_retried": sum(sock.send_retried for sock in sockets),
            "missed": sum(sender.sessions.missed.sum() for sender in self._senders),
            "reflected": self._reflector.reflected,
            "refused_peer": refused[Refusal.PEER_UNKNOWN] + refused[Refusal.LOOP],
            "refused_malformed": refused[Refusal.SHORT] + refused[Refusal.CORRUPT] + refused[Refusal.LONG],
            "refused_authentication": refused[Refusal.AUTHENTICATION],
            "refused_replay": refused[Refusal.REPLAY],
            "refused_rate": refused[Refusal.RATE],
            "refused_table": refused[Refusal.TABLE_FULL],
        }
        return {name: int(value) for name, value in counts.items()}
