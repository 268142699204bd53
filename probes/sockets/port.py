"""One socket of the sender, with the packets of its sessions and what is under way from it.

A port is a local address and a source port, so one flow of each of its links. Sweeps leave here too, so that
they take the way of the flow that they examine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.sockets.message import Outgoing
from probes.sockets.sockets import BATCH, BatchSocket
from probes.stamp.requests import Requests
from probes.stamp.sessions import Sessions

_UNKNOWN, _SWEEP = -1, -2

Ints = NDArray[np.int64]


class Port:
    """session (rows,): session of each row of the block, place (rows,): its place in the train.

    rate_pps: how many packets leave a second, for which so many running numbers are remembered.
    """

    def __init__(
        self,
        socket: BatchSocket,
        local: str,
        flow: int,
        outgoing: Outgoing,
        requests: Requests,
        session: Ints,
        place: Ints,
        rate_pps: float,
    ) -> None:
        self.socket, self.local, self.flow = socket, local, flow
        self.outgoing, self.requests = outgoing, requests
        self.session, self.place = session, place
        self.unread = 0
        """Packets sent since the socket was last emptied."""
        size = 1 << int(max(2 * rate_pps, 4 * BATCH)).bit_length()
        self._row = np.zeros(size, np.int32)
        self._seq = np.full(size, _UNKNOWN, np.int64)
        self._mask = size - 1
        self._rows = np.arange(len(session), dtype=np.int32)
        self._renumbered = 0

    def transmit(self, first: int, end: int, seq: int) -> Ints | None:
        """Send rows first..end - 1, whose sessions' next number is `seq`; as `BatchSocket.transmit`."""
        number = self.socket.next_number
        odd = self.socket.transmit(self.outgoing, first, end)
        self.unread += end - first
        if not self.socket.stamping or self._began_anew():
            return odd
        if odd is None:
            at, stop = number & self._mask, (number + end - first) & self._mask
            if stop > at:
                self._row[at:stop] = self._rows[first:end]
                self._seq[at:stop] = seq + self.place[first:end]
                return None
            odd_or_all = np.arange(number, number + end - first)
        else:
            odd_or_all = odd
        self._note(odd_or_all, self._rows[first:end], seq + self.place[first:end])
        return odd

    def transmit_rows(self, rows: NDArray[np.intp], seq: Ints) -> Ints:
        """Send single rows, each with its own number; running numbers, -1 where the kernel would not."""
        numbers = [
            self.socket.transmit_rows(self.outgoing, rows[at : at + BATCH])
            for at in range(0, len(rows), BATCH)
        ]
        made = np.concatenate(numbers)
        self.unread += len(rows)
        if self.socket.stamping and not self._began_anew():
            self._note(made, rows, seq)
        return made

    def stamped(self, sessions: Sessions, number: Ints, stamp_ns: Ints) -> NDArray[np.bool_]:
        """Transmit stamps by running number; says which of them belong to packets of sweeps."""
        at = number & self._mask
        seq = self._seq[at]
        known = seq >= 0
        if sessions.stamped(self.session[self._row[at[known]]], seq[known], stamp_ns[known]):
            # kernels before 6.8 number datagrams that an error of an earlier one kept from being sent
            self.socket.number_anew()
            self._began_anew()
        swept: NDArray[np.bool_] = seq == _SWEEP
        return swept

    def swept(self, number: Ints) -> bool:
        """Datagrams of these running numbers, -1 for none, are of a sweep; says whether stamps will come."""
        self.unread += len(number)
        if not self.socket.stamping or self._began_anew():
            return False
        self._seq[number[number >= 0] & self._mask] = _SWEEP
        return True

    def _note(self, numbers: Ints, rows: NDArray[np.generic], seq: Ints) -> None:
        taken = numbers >= 0
        at = numbers[taken] & self._mask
        self._row[at], self._seq[at] = rows[taken], seq[taken]

    def _began_anew(self) -> bool:
        if self.socket.renumbered == self._renumbered:
            return False
        self._renumbered = self.socket.renumbered
        self._seq.fill(_UNKNOWN)
        return True
