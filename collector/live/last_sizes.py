"""The path MTU of each link as sweeps found it last, for whoever looks for the place of a smaller one.

Bounded: links that are not expected are not taken up, and are forgotten when the caller says so. Thread safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from linkgauge.frame import Frame


class Size(NamedTuple):
    """mtu_bytes: octets of the largest IP packet that passes there and back. since_ns, seen_ns: end of the
    first and of the last round in a row that found it so, Unix ns."""

    mtu_bytes: float
    since_ns: int
    seen_ns: int


class LastSizes:
    """See above."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: dict[str, Size] = {}

    def take(self, frame: Frame, expected: Callable[[str], bool]) -> None:
        """PATH rows. What an earlier round found, and rounds without a clear MTU, say nothing."""
        mtu = frame.real("mtu_bytes")
        rows = np.flatnonzero(np.isfinite(mtu))
        ends = (frame.count("start_ns") + frame.count("length_ns"))[rows].tolist()
        links = frame.text("link")[rows].tolist()
        with self._lock:
            for link, found, end_ns in zip(links, mtu[rows].tolist(), ends, strict=True):
                known = self._sizes.get(link)
                if known is None and not expected(link):
                    continue
                if known is None or (found != known.mtu_bytes and end_ns > known.seen_ns):
                    self._sizes[link] = Size(found, end_ns, end_ns)
                elif found == known.mtu_bytes and end_ns > known.seen_ns:
                    self._sizes[link] = Size(found, known.since_ns, end_ns)

    def forget(self, expected: Callable[[str], bool]) -> None:
        """Drop the links that are no longer expected."""
        with self._lock:
            self._sizes = {link: size for link, size in self._sizes.items() if expected(link)}

    def known(self) -> Mapping[str, Size]:
        """By the link's text form; those without a clear MTU are not there."""
        with self._lock:
            return dict(self._sizes)
