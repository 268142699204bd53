"""When agents stood still, as they said themselves: what a test may hold against the machine, and no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from linkgauge.clock import NS_PER_S
from linkgauge.code import Unfit
from linkgauge.frame import Frame
from linkgauge.model import Link

_TOLD = Unfit.LOOP_LAG.value | Unfit.RECEIVE_DROPPED.value


@dataclass(frozen=True, slots=True)
class Lateness:
    """By node, spans in Unix ns in which its loop was late by half the timeout or more, or lost datagrams."""

    spans: Mapping[str, Sequence[tuple[int, int]]]

    @classmethod
    def of(cls, windows: Frame) -> Self:
        """windows: STAMP windows, of every node at least one link.

        A loop that stood still says so in the window in which it goes on: the span begins with the window
        before that one, which may have ended early, and holds all windows that are missing between.
        """
        spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for link in sorted(set(windows.text("link").tolist())):
            own = windows.take(windows.text("link") == link)
            own = own.take(np.argsort(own.count("start_ns")))
            starts, unfit = own.count("start_ns").tolist(), own.count("unfit").tolist()
            for at, start_ns in enumerate(starts):
                if unfit[at] & _TOLD:
                    since_ns = starts[at - 1] if at else start_ns - NS_PER_S
                    spans[Link.parse(link).src].append((since_ns - NS_PER_S, start_ns + NS_PER_S))
        return cls(dict(spans))

    def touched(self, link: str, start_ns: int) -> bool:
        """Whether an end of this link stood still in the window of a second that begins then."""
        ends = Link.parse(link)
        return any(
            since_ns <= start_ns <= until_ns
            for node in (ends.src, ends.dst)
            for since_ns, until_ns in self.spans.get(node, ())
        )
