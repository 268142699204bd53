"""What must not count, window by window: links and nodes under announced work, and those of a drill.

Work is announced in the inventory. A drill is told by the agent whose reflector plays a fault on its replies,
in its health rows: it touches the links to that node. Both may become known only after a window was judged,
or be taken back; such windows are named, to be judged again. Thread safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import AHEAD_NS
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.maintenance import Maintenance
from linkgauge.model import LinkSpec
from linkgauge.own_tables import HEALTH
from linkgauge.wire import Batch

Mask = NDArray[np.bool_]
Answer = tuple[frozenset[str], tuple[Maintenance, ...]]
"""What decides whom a window excuses: nodes that play a fault, and the work that goes on."""


@dataclass(frozen=True, slots=True)
class Excused:
    """Of n things in one window, each (n,) bool."""

    maintenance: Mask
    drill: Mask

    @property
    def any(self) -> Mask:
        """Those that count neither as good nor as bad."""
        return self.maintenance | self.drill

    def marked(self, frame: Frame) -> Frame:
        """The frame of these things with its columns `maintenance` and `drill` filled."""
        marks = {"maintenance": self.maintenance.astype(np.int64), "drill": self.drill.astype(np.int64)}
        return Frame(frame.table, {**frame.columns, **marks}, frame.rows)


class Excuses:
    """See above. inventory: the one in force when called; back_ns: how long drills are remembered."""

    def __init__(self, inventory: Callable[[], Inventory], window_ns: int, back_ns: int) -> None:
        self._inventory, self._window_ns, self._back_ns = inventory, window_ns, back_ns
        self._lock = threading.Lock()
        self._drills: dict[str, set[int]] = {}  # node -> starts of the windows in which it played a fault
        self._of: object = None  # the inventory, or the links, that the masks are of
        self._masks: dict[int, Mask] = {}
        self._judged: dict[int, Answer] = {}
        self._stale: set[int] = set()  # judged by an answer that is another one now
        self._news = 0
        self._looked: tuple[object, int] = None, -1
        self._asked: tuple[object, int] = None, -1
        self._answers: dict[int, Answer] = {}  # as of then

    def observe(self, batch: Batch, _received_ns: int) -> None:
        """Take note of the health rows of a journalled batch."""
        if (frame := batch.frames.get(HEALTH.name)) is not None:
            self.take(frame)

    def take(self, frame: Frame) -> None:
        """Take note of HEALTH rows."""
        if not frame.count("drill").any():
            return
        playing = frame.take(frame.count("drill") == 1)
        starts = playing.count("start_ns")
        with self._lock:
            for node, at in zip(playing.text("agent").tolist(), starts.tolist(), strict=True):
                self._drills.setdefault(node, set()).add(at - at % self._window_ns)
            self._news += 1
            self._forget(int(starts.max()))

    def links(self, specs: Sequence[LinkSpec], start_ns: int) -> Excused:
        """Which of these links the window from start_ns excuses, (len(specs),) each."""
        drilled = np.zeros(len(specs), np.bool_)
        playing = self.playing(start_ns)
        if playing:
            drilled[:] = [spec.link.dst in playing for spec in specs]
        covered = np.zeros(len(specs), np.bool_)
        for number, covers in self._running(start_ns):
            covered |= self._mask(specs, number, covers)
        return Excused(covered, drilled)

    def answer(self, start_ns: int) -> Answer:
        """Another one when the window from start_ns excuses others. For the thread that judges, which asks of
        each window that it remembers: a period may be long, and works many."""
        inventory, news = self._inventory(), self._news
        if self._asked[0] is not inventory or self._asked[1] != news:
            self._asked, self._answers = (inventory, news), {}
        if start_ns not in self._answers:
            end_ns = start_ns + self._window_ns
            going_on = (work for work in inventory.maintenance if work.runs(start_ns, end_ns))
            self._answers[start_ns] = self.playing(start_ns), tuple(going_on)
        return self._answers[start_ns]

    def judged(self, start_ns: int) -> None:
        """The window is judged by what is known from now on, or more. For the thread that judges."""
        self._judged[start_ns] = self.answer(start_ns)
        self._stale.discard(start_ns)
        oldest_ns = max(self._judged) - self._back_ns - AHEAD_NS
        for at in [at for at in self._judged if at < oldest_ns]:
            del self._judged[at]
            self._stale.discard(at)
        for at in [at for at in self._answers if at < oldest_ns]:
            del self._answers[at]

    def changed(self) -> list[int]:
        """Starts of the windows that were judged and excuse others by now. For the thread that judges."""
        inventory, news = self._inventory(), self._news
        if self._looked[0] is not inventory or self._looked[1] != news:
            self._looked = inventory, news
            self._stale = {at for at, answer in self._judged.items() if answer != self.answer(at)}
        return sorted(self._stale)

    def begin_anew(self) -> None:
        """The clock was set back: windows that were judged are still to come."""
        self._judged, self._stale = {}, set()

    def counting(self, tests: Frame, specs: Sequence[LinkSpec]) -> Frame:
        """THROUGHPUT rows without those of links that work touched in the window in which they began; faults
        of drills are played on replies and touch no test."""
        starts = tests.count("start_ns") - tests.count("start_ns") % self._window_ns
        masks = {
            at: np.logical_or.reduce([self._mask(specs, *work) for work in works])
            for at in (np.unique(starts).tolist() if self._inventory().maintenance else ())
            if (works := list(self._running(at)))
        }
        if not masks or not specs:
            return tests
        rows = {str(spec.link): row for row, spec in enumerate(specs)}
        link = np.array([rows.get(name, 0) for name in tests.text("link").tolist()], np.intp)
        touched = np.zeros(tests.rows, np.bool_)
        for at, mask in masks.items():
            touched |= (starts == at) & mask[link]
        return tests.take(np.flatnonzero(~touched))

    def nodes(self, start_ns: int) -> Excused:
        """The same of the inventory's nodes, in their order."""
        nodes, playing = self._inventory().nodes, self.playing(start_ns)
        running = [covers for _, covers in self._running(start_ns)]
        labels = [{"node": node.name, "site": node.site} for node in nodes.values()]
        covered = [any(covers(each) for covers in running) for each in labels]
        return Excused(np.array(covered, np.bool_), np.array([name in playing for name in nodes], np.bool_))

    def playing(self, start_ns: int) -> frozenset[str]:
        """Nodes that played a fault in this window or the one before: its last packets are told then."""
        window_ns = self._window_ns
        now = {start_ns - start_ns % window_ns, start_ns - start_ns % window_ns - window_ns}
        with self._lock:
            return frozenset(node for node, starts in self._drills.items() if not now.isdisjoint(starts))

    def _running(self, start_ns: int) -> Iterable[tuple[int, Callable[[Mapping[str, str]], bool]]]:
        for number, work in enumerate(self._inventory().maintenance):
            if work.runs(start_ns, start_ns + self._window_ns):
                yield number, work.covers

    def _mask(
        self, specs: Sequence[LinkSpec], number: int, covers: Callable[[Mapping[str, str]], bool]
    ) -> Mask:
        """Which links this work touches; asked once of each link while the inventory stands."""
        if self._of is not specs:
            self._of, self._masks = specs, {}
        if number not in self._masks:
            found = (covers(spec.tags) for spec in specs)
            self._masks[number] = np.fromiter(found, np.bool_, len(specs))
        return self._masks[number]

    def _forget(self, newest_ns: int) -> None:
        oldest_ns = newest_ns - self._back_ns - AHEAD_NS
        self._drills = {
            node: kept
            for node, starts in self._drills.items()
            if (kept := {at for at in starts if at >= oldest_ns})
        }
