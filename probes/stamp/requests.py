"""The requests of all sessions, laid out once in the order in which they are sent. Pure but for its memory.

A row is one packet of a session; what changes from tick to tick is only sequence number, T1 and, in
authenticated mode, the HMAC. `rows` of a train are `train` packets of each session, numbered on.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probes.stamp import tlv
from probes.stamp.authentication import sign
from probes.stamp.packet import AUTHENTICATED_SIZE, ntp_of, sender_columns
from probes.stamp.tlv import Layout

_SEQ_AND_T1 = struct.Struct("!IQ")


class Requests:
    """block (rows, width) uint8: the packets, rows of session i from i * train on. layouts, dscp, keys: of
    each session; a key of None leaves its packets without HMAC."""

    def __init__(
        self,
        block: NDArray[np.uint8],
        layouts: Sequence[Layout],
        dscp: Sequence[int],
        keys: Sequence[bytes | None],
        train: int,
    ) -> None:
        self._block, self._layouts, self._keys, self._train = block, layouts, keys, train
        self._authenticated = bool(layouts) and layouts[0].base == AUTHENTICATED_SIZE
        self._columns = sender_columns(block, layouts[0].base) if layouts else None
        for row in range(len(block)):
            layout = layouts[row // train]
            tail = tlv.tail(layout, dscp[row // train])
            block[row, layout.base : layout.size] = np.frombuffer(tail, np.uint8)
        self._place = np.tile(np.arange(train), len(layouts))

    def set_ssid(self, ssid: NDArray[np.uint16]) -> None:
        """SSID of each row, (rows,)."""
        if self._columns is not None:
            self._columns["ssid"] = ssid

    def set_error(self, error: int) -> None:
        """This host's Error Estimate, in all packets from now on."""
        if self._columns is not None:
            self._columns["error"] = error

    def write(self, first: int, end: int, seq: int, t1_ns: int) -> None:
        """Number and stamp rows first..end - 1; seq: of the first packet of each session."""
        stamp = ntp_of(t1_ns)
        if self._train == 1 and not self._authenticated:
            head = _SEQ_AND_T1.pack(seq & 0xFFFF_FFFF, stamp)
            self._block[first:end, :12] = np.frombuffer(head, np.uint8)
            return
        assert self._columns is not None
        self._columns["seq"][first:end] = (seq + self._place[first:end]) & 0xFFFF_FFFF
        self._columns["t1"][first:end] = stamp
        self._sign(np.arange(first, end))

    def write_each(self, rows: NDArray[np.intp], seq: NDArray[np.int64], t1_ns: int) -> None:
        """Number and stamp single rows, each with its own number."""
        assert self._columns is not None
        self._columns["seq"][rows] = seq & 0xFFFF_FFFF
        self._columns["t1"][rows] = ntp_of(t1_ns)
        self._sign(rows)

    def _sign(self, rows: NDArray[np.intp]) -> None:
        if not self._authenticated:
            return
        for row in rows.tolist():
            key = self._keys[row // self._train]
            if key is not None:
                sign(self._block, self._layouts[row // self._train], key, np.array([row]))
