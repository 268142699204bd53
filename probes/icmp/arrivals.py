"""What an ICMP socket took from the kernel, as columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Replies:
    """name (n, NAME_SIZE) uint8 raw address of who sent it; serial (n,) int64; stamp_ns (n,) int64 when the
    kernel got it, Unix ns, 0 = it does not say."""

    name: NDArray[np.uint8]
    serial: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Returns:
    """Entries of the error queue.

    number, stamp_ns (m,) int64: the packet of that number left at that time, Unix ns.
    name (k, NAME_SIZE), sequence (k,) int64, refused (k,) bool: the packet to that address, of that ICMP
    sequence, was answered by an ICMP error: a refusal, or (False) word of a packet lost on the way.
    """

    number: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    name: NDArray[np.uint8]
    sequence: NDArray[np.int64]
    refused: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Everything of one look: the transmit stamp of a packet comes no later than its reply."""

    replies: Replies
    returns: Returns


def joined(parts: Sequence[Returns]) -> Returns:
    """All entries of at least one part, in order."""
    if len(parts) == 1:
        return parts[0]
    return Returns(
        np.concatenate([part.number for part in parts]),
        np.concatenate([part.stamp_ns for part in parts]),
        np.concatenate([part.name for part in parts]),
        np.concatenate([part.sequence for part in parts]),
        np.concatenate([part.refused for part in parts]),
    )
