"""Rules over the windows of tables: which alerts begin and end. Pure, in columns over all rows of a table.

A window breaches a rule when its field is known and beyond the bound; of links the agent must also have been
fit. With N = hold_windows + clear_windows - 1 an alert fires while at least hold_windows of the last N
windows breached. An unknown window is a clear one where unknown clears. Where unknown holds, it is no window
at all: N counts known ones. There MOST_UNKNOWN of them in a row make what does not fire begin anew, and
`unknown_windows` of them end an alert that fires, which then says that it is no longer judged, not that it is
over. A thing that has no row in a frame is unknown. A history reaches back 64 windows.

Only windows that were stepped in time count for an alert that fires: time in which the collector was away
ends none, nor do windows of it that are unknown when they are judged late, because what was measured in them
comes later. For what does not fire such windows are unknown. The same window again, or one a little older,
changes nothing and is counted in `ignored`. One that is more than REWIND_WINDOWS older means that the wall
clock was set back: it is taken, and what does not fire begins anew, because alerts that wait until the clock
is there again would be silence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alerts.evaluation.bits import ones
from alerts.evaluation.history import History, Mask, Rows
from alerts.evaluation.memory import Memory, decoded, encoded
from alerts.evaluation.thing import Key, things
from alerts.rule import Rule, Watch, watches
from linkgauge.frame import Frame

REWIND_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class Window:
    """Time that is judged, Unix ns."""

    start_ns: int
    length_ns: int

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.length_ns

    @classmethod
    def of(cls, frames: Mapping[str, Frame]) -> Window:
        """The window that the first row of the frames names; raises ValueError when there is no row."""
        for frame in frames.values():
            if frame.rows:
                return cls(int(frame.count("start_ns")[0]), int(frame.count("length_ns")[0]))
        raise ValueError("frames without rows name no window; say which it is")


@dataclass(frozen=True, slots=True)
class Change:
    """An alert begins or ends, at the end of a window (at_ns).

    over: not beyond the bound any more. unjudged: unknown for too long, the last known window ended at
    seen_ns. since_ns: start of the first breached window. row: in the frame of its table, -1 when it has
    none. numbers: the rule's, NaN when not known.
    """

    watch: Watch
    thing: str
    kind: Literal["fires", "over", "unjudged"]
    since_ns: int
    at_ns: int
    seen_ns: int
    row: int
    numbers: dict[str, float]

    @property
    def key(self) -> Key:
        return self.watch.rule.name, self.watch.direction, self.thing


@dataclass(frozen=True, slots=True)
class Suspects:
    """k things with a breach in their history: how many, one in the newest window?, an alert?"""

    watch: Watch
    things: NDArray[np.object_]
    breached: NDArray[np.int64]
    now: Mask
    firing: Mask


@dataclass(frozen=True, slots=True)
class Active:
    """An alert that fires. unmeasured_since_ns: since when its field is unknown; None: it is known."""

    watch: Watch
    thing: str
    breaches_now: bool
    unmeasured_since_ns: int | None

    @property
    def key(self) -> Key:
        return self.watch.rule.name, self.watch.direction, self.thing


class Evaluator:
    """Steps rules over frames. Not for several threads at once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._watches = watches(tuple(rules))
        self._tables = {watch.table for watch in self._watches}
        self._histories = [History.empty() for _ in self._watches]
        self._orders: dict[str, _Order] = {}
        self._last: dict[str, Window] = {}
        self.ignored = 0

    def step(
        self,
        frames: Mapping[str, Frame],
        window: Window | None = None,
        late: bool = False,
        unseen: Collection[str] = (),
    ) -> list[Change]:
        """Evaluate one window of these tables, by name; changes in order of rule.

        Nothing changes in a table that is not there; one that no rule looks at may be there. window: needed
        only when every frame may be empty. late: it is judged long after its end. unseen: things without a
        row of which nothing is known, even where unknown clears.
        """
        window = window or Window.of(frames)
        frames = {name: frame for name, frame in frames.items() if name in self._tables}
        fresh = [name for name in frames if self._begin(name, window)]
        self.ignored += len(fresh) < len(frames)
        fit = {name: _fit(frames[name]) for name in fresh}
        for name in fresh:
            self._follow(name, frames[name])
        changes: list[Change] = []
        for watch, history in self._each():
            if watch.table in fit:
                _count(watch, history, frames[watch.table], fit[watch.table], window, late, unseen)
                changes += _changes(watch, history, frames[watch.table], window)
        return changes

    def suspects(self, table: str) -> list[Suspects]:
        """What has breached lately or fires, for each watch of the table."""
        return [
            Suspects(watch, each.things, ones(each.bad), self._breach_now(watch, each), each.firing)
            for watch, each in self._each(table)
        ]

    def active(self) -> list[Active]:
        """Alerts that fire now, by rule."""
        return [
            Active(watch, each.things[row], now[row], None if unknown == 0 else seen_ns)
            for watch, each in self._each()
            if each.firing.any()
            for now in (self._breach_now(watch, each).tolist(),)
            for row in np.flatnonzero(each.firing).tolist()
            for unknown, seen_ns in (
                (each.unknown[row], int(each.seen_ns[row]) + self._last[watch.table].length_ns),
            )
        ]

    def forget(self, table: str, gone: Collection[str]) -> None:
        """Things of the table that are no longer there, and their alerts."""
        for _, history in self._each(table) if gone else ():
            history.keep(np.array([thing not in gone for thing in history.things.tolist()], np.bool_))

    def snapshot(self) -> Memory:
        """Everything that is remembered; small, because only what breached is."""
        last = {table: (window.start_ns, window.length_ns) for table, window in self._last.items()}
        return encoded(last, self._watches, self._histories)

    def restore(self, memory: Memory) -> None:
        """Go on from a snapshot; only before the first step. What is remembered of rules that are no longer
        there is left out. Raises ValueError for what no snapshot can be."""
        self._last = {table: Window(*times) for table, times in memory.last.items()}
        index = {(watch.rule.name, watch.direction): at for at, watch in enumerate(self._watches)}
        for one in memory.watches:
            at = index.get((one.rule, one.direction))
            if at is not None and self._watches[at].table in self._last:
                self._histories[at] = decoded(one)

    def _breach_now(self, watch: Watch, history: History) -> Mask:
        last = self._last.get(watch.table)
        return history.breaches_now(last.start_ns if last else 0)

    def _each(self, table: str = "") -> Iterator[tuple[Watch, History]]:
        for watch, history in zip(self._watches, self._histories, strict=True):
            if table in ("", watch.table):
                yield watch, history

    def _begin(self, table: str, window: Window) -> bool:
        """Whether the window is new; makes up for what lies between it and the last one."""
        last = self._last.get(table)
        if last is not None and 0 <= last.start_ns - window.start_ns <= REWIND_WINDOWS * window.length_ns:
            return False
        self._last[table] = window
        missed = 0 if last is None else (window.start_ns - last.start_ns) // window.length_ns - 1
        for watch, history in self._each(table):
            if missed < 0:
                history.keep(history.firing)
            elif missed > 0 and len(history):
                history.pause(watch.rule, missed)
        return True

    def _follow(self, table: str, frame: Frame) -> None:
        """Find again where things stand, when the frame has other things than the last one."""
        names, order = things(frame), self._orders.get(table)
        if order is not None and order.same(names):
            return
        order = self._orders[table] = _Order(names)
        for _, history in self._each(table):
            history.row = order.rows_of(history.things)


