"""What came through a socket, as columns: datagrams, transmit stamps, ICMP errors. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.sockets import ancillary
from probes.sockets.message import Inbox


@dataclass(frozen=True, slots=True)
class Received:
    """n datagrams; every column has n rows, and `data`, `length`, `name` are views into the inbox.

    data (n, data_size) uint8; length (n,) int64 octets as sent, above data_size when cut off;
    name (n, NAME_SIZE) uint8 raw source addresses;
    stamp_ns (n,) int64 kernel receive stamp, Unix ns, 0 = the kernel gave none;
    ttl (n,) uint8, 255 = unknown; tos (n,) uint8.
    """

    data: NDArray[np.uint8]
    length: NDArray[np.int64]
    name: NDArray[np.uint8]
    stamp_ns: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    tos: NDArray[np.uint8]

    def take(self, rows: NDArray[Any]) -> Received:
        """A copy of these rows (numbers or mask)."""
        return Received(
            self.data[rows], self.length[rows], self.name[rows], self.stamp_ns[rows], self.ttl[rows],
            self.tos[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusals:
    """k ICMP errors about datagrams of ours; the rows of `data` begin with what the UDP header carried.

    stamp_ns 0 = unknown; offender (k, NAME_SIZE) raw address; reason ICMP type << 8 | code, in the numbers of
    the socket's family; info the MTU of a packet-too-big; extension_at offset in data, -1 = none.
    """

    data: NDArray[np.uint8]
    length: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    offender: NDArray[np.uint8]
    reason: NDArray[np.int64]
    info: NDArray[np.int64]
    extension_at: NDArray[np.int64]

    def take(self, rows: NDArray[Any]) -> Refusals:
        """A copy of these rows (numbers or mask)."""
        return Refusals(
            self.data[rows], self.length[rows], self.stamp_ns[rows], self.offender[rows], self.reason[rows],
            self.info[rows], self.extension_at[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Returned:
    """What the error queue held: transmit stamps of the datagrams of those running numbers, (m,) int64 each,
    and ICMP errors."""

    number: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    errors: Refusals


def received(inbox: Inbox, first: int, end: int) -> Received:
    """Rows first..end of an inbox that sockets filled."""
    head = inbox.headers[first:end]
    columns = ancillary.parse(inbox.control[first:end], head["controllen"])
    return Received(
        inbox.data[first:end],
        head["length"].astype(np.int64),
        inbox.names[first:end],
        columns.stamp_ns,
        columns.ttl,
        columns.tos,
    )


def returned(inbox: Inbox, first: int, end: int) -> Returned:
    """The same of rows that came from the error queue."""
    head = inbox.headers[first:end]
    columns = ancillary.parse(inbox.control[first:end], head["controllen"], errors=True)
    stamped = columns.origin == ancillary.ORIGIN_TIMESTAMPING
    icmp = (columns.origin == ancillary.ORIGIN_ICMP) | (columns.origin == ancillary.ORIGIN_ICMP6)
    errors = Refusals(
        inbox.data[first:end][icmp],
        head["length"].astype(np.int64)[icmp],
        columns.stamp_ns[icmp],
        columns.offender[icmp],
        columns.reason[icmp],
        columns.info[icmp],
        columns.extension_at[icmp],
    )
    return Returned(columns.number[stamped], columns.stamp_ns[stamped], errors)
