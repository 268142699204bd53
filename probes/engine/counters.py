"""The engine's counters, window by window. Pure reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from probes.engine.answering import Answering
from probes.engine.closing import Closings
from probes.engine.sender import Sender
from probes.sockets.sockets import BatchSocket
from probes.stamp.policy import Refusal
from probes.stamp.reflector import Reflector
from probes.stamp.sessions import Discard


class Counters:
    """Counts since the start are read from where they arise; `noted` tells what came since the last time.

    senders, closings: lists that may grow; what leaves them is told by `leave` first.
    """

    def __init__(
        self,
        answering: Answering,
        reflector: Reflector,
        senders: Sequence[Sender],
        closings: Sequence[Closings],
    ) -> None:
        self._answering, self._reflector = answering, reflector
        self._senders, self._closings = senders, closings
        self._gone: Counter[str] = Counter()
        self._gone_dropped = 0
        self._last, self._replies = self._totals(), self._dropped_replies()

    def leave(
        self,
        senders: Sequence[Sender] = (),
        closings: Sequence[Closings] = (),
        sockets: Sequence[BatchSocket] = (),
    ) -> None:
        """These are about to leave the lists: what they counted stays."""
        self._gone.update(_own_totals(senders, closings, sockets))
        self._gone_dropped += _dropped(senders)

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
        return self._gone_dropped + _dropped(self._senders)

    def _totals(self) -> dict[str, int]:
        own = _own_totals(self._senders, self._closings, self._answering.sockets)
        refused = self._reflector.refused
        counts = {name: value + self._gone[name] for name, value in own.items()} | {
            "reflected": self._reflector.reflected,
            "refused_peer": refused[Refusal.PEER_UNKNOWN],
            "refused_loop": refused[Refusal.LOOP],
            "refused_malformed": refused[Refusal.SHORT] + refused[Refusal.CORRUPT] + refused[Refusal.LONG],
            "refused_authentication": refused[Refusal.AUTHENTICATION],
            "refused_replay": refused[Refusal.REPLAY],
            "refused_rate": refused[Refusal.RATE],
            "refused_table": refused[Refusal.TABLE_FULL],
        }
        return {name: int(value) for name, value in counts.items()}


def _own_totals(
    senders: Sequence[Sender], closings: Sequence[Closings], answering: Sequence[BatchSocket]
) -> dict[str, int]:
    """What these have counted since their start."""
    sockets = [*answering, *(port.socket for sender in senders for port in sender.ports)]
    discarded = sum((sender.sessions.discarded for sender in senders), np.zeros(len(Discard), np.int64))
    malformed = discarded[Discard.SHORT] + discarded[Discard.CORRUPT] + discarded[Discard.UNAUTHENTIC]
    return {
        "receive_dropped": sum(sock.dropped for sock in sockets),
        "malformed": int(malformed),
        "unmatched": int(discarded[Discard.UNMATCHED]),
        "too_late": int(discarded[Discard.TOO_LATE]) + sum(each.too_late for each in closings),
        "flows_deferred": sum(each.deferred for each in closings),
        "send_retried": sum(sock.send_retried for sock in sockets),
        "missed": sum(int(sender.sessions.missed.sum()) for sender in senders),
    }


def _dropped(senders: Sequence[Sender]) -> int:
    return sum(port.socket.dropped for sender in senders for port in sender.ports)
