"""Which rows of WINDOW count for which link. Pure.

Of a link's rows only those of the probe `stamp` count, and of these those of one class, the first that the
inventory names in probing.stamp.classes: the other probes have no direction, and another class is another
service. (Other probes are gathered to be held against stamp: quality.verdicts.divergence.) A row without a
packet is no measurement. Of two copies of a row the one with the higher revision counts, of equals the later.
Rows of links that are not expected are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.model import Probe
from quality.objectives import Objectives

Rows = NDArray[np.intp]
_MOST = float(2**62)


@dataclass(frozen=True, slots=True)
class Evidence:
    """m rows of `windows`, ordered by link and start; each belongs to one of `links` links."""

    windows: Frame
    row: Rows
    """(m,) rows of `windows`."""
    link: Rows
    """(m,) 0..links-1, ascending."""
    links: int

    def count(self, name: str) -> NDArray[np.int64]:
        """A COUNT column of these rows, (m,)."""
        return self.windows.count(name)[self.row]

    def real(self, name: str) -> NDArray[np.float64]:
        """A REAL column of these rows, (m,)."""
        return self.windows.real(name)[self.row]

    def where(self, mask: NDArray[np.bool_]) -> Evidence:
        """The rows of the mask (m,)."""
        return Evidence(self.windows, self.row[mask], self.link[mask], self.links)

    @property
    def fit(self) -> Evidence:
        """What a fit agent measured: an unfit agent's losses are its own, not the network's."""
        return self.where(self.count("unfit") == 0)

    @property
    def unloaded(self) -> Evidence:
        """Without windows in which a throughput test of our own filled the queues."""
        return self.where(self.count("under_test") == 0)

    def each(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many rows of each link are in the mask (m,); (links,)."""
        return np.bincount(self.link[mask], minlength=self.links).astype(np.int64)

    def total(self, name: str) -> NDArray[np.int64]:
        """Sum of a COUNT column over the rows of each link, (links,)."""
        return summed(self.count(name), self.link, self.links)


def summed(values: NDArray[np.int64], group: Rows, groups: int) -> NDArray[np.int64]:
    """Sum of the values (m,) of each group, (groups,); exact below 2**53, held to what int64 can hold."""
    return np.minimum(np.bincount(group, values, groups), _MOST).astype(np.int64)


def gather(
    windows: Frame, objectives: Objectives, end_ns: int, judged_class: str, probe: Probe = Probe.STAMP
) -> Evidence:
    """The rows of windows that start before `end_ns` and count for one of the expected links.

    judged_class: the class of the probe stamp that counts, as text; other probes have one class.
    """
    link = objectives.found(windows.text("link"))
    start_ns = windows.count("start_ns")
    use = (link >= 0) & (windows.text("probe") == probe.value)
    use &= (start_ns < end_ns) & (windows.count("sent") > 0)
    if probe is Probe.STAMP:
        use &= windows.text("class") == judged_class
    row = np.flatnonzero(use)
    row = row[np.lexsort((row, windows.count("revision")[row], start_ns[row], link[row]))]
    last = np.ones(len(row), np.bool_)  # of each link and window
    last[:-1] = (np.diff(link[row]) != 0) | (np.diff(start_ns[row]) != 0)
    row = row[last]
    return Evidence(windows, row, link[row], len(objectives))
