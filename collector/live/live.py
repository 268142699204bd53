"""The present, in memory: what each link and agent last reported, and the rows that a verdict looks at.

Fed with each journalled batch; at start, with what the archive and the journal still have of the last
period. A row replaces an older copy with the same key. Bounded: rows that no judge has asked for within a
period go, and nothing is held for a link or agent that is not in the inventory. Of STAMP the class that is
judged is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.live.last_rows import LastRows, Row
from collector.live.last_tests import LastTests
from collector.live.link_facts import LastOfLink, link_facts, plain
from collector.live.recent import Past, Recent
from linkgauge.clock import NS_PER_S, seconds
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.model import LinkSpec, Probe
from linkgauge.schema import CERTIFICATE, EVENT, FLOW, HEALTH, STATE, THROUGHPUT, WINDOW
from linkgauge.wire import Batch

_SHOWN = (
    "start_ns", "length_ns", "sent", "loss_forward_ratio", "loss_backward_ratio", "loss_ratio",
    "rtt_min_us", "rtt_p50_us", "rtt_p99_us", "forward_p50_us", "unfit", "replied", "refused",
    "revision",
)  # fmt: skip
"""Columns of WINDOW that the API tells for each probe."""
_AT_ONCE = 256
"""Links looked up at once, while nothing can be taken."""


class LiveState:
    """See above; thread safe. inventory: the one in force when called.

    cycle_ns: how long it takes from a link's throughput test to its next; 0 = not known.
    """

    def __init__(self, inventory: Callable[[], Inventory], cycle_ns: Callable[[], int] = lambda: 0) -> None:
        self._inventory, self._cycle_ns = inventory, cycle_ns
        self._lock = threading.Lock()
        self._recent = Recent(inventory)
        self._known: Inventory | None = None  # that whose links are numbered
        self._numbers: dict[str, int] = {}
        self._specs: tuple[LinkSpec, ...] = ()
        self._shown = {probe: LastRows(WINDOW, 0, _SHOWN) for probe in Probe}
        self._tests = LastRows(THROUGHPUT, 0)  # the last of each link, however it ended
        self._measured = LastTests()
        self._state = LastRows(STATE, 0)
        self._health: dict[str, Row] = {}
        self._seen: dict[str, tuple[int, str]] = {}
        self._anew = False  # judges are still to be told
        self._begun = False  # something was judged in this life

    def take(self, batch: Batch, received_ns: int) -> None:
        """Observe a journalled batch."""
        with self._lock:
            if batch.agent in self._inventory().nodes:
                self._seen[batch.agent] = max(self._seen.get(batch.agent, (0, "")), (received_ns, batch.boot))
            for frame in batch.frames.values():
                self._take_frame(frame)

    def replay(self, frame: Frame) -> None:
        """Take up rows of many agents, as they stand in the archive."""
        with self._lock:
            self._take_frame(frame)

    def observe_state(self, frame: Frame) -> None:
        """Keep the last STATE row of each link."""
        with self._lock:
            self._take_state(frame)

    def set_back(self, start_ns: int, now_ns: int) -> None:
        """The clock was set back to now_ns, and the window at start_ns is judged next: what was told of later
        times is forgotten, and judges are told to forget all."""
        with self._lock:
            self._anew = True
            self._recent.set_back(start_ns)
            self._measured.forget_after(now_ns)
            for rows in (*self._shown.values(), self._tests, self._state):
                rows.forget_after(now_ns)
            self._health = {name: row for name, row in self._health.items() if row["start_ns"] <= now_ns}
            self._seen = {name: (min(at, now_ns), boot) for name, (at, boot) in self._seen.items()}

    def period(self, start_ns: int) -> Past:
        """What came since the last call, to judge the window at start_ns; rows of it that come from now on
        are late."""
        tests = self.throughput(start_ns)
        with self._lock:
            self._recent.settle(start_ns)
            anew, self._anew, self._begun = self._anew, False, True
            return self._recent.hand_over(tests, anew)

    def news(self) -> Past:
        """Rows that came since the last call, while none is judged."""
        tests = self.throughput(0)
        with self._lock:
            return self._recent.hand_over(tests)

    @property
    def tests_valid_ns(self) -> int:
        """How old a throughput test may be and still count: two cycles, at least two periods."""
        return 2 * self._test_cycle_ns

    @property
    def tests_kept_ns(self) -> int:
        """How old the test before it may be: a cycle, or period, older."""
        return 3 * self._test_cycle_ns

    @property
    def _test_cycle_ns(self) -> int:
        return max(self._cycle_ns(), seconds(self._inventory().period_s))

    def throughput(self, start_ns: int) -> Frame:
        """The last two THROUGHPUT rows that measured of each expected link, as they count at `start_ns`."""
        with self._lock:
            self._number()
            oldest_ns = [max(1, start_ns - each) for each in (self.tests_valid_ns, self.tests_kept_ns)]
            found, columns = self._measured.columns(*oldest_ns)
        links = [str(self._specs[row].link) for row in found.tolist()]
        return Frame.of(THROUGHPUT, {"link": links, **columns}, len(links))

    def late(self) -> list[int]:
        """Starts of the windows that got rows after they were judged, oldest first."""
        with self._lock:
            return self._recent.late()

    def last_judged_ns(self) -> int | None:
        """Start of the newest window with a STATE row; None when there is none."""
        with self._lock:
            return self._state.newest_ns or None

    def links(
        self, now_ns: int, after: str = "", wanted: Callable[[LinkSpec], bool] = lambda _: True
    ) -> Iterator[dict[str, Any]]:
        """Expected links in the inventory's order: tags, verdicts in words, last numbers of each probe; None
        = unknown.

        after: begin behind this link, at the first when it is not there. wanted: leaves links out. What is
        reported meanwhile goes in between: a few links are looked up at once.
        """
        with self._lock:
            self._number()
            specs, begin = self._specs, self._numbers.get(after, -1) + 1
        for at in range(begin, len(specs), _AT_ONCE):
            some = specs[at : at + _AT_ONCE]
            if any(map(wanted, some)):
                yield from (
                    link_facts(spec, rows, now_ns)
                    for spec, rows in zip(some, self._look_up(specs, at), strict=False)
                    if wanted(spec)
                )

    def link(self, link: str, now_ns: int) -> dict[str, Any] | None:
        """The same of one link; None when it is not expected."""
        with self._lock:
            self._number()
            specs, at = self._specs, self._numbers.get(link)
        if at is None:
            return None
        return next((link_facts(specs[at], rows, now_ns) for rows in self._look_up(specs, at, 1)), None)

    def _look_up(self, specs: tuple[LinkSpec, ...], at: int, count: int = _AT_ONCE) -> list[LastOfLink]:
        """The last rows of `count` links; none when the inventory has changed."""
        with self._lock:
            if specs is not self._specs:
                return []
            links = slice(at, at + count)
            probes = [list(each.rows(links)) for each in self._shown.values()]
            tests, states = list(self._tests.rows(links)), list(self._state.rows(links))
        shown = (dict(zip(self._shown, rows, strict=True)) for rows in zip(*probes, strict=True))
        return [LastOfLink(*each) for each in zip(shown, tests, states, strict=True)]

    def agents(self, now_ns: int) -> list[dict[str, Any]]:
        """Every node: when its agent last reported, in which boot, and its last health row."""
        with self._lock:
            return [self._agent(node.name, node.site, now_ns) for node in self._inventory().nodes.values()]

    def _take_frame(self, frame: Frame) -> None:
        self._number()
        if frame.table is WINDOW:
            self._show(frame)
            self._recent.take_windows(frame)
        elif frame.table is FLOW:
            self._recent.take_flows(frame)
        elif frame.table is THROUGHPUT:
            self._tests.put(self._found(frame), frame)
            measured = frame.take(frame.count("outcome") == Outcome.MEASURED.value)
            self._measured.put(self._found(measured), measured)
        elif frame.table is HEALTH:
            _keep_last(self._health, frame, frame.text("agent").tolist())
        elif frame.table is EVENT:
            self._recent.take_events(frame)
        elif frame.table is CERTIFICATE:
            self._recent.take_certificates(frame)
        elif frame.table is STATE:
            self._take_state(frame)
            if not self._begun:
                self._recent.take_states(frame)

    def _take_state(self, frame: Frame) -> None:
        self._number()
        self._state.put(self._found(frame), frame)
        self._recent.settle_up_to(int(frame.count("start_ns").max(initial=0)))

    def _show(self, frame: Frame) -> None:
        """Keep each link's last row of each probe; of STAMP that of the class that is judged."""
        probes, link = frame.text("probe"), self._found(frame)
        judged = frame.text("class") == self._inventory().judged_class
        for probe, shown in self._shown.items():
            mine = probes == probe.value
            if probe is Probe.STAMP:
                mine = mine & judged
            if mine.any():
                shown.put(np.where(mine, link, -1), frame)

    def _found(self, frame: Frame) -> NDArray[np.intp]:
        """The number of each row's link, (rows,); -1 where it is not expected."""
        find = self._numbers.get
        return np.array([find(link, -1) for link in frame.text("link").tolist()], np.intp)

    def _number(self) -> None:
        """Number the links of the inventory in force, and forget what is not in it any more."""
        inventory = self._inventory()
        if inventory is self._known:
            return
        former, self._known = self._numbers, inventory
        self._specs = tuple(inventory.links.values())
        self._numbers = {str(spec.link): at for at, spec in enumerate(self._specs)}
        place = np.array([self._numbers.get(link, -1) for link in former], np.intp)
        self._measured.move(place, len(self._specs))
        for rows in (*self._shown.values(), self._tests, self._state):
            rows.move(place, len(self._specs))
        for known in (self._health, self._seen):
            for name in [name for name in known if name not in inventory.nodes]:
                del known[name]

    def _agent(self, name: str, site: str, now_ns: int) -> dict[str, Any]:
        seen_ns, boot = self._seen.get(name, (None, None))
        health = self._health.get(name)
        return {
            "agent": name,
            "site": site,
            "last_seen_s": None if seen_ns is None else (now_ns - seen_ns) / NS_PER_S,
            "boot": boot,
            "health": plain(health) if health else None,
        }


def _keep_last(kept: dict[str, Row], frame: Frame, keys: list[str]) -> None:
    """Keep each key's newest row as a mapping of its columns."""
    names = [field.name for field in frame.table.columns]
    columns = [np.asarray(frame.columns[name]).tolist() for name in names]
    for key, start_ns, values in zip(
        keys, frame.count("start_ns").tolist(), zip(*columns, strict=True), strict=True
    ):
        if key not in kept or kept[key]["start_ns"] <= start_ns:
            kept[key] = dict(zip(names, values, strict=True))
