"""The way that each flow of each link took last, for whoever looks for the place of a trouble.

Of a flow the last sweep that reached the far end counts, and only while there was none the last at all: a
sweep that a fault cuts short does not say where the packets would have gone; it ends with a silent hop here.
A hop that is silent in the last sweep and was not in the one before keeps its address where both are alike
but for that: routers answer so many sweeps at a time. Bounded: links that are not in the inventory are
forgotten when it changes, and a link keeps MOST_FLOWS ways at most. Thread safe.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from collector.event_line import event_line
from collector.live.last_sizes import LastSizes
from linkgauge.clock import NS_PER_S, seconds
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.model import Link
from linkgauge.schema import PATH
from linkgauge.table import Table
from linkgauge.way_text import CUT, SILENT
from linkgauge.wire import Batch

log = logging.getLogger(__name__)
MOST_FLOWS = 64
"""Of a link, of all its classes; when another comes, the one that was heard of longest ago goes."""
LINKS_AT_ONCE = 30_000
AHEAD_NS = 60 * NS_PER_S
ROUNDS_BACK, WINDOWS_BACK = 3, 2
"""So far back sweeps are taken up at start: a round longer than another MTU is news to alerts
(alerts.causes.alterations), or an old one would be news again after each restart."""
"""Ends a way that was too long for its column."""
Way = tuple[str, ...]
"""Addresses of the hops in order, "*" where one was silent; the last is the far end when it was reached."""


class Archive(Protocol):
    """Rows as they stand in the archive."""

    def read(self, table: Table, from_ns: int, to_ns: int) -> Frame: ...


class LastPaths:
    """See above. inventory: the one in force when called. sizes: what the same sweeps found to pass."""

    def __init__(self, inventory: Callable[[], Inventory]) -> None:
        self._inventory = inventory
        self.sizes = LastSizes()
        self._lock = threading.Lock()
        self._known: Inventory | None = None
        self._ways: dict[str, dict[str, tuple[bool, Way]]] = {}  # link -> flow -> (reached, way)

    def observe(self, batch: Batch, _received_ns: int) -> None:
        """Take note of the sweeps in a journalled batch."""
        frame = batch.frames.get(PATH.name)
        if frame is not None:
            self.take(frame)

    def take(self, frame: Frame) -> None:
        """PATH rows, in the order in which they were made."""
        names = (frame.text(name).tolist() for name in ("link", "class", "flow", "path"))
        with self._lock:
            self._forget()
            for *flow, text, reached in zip(*names, (frame.count("reached") == 1).tolist(), strict=True):
                self._put(flow[0], sys.intern(f"{flow[1]}/{flow[2]}"), text, reached)
            self.sizes.take(frame, self._expected)

    def replay(self, archive: Archive, now_ns: int) -> None:
        """Take up the sweeps of the last rounds from the archive."""
        inventory = self._inventory()
        if inventory.probing.path is None:
            return
        back_ns = ROUNDS_BACK * seconds(inventory.probing.path.interval_s)
        back_ns += WINDOWS_BACK * seconds(inventory.window_s)
        step_ns = seconds(inventory.window_s) * max(1, LINKS_AT_ONCE // max(1, len(inventory.links)))
        try:
            for from_ns in range(now_ns - back_ns, now_ns + AHEAD_NS, step_ns):
                self.take(archive.read(PATH, from_ns, min(from_ns + step_ns, now_ns + AHEAD_NS)))
        except StoreError as err:
            log.error(event_line("paths_not_read", error=err, effect="known again after the next sweeps"))

    def paths(self) -> Mapping[str, Sequence[Way]]:
        """The way of each flow of each link, by its text form; links without a sweep are not there."""
        with self._lock:
            self._forget()
            return {link: tuple(way for _, way in flows.values()) for link, flows in self._ways.items()}

    def of_flows(self, link: str, judged_class: str) -> Mapping[str, Way]:
        """The way of each flow of a link in a class, by the flow's name."""
        with self._lock:
            flows = self._ways.get(link, {})
            prefix = f"{judged_class}/"
            return {
                name.removeprefix(prefix): way for name, (_, way) in flows.items() if name.startswith(prefix)
            }

    def _put(self, link: str, flow: str, text: str, reached: bool) -> None:
        hops = text.removesuffix(CUT).split()
        if not hops or (link not in self._ways and not self._expected(link)):
            return
        flows = self._ways.setdefault(link, {})
        before = flows.pop(flow, None)
        if before is not None and before[0] and not reached:
            flows[flow] = before
            return
        way = tuple(map(sys.intern, hops if reached or hops[-1] == SILENT else (*hops, SILENT)))
        if before is not None and before[0] and reached:
            way = _filled(way, before[1])
        same = next((each for _, each in flows.values() if each == way), way)
        flows[flow] = (reached, same)
        while len(flows) > MOST_FLOWS:
            del flows[next(iter(flows))]

    def _forget(self) -> None:
        inventory = self._inventory()
        if inventory is self._known:
            return
        self._known = inventory
        self._ways = {link: flows for link, flows in self._ways.items() if self._expected(link)}
        self.sizes.forget(self._expected)

    def _expected(self, link: str) -> bool:
        return self._known is not None and Link.parse(link) in self._known.links


def _filled(way: Way, before: Way) -> Way:
    """The way with the hops that were silent in it only, where both are alike otherwise."""
    if len(way) != len(before) or SILENT not in way:
        return way
    alike = all(one == other or SILENT in (one, other) for one, other in zip(way, before, strict=True))
    return tuple(b if a == SILENT else a for a, b in zip(way, before, strict=True)) if alike else way
