"""The memory of a period, from which windows are judged: as quality.judge does with all rows. Pure.

Rows are taken as they come, in any order; what a verdict needs of them is kept by window in little room (see
quality.facts) and summed when a window is judged. A row replaces a copy with the same key in the same
window, unless that one's revision is higher. The same rows give the same STATE as quality.judge.judge, but
for this:

- `period_delay_us` is of the blocks (a sixth of the period, whole windows) that the period reaches into, so
  it looks back up to a block further; of a window that was corrected it knows the first copy;
- `divergent` of a window judged again more than three windows late stays as it was told first;
- delay looks back no further than to a change of the tier's delay or quantile; and everything no further than
  to the day when a link came (back) into the inventory, or another class was judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import AHEAD_NS, NS_PER_S
from linkgauge.frame import Frame, concat
from linkgauge.model import LinkSpec, Probe
from linkgauge.table import Kind
from quality.delay import Delays
from quality.evidence import Rows
from quality.facts import DELAY_FROM, NAMES, Facts, Limits, facts, ranked, told_us
from quality.flow_book import FlowBook
from quality.flows import unequal
from quality.judge import Window, state
from quality.objectives import Objectives
from quality.period import conclude
from quality.pool import Pool
from quality.ring import Ring
from quality.spread import Spread
from quality.throughput import last_received_bps

Counts = NDArray[np.int64]

SLACK_WINDOWS = 8
"""Windows kept beyond a period: those not yet judged; and so long as clocks may be ahead, with two more."""
LEAST_FLOWS_NS = 300 * NS_PER_S
"""Flows are compared over the period, and over this long where the period is shorter."""
_AT_ONCE = 100_000
"""Rows worked on at once."""
_REVISION, _RTT, _ONE_WAY, _DIVERGENT = range(4)


class Ledger:
    """See above; not thread safe."""

    def __init__(self, window_ns: int, period_ns: int) -> None:
        self._window_ns, self._period_ns = window_ns, period_ns
        self._flows_ns = max(period_ns, LEAST_FLOWS_NS)
        self._class = ""
        self._specs: Sequence[LinkSpec] = ()
        self._objectives = Objectives.of(())
        self._limits = Limits.of(self._objectives)
        self._begin()

    def _begin(self) -> None:
        self._facts, self._marks = Ring(len(NAMES)), Ring(4)
        self._pool, self._spread = Pool(self._window_ns), Spread(self._window_ns, self._period_ns)
        self._flows = FlowBook()
        self._newest_ns = 0

    def begin_anew(self) -> None:
        """Forget all windows: the clock was set back, and theirs are still to come."""
        self._begin()

    @property
    def starts(self) -> list[int]:
        """Windows of which something is remembered, ascending."""
        return sorted({*self._facts.starts, *self._flows.starts})

    def absorb(
        self,
        windows: Sequence[Frame],
        flows: Sequence[Frame],
        specs: Sequence[LinkSpec],
        judged_class: str = "0",
    ) -> None:
        """Work in rows of WINDOW and FLOW (or frames with those columns of them that are read here; counts
        may be of any whole type). Of STAMP the rows of that class count; rows of other links than those of
        the specs are left out."""
        self._adopt(specs, judged_class)
        for frames in _batched(windows):
            self._absorb_windows(frames)
        for frames in _batched(flows):
            self._absorb_flows(frames)
        self._forget()

    def judge(self, throughput: Frame, start_ns: int) -> Frame:
        """STATE rows for the window from `start_ns`, one for each spec that was last told, in their order.

        throughput: as in quality.judge.judge.
        """
        objectives, end_ns = self._objectives, start_ns + self._window_ns
        links = len(objectives)
        period = Facts(self._facts.total(end_ns - self._period_ns, start_ns, links))
        now, marks = Facts(self._facts.at(start_ns, links)), self._marks.at(start_ns, links)
        basis, late = period.basis, period["late"]
        delay_us = self._spread.quantile_us(start_ns, basis, late, objectives.delay_quantile)
        unknown = np.full(links, np.nan)
        received_bps = last_received_bps(throughput, objectives, end_ns)
        delays = Delays(period["rtt"] + late, delay_us, unknown, unknown)
        keeps = period.keeps(objectives.delay_quantile)
        verdict = conclude(period.sums, basis, delays, keeps, received_bps, objectives)
        window = Window(
            start_ns,
            self._window_ns,
            now.sums,
            now["measured"] > now["fit"],
            told_us(marks[_RTT], marks[_ONE_WAY], basis),
            unequal(self._flows.between(end_ns - self._flows_ns, start_ns, verdict.told_elsewhere)),
            self._divergent(start_ns, marks),
        )
        return state(verdict, window, objectives, self._specs)

    def _divergent(self, start_ns: int, marks: Counts) -> Counts:
        if not self._pool.covers(start_ns) and marks[_DIVERGENT].any():
            return np.asarray(np.maximum(marks[_DIVERGENT] - 1, 0), np.int64)
        found = self._pool.divergent(start_ns, marks.shape[1])
        marks[_DIVERGENT] = found + 1
        self._marks.put(start_ns, marks)
        self._pool.keep_for(start_ns)
        return found

    def _adopt(self, specs: Sequence[LinkSpec], judged_class: str) -> None:
        if judged_class != self._class:
            self._begin()
            self._class = judged_class
        if specs is self._specs or list(specs) == list(self._specs):
            return
        former, self._specs = self._objectives, tuple(specs)
        self._objectives = Objectives.of(specs)
        self._limits = Limits.of(self._objectives)
        links = len(self._objectives)
        place = self._objectives.found(np.array(list(former.rows), np.object_))
        for part in (self._facts, self._marks, self._pool, self._flows):
            part.move(place, links)
        self._spread.move(place, links)
        kept = place >= 0
        others = np.zeros(links, np.bool_)
        for name in ("delay_us", "delay_quantile"):
            others[place[kept]] |= getattr(former, name)[kept] != getattr(self._objectives, name)[place[kept]]
        if others.any():
            self._facts.clear(slice(DELAY_FROM, None), np.flatnonzero(others))
            self._marks.clear(slice(_RTT, _ONE_WAY + 1), np.flatnonzero(others))

    def _absorb_windows(self, frames: Sequence[Frame]) -> None:
        frame = _wide(concat(frames[0].table, frames))
        link, slots = self._objectives.found(frame.text("link")), self._slots(frame)
        for probe in (Probe.STAMP, Probe.ICMP, Probe.TCP):
            mine = (frame.text("probe") == probe.value) & (link >= 0)
            if probe is Probe.STAMP:
                mine &= frame.text("class") == self._class
            for start_ns in np.unique(slots[mine]).tolist():
                rows = np.flatnonzero(mine & (slots == start_ns))
                self._put(probe, start_ns, rows, link, frame)

    def _put(self, probe: Probe, start_ns: int, rows: Rows, link: Rows, frame: Frame) -> None:
        """Rows of one probe in one window."""
        links = len(self._objectives)
        marks = self._marks.at(start_ns, links) if probe is Probe.STAMP else None
        known: Counts = self._pool.revisions(probe, start_ns, links) if marks is None else marks[_REVISION]
        revision = frame.count("revision")
        rows = rows[np.lexsort((rows, revision[rows], link[rows]))]
        last = np.append(link[rows][1:] != link[rows][:-1], True)
        rows = rows[last]
        rows = rows[revision[rows] + 1 >= known[link[rows]]]
        if not len(rows):
            return
        part, owner = frame.take(rows), link[rows]
        self._pool.put(probe, start_ns, owner, part, links)
        if marks is None:
            return
        matrix = self._facts.at(start_ns, links)
        matrix[:, owner] = facts(part, owner, self._objectives, self._limits)
        self._facts.put(start_ns, matrix)
        first = np.flatnonzero(known[owner] == 0)
        self._spread.put(start_ns, owner[first], part.take(first))
        marks[_RTT : _ONE_WAY + 1, owner] = ranked(part, owner, self._objectives.delay_quantile)
        marks[_REVISION, owner] = revision[rows] + 1
        self._marks.put(start_ns, marks)
        self._newest_ns = max(self._newest_ns, start_ns)

    def _absorb_flows(self, frames: Sequence[Frame]) -> None:
        frame = _wide(concat(frames[0].table, frames))
        link, slots = self._objectives.found(frame.text("link")), self._slots(frame)
        mine = (frame.text("probe") == Probe.STAMP.value) & (frame.text("class") == self._class)
        mine &= link >= 0
        for start_ns in np.unique(slots[mine]).tolist():
            rows = np.flatnonzero(mine & (slots == start_ns))
            self._flows.put(start_ns, link[rows], frame.take(rows), len(self._objectives))
            self._newest_ns = max(self._newest_ns, start_ns)

    def _slots(self, frame: Frame) -> Counts:
        starts = frame.count("start_ns")
        return starts - starts % self._window_ns

    def _forget(self) -> None:
        slack_ns = max(SLACK_WINDOWS * self._window_ns, AHEAD_NS + 2 * self._window_ns)
        oldest_ns = self._newest_ns - self._period_ns - slack_ns
        self._facts.forget(oldest_ns)
        self._marks.forget(oldest_ns)
        self._spread.forget(oldest_ns)
        self._flows.forget(self._newest_ns - self._flows_ns - slack_ns)
        self._pool.keep_for(self._newest_ns - slack_ns)


def _batched(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """The frames in order, some _AT_ONCE rows at a time."""
    begin = rows = 0
    for at, frame in enumerate(frames):
        rows += frame.rows
        if rows >= _AT_ONCE or at == len(frames) - 1:
            yield frames[begin : at + 1]
            begin, rows = at + 1, 0


def _wide(frame: Frame) -> Frame:
    """With all counts as int64, whatever they were kept as."""
    counts = {field.name for field in frame.table.columns if field.kind is Kind.COUNT}
    columns = {
        name: column.astype(np.int64, copy=False) if name in counts else column  # type: ignore[union-attr]  # counts are arrays
        for name, column in frame.columns.items()
    }
    return Frame(frame.table, columns, frame.rows)
