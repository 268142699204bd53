"""How many packets a peer may send a second: a token bucket for each peer, all as columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

BURST_S = 0.1
"""A peer that was silent may send this long at once, and always LEAST_BURST packets."""
LEAST_BURST = 16.0
_FILL_EVERY_NS = 1_000_000


class RateCap:
    """rate_pps of each of `size` peers; 0 = no cap."""

    def __init__(self, rate_pps: float, size: int) -> None:
        self._rate_pps = rate_pps
        self._burst = max(rate_pps * BURST_S, LEAST_BURST)
        self._tokens = np.full(size if rate_pps else 0, self._burst)
        self._filled_ns: int | None = None
        self._index: dict[bytes, int] = {}
        self._free: list[int] = []
        self._used = 0  # indexes from here on were never given away

    def limit(self, rate_pps: float) -> None:
        """Another rate from now on, where there was a cap."""
        self._rate_pps = rate_pps
        self._burst = max(rate_pps * BURST_S, LEAST_BURST)

    @property
    def index(self) -> Mapping[bytes, int]:
        """Address of each peer that entered, and its index."""
        return self._index

    def enter(self, address: bytes, in_use: Callable[[], NDArray[np.intp]]) -> int:
        """Index of the peer with this address; in_use: tells the indexes that must not be given away."""
        if not self._rate_pps:
            return 0
        if address in self._index:
            return self._index[address]
        if self._used < len(self._tokens):
            self._free.append(self._used)
            self._used += 1
        elif not self._free:
            kept = set(in_use().tolist())
            self._free = [index for index in self._index.values() if index not in kept]
            self._index = {peer: index for peer, index in self._index.items() if index in kept}
        index = self._index[address] = self._free.pop()
        self._tokens[index] = self._burst
        return index

    def allows(self, peers: NDArray[np.intp], now_ns: int) -> NDArray[np.bool_] | None:
        """Which packets (n,) of these peers may be answered, the first ones of each; None = all of them."""
        if not self._rate_pps:
            return None
        self._fill(now_ns)
        np.subtract.at(self._tokens, peers, 1.0)
        if (self._tokens[peers] >= 0).all():
            return None
        allowed = np.ones(len(peers), np.bool_)
        for peer in np.unique(peers[self._tokens[peers] < 0]):
            rows = np.flatnonzero(peers == peer)
            over = min(len(rows), int(np.ceil(-self._tokens[peer])))
            allowed[rows[len(rows) - over :]] = False
            self._tokens[peer] += over
        return allowed

    def _fill(self, now_ns: int) -> None:
        passed_ns = now_ns - self._filled_ns if self._filled_ns is not None else 0
        if self._filled_ns is None or passed_ns < 0 or passed_ns >= _FILL_EVERY_NS:
            given = self._tokens[: self._used]
            np.minimum(given + max(passed_ns, 0) * 1e-9 * self._rate_pps, self._burst, out=given)
            self._filled_ns = now_ns