class _Order:
    """Where each thing stands in the newest frame of a table."""

    def __init__(self, names: NDArray[np.object_]) -> None:
        self.names = names
        self._rows: dict[str, int] | None = None

    def same(self, names: NDArray[np.object_]) -> bool:
        return len(names) == len(self.names) and bool(np.all(names == self.names))

    def rows_of(self, wanted: NDArray[np.object_]) -> Rows:
        """Where these stand; -1 for what is not there."""
        if len(wanted) and self._rows is None:
            self._rows = {name: row for row, name in enumerate(self.names.tolist())}
        rows = self._rows or {}
        return np.array([rows.get(name, -1) for name in wanted.tolist()], np.intp)


def _fit(frame: Frame) -> Mask | None:
    """Rows that may be known; None: all."""
    return frame.count("fit") == 1 if frame.table.name == "state" else None


def _count(
    watch: Watch,
    history: History,
    frame: Frame,
    fit: Mask | None,
    window: Window,
    late: bool,
    unseen: Collection[str],
) -> None:
    """Take one window of one watch into its history."""
    values: NDArray[Any] = frame.columns[watch.field]  # type: ignore[assignment] # no field of a rule is a histogram
    breached = watch.rule.breached(values)
    if fit is not None:
        breached &= fit
    if len(history):
        there = history.row >= 0
        row = history.row[there]
        bad, known = np.zeros(len(history), np.bool_), np.zeros(len(history), np.bool_)
        bad[there] = breached[row]
        known[there] = np.isfinite(values[row]) if fit is None else np.isfinite(values[row]) & fit[row]
        if watch.rule.unknown == "clears":
            known = ~(history.firing & ~there & np.isin(history.things, list(unseen)))
        history.step(watch.rule, bad, known, window.start_ns, late)
        breached[row] = False
    if len(begun := np.flatnonzero(breached)):
        history.add(History.of(things(frame)[begun], begun, window.start_ns))


def _changes(watch: Watch, history: History, frame: Frame, window: Window) -> list[Change]:
    """What begins and ends, once the window is counted; forgets what is in order again."""
    if not len(history):
        return []
    fires = history.fires(watch.rule)
    begins = fires & ~history.firing
    unjudged = history.firing & (history.unknown >= watch.rule.unknown_windows)
    ends = history.firing & (~fires | unjudged)
    since_ns = history.first_breach_ns(window.length_ns, window.start_ns)
    history.since_ns = np.where(begins, since_ns, history.since_ns)
    changes = [
        Change(
            watch,
            history.things[at],
            "fires" if begins[at] else "unjudged" if unjudged[at] else "over",
            int(history.since_ns[at]),
            window.end_ns,
            int(history.seen_ns[at]) + window.length_ns,
            int(history.row[at]),
            _numbers(watch, frame, int(history.row[at])),
        )
        for at in np.flatnonzero(begins | ends).tolist()
    ]
    history.firing = (history.firing | begins) & ~ends
    history.bad[unjudged] = 0
    history.keep(history.firing | (history.bad != 0))
    return changes


def _numbers(watch: Watch, frame: Frame, row: int) -> dict[str, float]:
    if row < 0:
        return dict.fromkeys(watch.numbers, float("nan"))
    return {name: float(frame.columns[field][row]) for name, field in watch.numbers.items()}  # type: ignore[arg-type] # no number of a rule is a histogram
