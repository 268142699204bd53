"""Until when the certificates of far ends are valid. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from quality.evidence import Rows

Reals = NDArray[np.float64]

VALID_NS = 86_400 * NS_PER_S
"""A certificate that was not seen for longer is not known any more."""
STEADY_NS = 600 * NS_PER_S
"""An end that moved by less is the same: agents tell it with their own clocks."""
_DAY_NS = 86_400 * NS_PER_S
_NONE = -(2**62)


class Certificates:
    """Of n links the end of the certificate seen last; not thread safe."""

    def __init__(self) -> None:
        self._ends_ns, self._seen_ns = np.empty(0, np.int64), np.empty(0, np.int64)

    def put(self, link: Rows, rows: Frame, links: int) -> None:
        """CERTIFICATE rows (m,) of the links (m,). A far end that showed none has none."""
        self._reach(links)
        order = np.argsort(rows.count("start_ns"), kind="stable")
        link, start_ns = link[order], rows.count("start_ns")[order]
        days = np.clip(rows.real("days_left")[order], -36_500, 36_500)
        shown = (rows.count("presented")[order] > 0) & np.isfinite(days)
        ends_ns = np.where(shown, start_ns + np.where(shown, days, 0) * _DAY_NS, _NONE).astype(np.int64)
        newer = start_ns >= self._seen_ns[link]
        link, start_ns, ends_ns = link[newer], start_ns[newer], ends_ns[newer]
        self._seen_ns[link] = start_ns
        moved = np.abs(ends_ns - self._ends_ns[link]) >= STEADY_NS
        self._ends_ns[link[moved]] = ends_ns[moved]

    def left_s(self, at_ns: int, links: int) -> Reals:
        """Until each certificate ends, (links,), whole seconds, below 0 when it has; NaN for none."""
        self._reach(links)
        known = (self._ends_ns != _NONE) & (self._seen_ns > at_ns - VALID_NS)
        return np.where(known, (self._ends_ns - at_ns) // NS_PER_S, np.nan)

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        self._reach(len(place))
        kept = place >= 0
        for name in ("_ends_ns", "_seen_ns"):
            moved = np.full(links, _NONE)
            moved[place[kept]] = getattr(self, name)[kept]
            setattr(self, name, moved)

    def _reach(self, links: int) -> None:
        more = np.full(max(0, links - len(self._ends_ns)), _NONE)
        if len(more):
            self._ends_ns = np.concatenate([self._ends_ns, more])
            self._seen_ns = np.concatenate([self._seen_ns, more])
