"""The memory of a period, from which windows are judged as quality.verdicts.judge says. Pure.

Rows are taken as they come, in any order; what a verdict needs of them is kept by window in little room (see
quality.verdicts.facts) and summed when a window is judged. A row replaces a copy with the same key in the
same window, unless that one's revision is higher. What is said is what all rows of the period would say at
once (tests/quality/plain.py), but for this:

- windows that are excused count for no verdict, but in `period_delay_us`;
- `period_delay_us` is of the blocks (a sixth of the period, whole windows) that the period reaches into, so
  it looks back up to a block further; of a window that was corrected it knows the first copy;
- `divergent` of a window judged again more than three windows late stays as it was told first;
- delay looks back no further than to a change of the tier's delay or quantile; and everything no further than
  to the day when a link came (back) into the inventory, or another class was judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import AHEAD_NS, NS_PER_S
from linkgauge.frame import Frame, concat
from linkgauge.model import LinkSpec, Probe
from linkgauge.schema import STATE
from quality.evidence import Rows
from quality.memory.batches import batched, wide
from quality.memory.ring import Ring
from quality.objectives import Objectives
from quality.signals.book import SignalBook
from quality.signals.columns import Known, low_throughput
from quality.verdicts.delay import Delays
from quality.verdicts.facts import DELAY_FROM, NAMES, Facts, Limits, carried, facts, ranked, told_us
from quality.verdicts.flow_book import FlowBook
from quality.verdicts.flow_losses import LossOfFlows, of_links
from quality.verdicts.flows import unequal
from quality.verdicts.judge import Columns, Window, unfit_ends, verdicts
from quality.verdicts.left_out import LeftOut
from quality.verdicts.period import conclude
from quality.verdicts.pool import Pool
from quality.verdicts.spread import Spread
from quality.verdicts.throughput import last_two_bps

Counts = NDArray[np.int64]

SLACK_WINDOWS = 8
"""Windows kept beyond a period: those not yet judged; and so long as clocks may be ahead, with two more."""
LEAST_FLOWS_NS = 300 * NS_PER_S
"""Flows are compared over the period, and over this long where the period is shorter."""
LEAST_EVENTS_NS = 900 * NS_PER_S
"""An event is told of over the period, and over this long where the period is shorter."""
_REVISION, _RTT, _ONE_WAY, _DIVERGENT = range(4)


class Ledger:
    """See above; not thread safe."""

    def __init__(self, window_ns: int, period_ns: int) -> None:
        self._window_ns, self._period_ns = window_ns, period_ns
        self._flows_ns, self._events_ns = max(period_ns, LEAST_FLOWS_NS), max(period_ns, LEAST_EVENTS_NS)
        self._slack_ns = max(SLACK_WINDOWS * window_ns, AHEAD_NS + 2 * window_ns)
        self._class, self._classes = "", 1
        self._specs: Sequence[LinkSpec] = ()
        self._objectives = Objectives.of(())
        self._limits = Limits.of(self._objectives)
        self._begin()

    def _begin(self) -> None:
        self._facts, self._marks = Ring(len(NAMES)), Ring(4)
        self._pool, self._spread = Pool(self._window_ns), Spread(self._window_ns, self._period_ns)
        self._flows = FlowBook()
        remember_ns = self._period_ns + self._slack_ns
        self._signals = SignalBook(self._window_ns, self._period_ns, remember_ns, self._events_ns)
        self._left_out = LeftOut()
        self._newest_ns = 0

    def begin_anew(self) -> None:
        """Forget all windows: the clock was set back, and theirs are still to come. Error budgets stay."""
        burn = self._signals.burn
        self._begin()
        burn.set_back()
        self._signals.burn = burn

    @property
    def starts(self) -> list[int]:
        """Windows of which something is remembered, ascending."""
        return sorted({*self._facts.starts, *self._flows.starts})

    @property
    def unreadable_events(self) -> int:
        """EVENT rows left out because their numbers made no sense."""
        return self._signals.changes.unreadable

    def absorb(
        self,
        windows: Sequence[Frame],
        flows: Sequence[Frame],
        specs: Sequence[LinkSpec],
        judged_class: str = "0",
        events: Sequence[Frame] = (),
        certificates: Sequence[Frame] = (),
        states: Sequence[Frame] = (),
        classes: int = 1,
    ) -> None:
        """Work in rows of WINDOW, FLOW, EVENT and CERTIFICATE (or frames with those columns of them that are
        read here; counts may be of any whole type). Of STAMP the rows of that class count; rows of other
        links than those of the specs are left out. states: what an earlier life told, with `good` and `bad`.
        classes: in how many STAMP is sent."""
        self._adopt(specs, judged_class)
        self._classes = classes
        touched: set[int] = set()
        for frames in batched(windows):
            touched |= self._absorb_windows(frames)
        for start_ns in sorted(touched):
            self._settle(start_ns)
        for frames in batched(flows):
            self._absorb_flows(frames)
        judged = [frame.take(frame.text("class") == self._class) for frame in events]
        self._signals.take(judged, certificates, states, self._objectives)
        self._forget()

    def excuse(self, start_ns: int, links: NDArray[np.bool_]) -> None:
        """For these links (n,) the window is neither good nor bad, and no part of what verdicts look back on:
        work was announced, or somebody plays a fault."""
        self._left_out.put(start_ns, links)

    def judge(self, throughput: Frame, start_ns: int) -> Frame:
        """STATE rows for the window from `start_ns`, one for each spec that was last told, in their order.

        All columns but `maintenance` and `drill`, which are 0. throughput: THROUGHPUT
        rows, no older than a test may be; the last two of each link count.
        """
        objectives, end_ns = self._objectives, start_ns + self._window_ns
        links = len(objectives)
        whole = Facts(self._facts.total(end_ns - self._period_ns, start_ns, links))
        period = self._left_out.counted(whole, self._facts, end_ns - self._period_ns, start_ns)
        now, marks = Facts(self._facts.at(start_ns, links)), self._marks.at(start_ns, links)
        basis, unknown = whole.basis, np.full(links, np.nan)
        delay_us = self._spread.quantile_us(start_ns, basis, whole["late"], objectives.delay_quantile)
        received_bps, former_bps = last_two_bps(throughput, objectives, end_ns)
        delays = Delays(period["rtt"] + period["late"], delay_us, unknown, unknown)
        keeps = period.keeps(objectives.delay_quantile, basis)
        verdict = conclude(period.sums, basis, delays, keeps, received_bps, objectives)
        from_ns = end_ns - self._flows_ns
        mostly = self._signals.carried_mostly(from_ns, start_ns, links)
        flows = self._flows.between(from_ns, start_ns, verdict.told_elsewhere, mostly)
        untold = self._signals.untold(start_ns, objectives)
        window = Window(
            start_ns,
            self._window_ns,
            now.sums,
            unfit_ends(now["measured"] > now["fit"], self._specs),
            told_us(marks[_RTT], marks[_ONE_WAY], basis),
            unequal(flows),
            self._divergent(start_ns, marks),
            self._signals.lost_runs(start_ns, links),
            self._signals.unheard(start_ns, now["forward_most"], untold),
        )
        columns = verdicts(verdict, window, objectives) | low_throughput(received_bps, former_bps, objectives)
        well = self._signals.carried(start_ns, links)
        known = Known(now["fit"] > 0, verdict.told_elsewhere, window.unfit_end, well, untold)
        slow = now.keeps(objectives.delay_quantile, basis)[1]
        return Frame.of(STATE, self._with_signals(start_ns, columns, known, slow))

    def flow_losses(self, since_ns: Mapping[str, int]) -> dict[str, LossOfFlows]:
        """What each flow lost of the links that are named, since the time that each is named with (Unix ns);
        without those of which no flows were told since."""
        rows, names = self._objectives.rows, list(self._objectives.rows)
        from_ns = np.full(len(names), 2**62, np.int64)
        for link in since_ns.keys() & rows.keys():
            from_ns[rows[link]] = since_ns[link]
        counts, doubtful = self._flows.losses.since(
            from_ns, lambda start_ns, end_ns: self._signals.told(start_ns, end_ns, self._objectives.reverse)
        )
        found = of_links(counts, doubtful, self._flows.names)
        return {names[row]: each for row, each in found.items()}

    def snapshot(self) -> bytes:
        """What error budgets were used up, for `restore` after a restart: nothing else lasts for days."""
        return self._signals.burn.snapshot(list(self._objectives.rows))

    def restore(self, body: bytes, specs: Sequence[LinkSpec], judged_class: str = "0") -> None:
        """Take up a snapshot, before any row. Raises StoreError when it is none."""
        self._adopt(specs, judged_class)
        self._signals.burn.restore(body, self._objectives.rows)

    def _with_signals(
        self, start_ns: int, columns: Columns, known: Known, slow: NDArray[np.bool_]
    ) -> Columns:
        book = self._signals
        columns |= book.columns(start_ns, columns, known, self._objectives)
        columns |= book.judged(start_ns, columns, known, slow, self._left_out.at(start_ns, len(slow)))
        return columns | book.burnt(start_ns, self._objectives)

    def _settle(self, start_ns: int) -> None:
        """Take off losses of the window that are known by the far end's word not to be on the way out."""
        link, unattributed, silent = self._signals.settle(start_ns, self._objectives.reverse)
        if len(link):
            matrix = self._facts.at(start_ns, len(self._objectives))
            carried(matrix, link, unattributed, silent)
            self._facts.put(start_ns, matrix)

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
        for part in (self._facts, self._marks, self._pool, self._flows, self._signals, self._left_out):
            part.move(place, links)
        self._spread.move(place, links)
        kept = place >= 0
        others = np.zeros(links, np.bool_)
        for name in ("delay_us", "delay_quantile"):
            others[place[kept]] |= getattr(former, name)[kept] != getattr(self._objectives, name)[place[kept]]
        if others.any():
            self._facts.clear(slice(DELAY_FROM, None), np.flatnonzero(others))
            self._marks.clear(slice(_RTT, _ONE_WAY + 1), np.flatnonzero(others))

    def _absorb_windows(self, frames: Sequence[Frame]) -> set[int]:
        """Returns the windows of which rows of STAMP came."""
        frame = wide(concat(frames[0].table, frames))
        link, slots = self._objectives.found(frame.text("link")), self._slots(frame)
        touched: set[int] = set()
        for probe in (Probe.STAMP, Probe.ICMP, Probe.TCP):
            mine = (frame.text("probe") == probe.value) & (link >= 0)
            if probe is Probe.STAMP:
                mine &= frame.text("class") == self._class
            for start_ns in np.unique(slots[mine]).tolist():
                rows = np.flatnonzero(mine & (slots == start_ns))
                self._put(probe, start_ns, rows, link, frame)
                if probe is Probe.STAMP:
                    touched.add(start_ns)
        return touched

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
        self._signals.put(start_ns, owner, part, links, self._classes)
        self._newest_ns = max(self._newest_ns, start_ns)

    def _absorb_flows(self, frames: Sequence[Frame]) -> None:
        frame = wide(concat(frames[0].table, frames))
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
        slack_ns = self._slack_ns
        oldest_ns = self._newest_ns - self._period_ns - slack_ns
        for part in (self._facts, self._marks, self._left_out, self._spread):
            part.forget(oldest_ns)
        self._flows.forget(self._newest_ns - self._flows_ns - slack_ns)
        self._pool.keep_for(self._newest_ns - slack_ns)
        self._signals.forget(oldest_ns, self._newest_ns - self._events_ns - slack_ns)
