"""What a reflector takes and gives: columns of datagrams, and the replies written into them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from probes.stamp.authentication import sign
from probes.stamp.packet import AUTHENTICATED_SIZE, Block, Rows, one_stamp, reflector_columns
from probes.stamp.tlv import Layout

_AUTHENTICATED = Layout(AUTHENTICATED_SIZE, AUTHENTICATED_SIZE, None, None, None)


class Arrivals(Protocol):
    """n datagrams; columns as `sockets.Received` has them. `data` is written."""

    @property
    def data(self) -> NDArray[np.uint8]: ...
    @property
    def length(self) -> NDArray[np.int64]: ...
    @property
    def name(self) -> NDArray[np.uint8]: ...
    @property
    def stamp_ns(self) -> NDArray[np.int64]: ...
    @property
    def ttl(self) -> NDArray[np.uint8]: ...
    @property
    def tos(self) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class Replies:
    """k replies: rows (k,) of the block they were written in, length (k,), tos (k,) to send each with.

    slots (k,): session of each; number (k,) int64: its Sequence Number.
    """

    rows: NDArray[np.intp]
    length: NDArray[np.int64]
    tos: NDArray[np.uint8]
    slots: NDArray[np.intp]
    number: NDArray[np.int64]
    _block: Block = field(repr=False)
    _base: int
    _at: Rows
    _keys: list[bytes] = field(repr=False)
    _tai_offset_s: int | None

    def stamp(self, unix_ns: int) -> None:
        """Write T3, and the HMACs that cover it: the last thing before sending."""
        t3 = one_stamp(unix_ns, self._tai_offset_s)
        reflector_columns(self._block, self._base)["t3"][self._at] = t3
        for row, key in zip(self.rows, self._keys, strict=False):
            sign(self._block, _AUTHENTICATED, key, row[None])
