"""Rows that no judge has seen yet, and which judged windows got rows since. Bounded, not thread safe.

Of WINDOW those of ICMP, of TCP, and of STAMP in the class that is judged; of FLOW and EVENT those of that
class; CERTIFICATE; and at start, of STATE, what an earlier life told. Of all the columns that a judge reads,
counts in the smallest type that holds them. What is older than a period (flows: LEAST_FLOWS_NS, because
those of links that lose nothing come once a minute; events and certificates: LEAST_EVENTS_NS) and
SLACK_WINDOWS goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import AHEAD_NS, NS_PER_S, seconds
from linkgauge.frame import Column, Frame, Histograms, concat
from linkgauge.inventory import Inventory
from linkgauge.model import Probe
from linkgauge.schema import CERTIFICATE, EVENT, FLOW, STATE, THROUGHPUT, WINDOW
from linkgauge.table import Kind, Table

SLACK_WINDOWS = 8
"""Windows kept beyond a period: those not yet judged; and so long as clocks may be ahead, with two more."""

LEAST_FLOWS_NS = 300 * NS_PER_S
"""Flows are compared over the period, and over this long where the period is shorter."""

LEAST_EVENTS_NS = 900 * NS_PER_S
"""Events are told of over the period, and over this long where the period is shorter."""


def _judged(table: Table, *names: str) -> Table:
    """The table with fewer fields; a WINDOW row has some sixty, and a judge reads a fifth of them."""
    return Table(table.name, table.keys, tuple(field for field in table.fields if field.name in names))


_LOST = ("lost_forward", "lost_backward", "lost_unattributed", "unfit")
JUDGED_WINDOW = _judged(
    WINDOW, *_LOST, "sent", "replied", "late", "refused", "under_test", "revision", "one_way_error_us",
    "unanswered", "unanswered_s", "heard", "lost_runs", "marks", "remarked_forward", "ce_forward",
    "remarked_backward", "ce_backward", "pdv_us", "forward_min_us", "backward_min_us", "rtt_ns", "forward_ns",
)  # fmt: skip
JUDGED_FLOW = _judged(FLOW, *_LOST, "replied")
JUDGED_EVENT = _judged(EVENT, "before", "after", "before_us", "after_us")
JUDGED_CERTIFICATE = _judged(CERTIFICATE, "presented", "days_left")
COUNTED_STATE = _judged(STATE, "good", "bad")
_COMPARED = (Probe.ICMP.value, Probe.TCP.value)
Slots = dict[int, list[Frame]]
"""Frames by the window in which their rows start."""
_WIDTHS = (np.uint8, np.uint16, np.uint32, np.int64)


@dataclass(frozen=True, slots=True)
class Past:
    """What a window is judged by beside what the judge was told before."""

    windows: tuple[Frame, ...]
    """New rows, of any window: frames of JUDGED_WINDOW, in the order in which they came."""
    flows: tuple[Frame, ...]
    """New rows: frames of JUDGED_FLOW."""
    throughput: Frame
    """The last THROUGHPUT row that measured of each link."""
    anew: bool = False
    """The clock was set back: what was told before is of times that are still to come."""
    events: tuple[Frame, ...] = ()
    """New rows of EVENT."""
    certificates: tuple[Frame, ...] = ()
    """New rows of CERTIFICATE."""
    states: tuple[Frame, ...] = ()
    """Frames of COUNTED_STATE: what an earlier life told, at start only."""

    @classmethod
    def empty(cls) -> Past:
        return cls((), (), concat(THROUGHPUT, []))


class Recent:
    """See above. inventory: the one in force when called."""

    def __init__(self, inventory: Callable[[], Inventory]) -> None:
        self._inventory = inventory
        self._windows: Slots = {}
        self._flows: Slots = {}
        self._events: Slots = {}
        self._certificates: Slots = {}
        self._states: Slots = {}
        self._newest_ns = 0
        self._settled_ns = 0  # start of the newest window that was judged, or is just now
        self._late: set[int] = set()

    @property
    def rows(self) -> int:
        """Rows held, of all tables."""
        return sum(frame.rows for held in self._all for slot in held.values() for frame in slot)

    @property
    def _all(self) -> tuple[Slots, ...]:
        return self._windows, self._flows, self._events, self._certificates, self._states

    def take_windows(self, frame: Frame) -> None:
        """WINDOW rows. Rows of STAMP in a window that was judged already make it late."""
        stamp = (frame.text("probe") == Probe.STAMP.value) & (
            frame.text("class") == self._inventory().judged_class
        )
        wanted = stamp | np.isin(frame.text("probe"), _COMPARED)
        slots = self._keep(self._windows, JUDGED_WINDOW, frame, wanted)
        self._late.update(at for at in set(slots[stamp].tolist()) if at <= self._settled_ns)
        self._forget()

    def take_flows(self, frame: Frame) -> None:
        """FLOW rows."""
        wanted = (frame.text("probe") == Probe.STAMP.value) & (
            frame.text("class") == self._inventory().judged_class
        )
        self._keep(self._flows, JUDGED_FLOW, frame, wanted)
        self._forget()

    def take_events(self, frame: Frame) -> None:
        """EVENT rows."""
        self._keep(self._events, JUDGED_EVENT, frame, frame.text("class") == self._inventory().judged_class)
        self._forget()

    def take_certificates(self, frame: Frame) -> None:
        """CERTIFICATE rows."""
        self._keep(self._certificates, JUDGED_CERTIFICATE, frame, np.ones(frame.rows, np.bool_))
        self._forget()

    def take_states(self, frame: Frame) -> None:
        """STATE rows of an earlier life."""
        self._keep(self._states, COUNTED_STATE, frame, np.ones(frame.rows, np.bool_))
        self._forget()

    def hand_over(self, throughput: Frame, anew: bool = False) -> Past:
        """The rows that came since the last call."""
        windows, flows, events, certificates, states = (
            tuple(frame for at in sorted(each) for frame in each[at]) for each in self._all
        )
        self._windows, self._flows, self._events, self._certificates, self._states = {}, {}, {}, {}, {}
        return Past(windows, flows, throughput, anew, events, certificates, states)

    def set_back(self, start_ns: int) -> None:
        """The clock was set back: the window at start_ns is judged next, as the first."""
        self._windows, self._flows, self._events, self._certificates, self._states = {}, {}, {}, {}, {}
        self._late = set()
        self._newest_ns, self._settled_ns = 0, start_ns - 1

    def settle(self, start_ns: int) -> None:
        """The window is judged now, with all that is here."""
        self.settle_up_to(start_ns)
        self._late.discard(start_ns)

    def settle_up_to(self, start_ns: int) -> None:
        """Windows up to this one have been judged."""
        self._settled_ns = max(self._settled_ns, start_ns)

    def late(self) -> list[int]:
        """Starts of the windows that got rows after they were judged, oldest first."""
        return sorted(self._late)

    def _keep(self, held: Slots, table: Table, frame: Frame, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Put the wanted rows where they belong; returns the start of the window in which each row starts."""
        starts = frame.count("start_ns")
        slots = starts - starts % seconds(self._inventory().window_s)
        if not wanted.any():
            return slots
        small = Frame(table, _small(table, frame), frame.rows)
        for slot_ns in set(slots[wanted].tolist()):
            chosen = wanted & (slots == slot_ns)
            held.setdefault(slot_ns, []).append(small if chosen.all() else small.take(chosen))
            self._newest_ns = max(self._newest_ns, slot_ns)
        return slots

    def _forget(self) -> None:
        period_ns, window_ns = seconds(self._inventory().period_s), seconds(self._inventory().window_s)
        newest_ns = self._newest_ns - max(SLACK_WINDOWS * window_ns, AHEAD_NS + 2 * window_ns)
        flows_ns, events_ns = max(period_ns, LEAST_FLOWS_NS), max(period_ns, LEAST_EVENTS_NS)
        spans = period_ns, flows_ns, events_ns, events_ns, events_ns
        for held, span_ns in zip(self._all, spans, strict=True):
            for slot_ns in [at for at in held if at < newest_ns - span_ns]:
                del held[slot_ns]
        self._late = {at for at in self._late if at >= newest_ns - period_ns}


def _small(table: Table, frame: Frame) -> dict[str, Column]:
    """The columns of the table, counts in the smallest type that holds all of them."""
    names = [field.name for field in table.fields if field.kind is Kind.COUNT]
    counts = _narrow(np.array([frame.count(name) for name in names]))
    small = dict(zip(names, counts, strict=True))
    return {
        field.name: _column(frame.columns[field.name]) if field.name not in small else small[field.name]
        for field in table.columns
    }


def _column(column: Column) -> Column:
    if isinstance(column, Histograms):
        return Histograms(column.offsets, column.bucket, _narrow(column.count))
    return column


def _narrow(counts: NDArray[Any]) -> NDArray[Any]:
    top = counts.max(initial=0)
    return counts.astype(next(width for width in _WIDTHS if top <= np.iinfo(width).max))
