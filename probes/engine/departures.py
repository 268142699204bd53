"""When the replies of a reflector really left its host: the kernel's transmit stamps of one socket.

Each stamp costs about as much as a reply. So they are taken while somebody asks for Follow-Up Telemetry
(RFC 8972 section 4.7), and only up to a rate: above it they are switched off, and on again when it is calm.
The last one known is told then.
"""

from __future__ import annotations

import os
import socket

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from probes.sockets import socket_option
from probes.sockets.sockets import BATCH, BatchSocket
from probes.stamp.reflector import Reflector
from probes.stamp.replies import Replies

MOST_PPS, CALM_PPS = 20_000, 10_000
"""Replies a second of one socket: above the first stamps are switched off, below the second on again."""
_RING = 1 << 14
_NUMBER_SPAN = 1 << 32


class Departures:
    """Of the replies that `sock` sends for `reflector`; sock was made with transmit stamps."""

    def __init__(self, sock: BatchSocket, reflector: Reflector) -> None:
        self._sock, self._reflector = sock, reflector
        self._options = socket.socket(fileno=os.dup(sock.fileno()))
        self.on, self.switched_off = True, 0
        self._numbered_from, self._renumbered = 0, 0
        self._count, self._asked, self._since_ns = 0, reflector.follow_ups, 0
        self._number = np.full(_RING, -1, np.int64)
        self._slot = np.zeros(_RING, np.intp)
        self._reply = np.zeros(_RING, np.int64)
        self._told_ns = np.zeros(_RING, np.int64)

    def sent(self, numbers: NDArray[np.int64], replies: Replies, t3_ns: int, mono_ns: int) -> None:
        """Note replies that were handed to the kernel: its running number of each, -1 = not taken."""
        self._count += len(numbers)
        if self._sock.renumbered != self._renumbered:
            self._renumbered, self._numbered_from = self._sock.renumbered, 0
            self._number.fill(-1)
            if not self.on:
                socket_option.stamp(self._options, transmit=False)
        elif self.on:
            number = numbers - self._numbered_from
            at = number % _RING
            self._number[at], self._told_ns[at] = number, t3_ns
            self._slot[at], self._reply[at] = replies.slots, replies.number
        self._watch(mono_ns)

    def collect(self) -> None:
        """Take what the error queue holds: stamps, and ICMP errors about replies, which nobody wants."""
        entries = BATCH
        while entries == BATCH and (returned := self._sock.returned()) is not None:
            entries = len(returned.number) + len(returned.errors.length)
            at = returned.number % _RING
            after_ns = returned.stamp_ns - self._told_ns[at]
            ours = (self._number[at] % _NUMBER_SPAN == returned.number) & (self._number[at] >= 0)
            ours &= (after_ns >= 0) & (after_ns < NS_PER_S)
            at = at[ours]
            if len(at):
                self._reflector.departed(self._slot[at], self._reply[at], returned.stamp_ns[ours])

    def close(self) -> None:
        self._options.close()

    def _watch(self, mono_ns: int) -> None:
        """Once a second: does anybody ask, and are there too many replies, or few again?"""
        passed_ns = mono_ns - self._since_ns
        if passed_ns < NS_PER_S:
            return
        rate_pps, asked = self._count * NS_PER_S / passed_ns, self._reflector.follow_ups != self._asked
        self._count, self._asked, self._since_ns = 0, self._reflector.follow_ups, mono_ns
        if self.on and (rate_pps > MOST_PPS or not asked):
            self.on = False
            self.switched_off += rate_pps > MOST_PPS
            socket_option.stamp(self._options, transmit=False)
        elif not self.on and asked and rate_pps < CALM_PPS:
            self.collect()
            self._number.fill(-1)
            self.on, self._numbered_from = True, self._sock.next_number
            socket_option.stamp(self._options, transmit=True)
