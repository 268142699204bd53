"""The windows that both ends of a pair of engines told of, and how late each says that it was in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linkgauge.frame import Frame, concat
from linkgauge.schema import WINDOW
from probes.engine.noted import Fitness
from tests.probes.engines import Sink


@dataclass(frozen=True, slots=True)
class End:
    """One end. starts: of the windows that are whole at both ends, Unix ns."""

    sink: Sink
    starts: list[int]

    def rows(self) -> Frame:
        """These windows in their last revision."""
        rows = concat(WINDOW, self.sink.frames)
        keys = zip(rows.text("link"), rows.text("class"), rows.count("start_ns").tolist(), strict=True)
        last = {key: row for row, key in enumerate(keys) if key[2] in self.starts}
        return rows.take(np.array(sorted(last.values()), np.intp))

    def total(self, name: str, start_ns: int) -> int:
        """Sum of a count over all rows of a window; 0 when it has none."""
        rows = self.rows()
        return int(rows.count(name)[rows.count("start_ns") == start_ns].sum())

    def fitness(self) -> list[Fitness]:
        """Of these windows."""
        return [told for told in self.sink.fitness if told.start_ns in self.starts]

    def late_s(self, start_ns: int) -> float:
        """How much of a window may have been counted in the one before or after, as told by itself.

        A loop that comes late to the end of a window says so in the one that follows.
        """
        at = next(at for at, told in enumerate(self.sink.fitness) if told.start_ns == start_ns)
        return sum(told.loop_lag_max_us for told in self.sink.fitness[at : at + 2]) / 1e6


def both_ends(here: Sink, there: Sink, cut: int = 1) -> tuple[End, End]:
    """cut: how many of the last windows are not whole: 1 when the engines have ended, 0 before.

    An end that began a window later than the other counts in its first what came before it.
    """
    whole = [[told.start_ns for told in sink.fitness[: len(sink.fitness) - cut]] for sink in (here, there)]
    starts = {*whole[0]} & {*whole[1]}
    if all(whole) and whole[0][0] != whole[1][0]:
        starts.discard(max(whole[0][0], whole[1][0]))
    return End(here, sorted(starts)), End(there, sorted(starts))
