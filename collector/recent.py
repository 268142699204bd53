"""The rows that judging looks at: recent windows and flows, by window and agent. Bounded, not thread safe.

Of WINDOW those of ICMP, of TCP, and of STAMP in the class that is judged; of FLOW those of that class; of
both the columns that a judge reads. A row replaces an older copy with the same key; a corrected window
carries a higher revision, and a copy with a lower one that comes after it is left out. Windows of a period
are kept, flows of at least LEAST_FLOWS_NS, because they come once a minute; and SLACK_WINDOWS of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from linkgauge.clock import NS_PER_S, seconds, window_start
from linkgauge.frame import Frame, concat
from linkgauge.inventory import Inventory
from linkgauge.model import Probe
from linkgauge.schema import FLOW, WINDOW
from linkgauge.table import Table

SLACK_WINDOWS = 8
"""Windows kept beyond a period: those not yet judged, and those of clocks that are ahead."""

LEAST_FLOWS_NS = 300 * NS_PER_S
"""Flows are compared over the period, and over this long where the period is shorter."""


def _judged(table: Table, *names: str) -> Table:
    """The table with fewer fields; a WINDOW row has some sixty, and a period of them is held in memory."""
    return Table(table.name, table.keys, tuple(field for field in table.fields if field.name in names))


_LOST = ("lost_forward", "lost_backward", "lost_unattributed", "unfit")
JUDGED_WINDOW = _judged(
    WINDOW, *_LOST, "sent", "replied", "late", "refused", "under_test", "revision", "one_way_error_us",
    "rtt_ns", "forward_ns",
)  # fmt: skip
JUDGED_FLOW = _judged(FLOW, *_LOST, "replied")
_COMPARED = (Probe.ICMP.value, Probe.TCP.value)


@dataclass(frozen=True, slots=True)
class Past:
    """What a window is judged by: rows of the period that ends with it, and tests that count in it."""

    windows: Frame
    """JUDGED_WINDOW."""
    flows: Frame
    """JUDGED_FLOW."""
    throughput: Frame
    """The last THROUGHPUT row that measured of each link."""


class Recent:
    """See above. inventory: the one in force when called."""

    def __init__(self, inventory: Callable[[], Inventory]) -> None:
        self._inventory = inventory
        self._windows: dict[int, dict[str, Frame]] = {}
        self._flows: dict[int, dict[str, Frame]] = {}
        self._settled_ns = 0  # start of the newest window that was judged, or is just now
        self._late: set[int] = set()

    @property
    def rows(self) -> int:
        """Rows held, of both tables."""
        held = [*self._windows.values(), *self._flows.values()]
        return sum(frame.rows for slot in held for frame in slot.values())

    @property
    def slots(self) -> list[int]:
        """Starts of the windows of which rows are held, ascending."""
        return sorted(self._windows)

    def take_windows(self, frame: Frame, agent: str) -> None:
        """WINDOW rows of one agent. Rows of STAMP in a window that was judged already make it late."""
        stamp = (frame.text("probe") == Probe.STAMP.value) & (
            frame.text("class") == self._inventory().judged_class
        )
        wanted = stamp | np.isin(frame.text("probe"), _COMPARED)
        window_ns = seconds(self._inventory().window_s)
        starts = _keep(self._windows, JUDGED_WINDOW, frame, wanted, agent, window_ns)
        judged = set(_slots(frame, window_ns)[stamp].tolist())
        self._late.update(at for at in starts if at in judged and at <= self._settled_ns)
        self._forget(window_ns)

    def take_flows(self, frame: Frame, agent: str) -> None:
        """FLOW rows of one agent."""
        wanted = (frame.text("probe") == Probe.STAMP.value) & (
            frame.text("class") == self._inventory().judged_class
        )
        window_ns = seconds(self._inventory().window_s)
        _keep(self._flows, JUDGED_FLOW, frame, wanted, agent, window_ns)
        self._forget(window_ns)

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

    def windows(self, start_ns: int) -> Sequence[Frame]:
        """JUDGED_WINDOW rows of the period that ends with the window at start_ns, in pieces, so that they
        can be put together without the lock."""
        return self._between(self._windows, start_ns, self._period_ns)

    def flows(self, start_ns: int) -> Sequence[Frame]:
        """JUDGED_FLOW rows that start in that period, or in LEAST_FLOWS_NS before the window's end."""
        return self._between(self._flows, start_ns, max(self._period_ns, LEAST_FLOWS_NS))

    @property
    def _period_ns(self) -> int:
        return seconds(self._inventory().period_s)

    def _between(self, held: dict[int, dict[str, Frame]], start_ns: int, span_ns: int) -> Sequence[Frame]:
        from_ns = start_ns + seconds(self._inventory().window_s) - span_ns
        slots = [slot for at, slot in sorted(held.items()) if from_ns <= at <= start_ns]
        return [frame for slot in slots for frame in slot.values()]

    def _forget(self, window_ns: int) -> None:
        newest_ns = window_start(max([*self._windows, *self._flows], default=0), window_ns)
        spans = (self._windows, self._period_ns), (self._flows, max(self._period_ns, LEAST_FLOWS_NS))
        for held, span_ns in spans:
            oldest_ns = newest_ns - span_ns - SLACK_WINDOWS * window_ns
            for slot_ns in [at for at in held if at < oldest_ns]:
                del held[slot_ns]
        self._late &= self._windows.keys()


def _slots(frame: Frame, window_ns: int) -> np.ndarray:
    """Start of the window in which each row starts, (rows,) int64."""
    starts = frame.count("start_ns")
    return starts - starts % window_ns


def _keep(
    held: dict[int, dict[str, Frame]],
    table: Table,
    frame: Frame,
    wanted: np.ndarray,
    agent: str,
    window_ns: int,
) -> list[int]:
    """Put the wanted rows where they belong; returns the starts of the windows that got some."""
    slim = Frame(table, {field.name: frame.columns[field.name] for field in table.columns}, frame.rows)
    slots = _slots(frame, window_ns)
    starts: list[int] = np.unique(slots[wanted]).tolist()
    for slot_ns in starts:
        chosen = wanted & (slots == slot_ns)
        part = slim if chosen.all() else slim.take(chosen)
        slot = held.setdefault(slot_ns, {})
        slot[agent] = last_copies(concat(table, [slot[agent], part]) if agent in slot else part)
    return starts


def last_copies(frame: Frame) -> Frame:
    """Of the rows of one window the last copy of each key: of the highest revision, of equals the later."""
    keys = zip(*(frame.text(key).tolist() for key in frame.table.keys), strict=True)
    has = any(field.name == "revision" for field in frame.table.fields)
    revisions = frame.count("revision").tolist() if has else [0] * frame.rows
    last: dict[tuple[str, ...], int] = {}
    for at, key in enumerate(keys):
        if revisions[last.get(key, at)] <= revisions[at]:
            last[key] = at
    return frame if len(last) == frame.rows else frame.take(np.array(list(last.values()), np.intp))
