"""Which flows are swept in which round, so that all have their turn. Pure.

The first class has its turn each round with a sample of the flows of every link, each other class with one
flow of every link, class after class. What does not fit into a round comes first in the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from probes.path.book import Flow


class Rota:
    """Turns of `links` x `classes` x `flows` flow numbers, `sample` flows of a link at a time."""

    def __init__(self, links: Sequence[str], classes: Sequence[int], flows: int, sample: int) -> None:
        self._sample = min(sample, flows)
        first, others = classes[:1], classes[1:]
        self._first = [(link, dscp, flow) for flow in range(flows) for dscp in first for link in links]
        self._others = [(link, dscp, flow) for flow in range(flows) for dscp in others for link in links]
        self._links = len(links)
        self._at = [0, 0]
        self.postponed = 0
        """Sweeps that did not fit into their round."""

    def next(self, most: int) -> list[Flow]:
        """Flows of the next round, at most `most`."""
        wanted = [self._sample * self._links, self._links if self._others else 0]
        given = wanted
        if sum(wanted) > most:  # both get their share, so that neither waits for ever
            others = max(1, most * wanted[1] // sum(wanted)) if wanted[1] and most > 1 else 0
            given = [most - others, others]
        self.postponed += sum(wanted) - sum(given)
        return self._take(0, self._first, given[0]) + self._take(1, self._others, given[1])

    def _take(self, which: int, turns: Sequence[Flow], count: int) -> list[Flow]:
        if not turns:
            return []
        start, self._at[which] = self._at[which], (self._at[which] + count) % len(turns)
        return [turns[(start + step) % len(turns)] for step in range(min(count, len(turns)))]
