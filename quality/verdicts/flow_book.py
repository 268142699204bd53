"""What each flow of each link lost, by window, for quality.verdicts.flows. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from quality.evidence import Rows
from quality.memory.ring import Ring
from quality.verdicts.flow_losses import FlowLosses
from quality.verdicts.flows import MOST, FlowCounts

Counts = NDArray[np.int64]
_NAMES = ("replied", "lost_forward", "lost_backward", "lost_unattributed")


class FlowBook:
    """Column `flow * links + link` of a ring is one flow; flows are numbered as they are first seen."""

    def __init__(self) -> None:
        self._ring = Ring(len(_NAMES))
        self._numbers: dict[str, int] = {}
        self.losses = FlowLosses()
        """The same rows, of links that lost something."""

    @property
    def starts(self) -> list[int]:
        """Windows of which something is remembered, ascending."""
        return self._ring.starts

    @property
    def names(self) -> list[str]:
        """The name of each flow, by its number."""
        return list(self._numbers)

    def put(self, start_ns: int, link: Rows, rows: Frame, links: int) -> None:
        """Rows (m,) of FLOW that start in one window, of the links (m,); they replace those of the same flow,
        and of these rows the later counts. What an agent measured that was not fit is nothing."""
        flow = [self._numbers.setdefault(word, len(self._numbers)) for word in rows.text("flow").tolist()]
        column = np.array(flow, np.intp) * links + link
        matrix = self._ring.at(start_ns, links * len(self._numbers))
        fit = rows.count("unfit") == 0
        counts = np.array([np.minimum(rows.count(name), MOST) * fit for name in _NAMES], np.int64)
        matrix[:, column] = counts
        self._ring.put(start_ns, matrix)
        self.losses.put(start_ns, link, np.array(flow, np.intp), counts, rows.count("length_ns"))

    def between(
        self,
        from_ns: int,
        to_ns: int,
        told_elsewhere: NDArray[np.bool_],
        carried: NDArray[np.bool_] | None = None,
    ) -> FlowCounts:
        """Sums of the windows from..to, both included, as quality.verdicts.flows.gather_flows.

        carried (links,): their way out is well by the far end's word, so losses without a direction are not
        on it.
        """
        links, flows = len(told_elsewhere), len(self._numbers)
        total = self._ring.total(from_ns, to_ns, links * flows).reshape(len(_NAMES), flows, links)
        replied, forward, backward, unknown = total.transpose(0, 2, 1)  # by link, then by flow
        if carried is not None:
            unknown = np.where(carried[:, None], 0, unknown)
        lost = forward + unknown + np.where(told_elsewhere[:, None], 0, backward)
        sent = replied + forward + backward + unknown
        link, flow = np.nonzero(sent)
        return FlowCounts(link, sent[link, flow], lost[link, flow], links, flow)

    def forget(self, before_ns: int) -> None:
        """Drop the windows that start before."""
        self._ring.forget(before_ns)
        self.losses.forget(before_ns)

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        flows = len(self._numbers)
        self.losses.move(place)
        each = [np.where(place >= 0, place + flow * links, -1) for flow in range(flows)]
        self._ring.move(np.concatenate([np.empty(0, np.intp), *each]), links * flows)
