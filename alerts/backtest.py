"""When a rule would have fired on windows of the past, with one bound and with another. Pure.

The same evaluator as in the collector goes over the rows, with an empty history at the beginning. What holds
an alert back (another alert, silences, announced work) is left out: this is about the rule and its bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from alerts.evaluation.evaluate import Change, Evaluator, Window
from alerts.rule import Rule
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.table import Kind, Table

_DAY_S = 86_400
Lane = tuple[str, str]
"""A thing and a direction."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert. Times are Unix ns: start of its first breached window, when it fired, when it ended.

    ended_ns: None when it still fires at the end. unjudged: it ended because nothing was known any more.
    """

    thing: str
    direction: str
    since_ns: int
    fired_ns: int
    ended_ns: int | None = None
    unjudged: bool = False

    @property
    def lane(self) -> Lane:
        return self.thing, self.direction

    def lasted_s(self, end_ns: int) -> float:
        """From firing to its end, or to end_ns."""
        return ((end_ns if self.ended_ns is None else self.ended_ns) - self.fired_ns) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Trial:
    """What one bound would have done between from_ns and to_ns, in order of firing."""

    rule: Rule
    firings: tuple[Firing, ...]
    from_ns: int
    to_ns: int

    @property
    def things(self) -> int:
        """How many things it fired for."""
        return len({firing.thing for firing in self.firings})

    @property
    def lengths_s(self) -> list[float]:
        """How long each fired, ascending."""
        return sorted(firing.lasted_s(self.to_ns) for firing in self.firings)

    @property
    def per_day(self) -> float:
        return len(self.firings) * _DAY_S * NS_PER_S / max(1, self.to_ns - self.from_ns)

    def firing_at(self, edges_ns: Sequence[int]) -> list[int]:
        """How many alerts fired at some time between each edge and the next."""
        starts = np.array([firing.fired_ns for firing in self.firings], np.int64)
        ends = np.array(
            [self.to_ns if each.ended_ns is None else each.ended_ns for each in self.firings], np.int64
        )
        return [int(np.sum((starts < right) & (ends > left))) for left, right in pairwise(edges_ns)]


class Backtest:
    """Takes the rows of a table window by window, for several versions of one rule."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._evaluators = [Evaluator([rule]) for rule in rules]
        self._open: list[dict[tuple[str, str], Firing]] = [{} for _ in rules]
        self._done: list[list[Firing]] = [[] for _ in rules]
        self.rows, self.windows = 0, 0
        self.first_start_ns, self.last_end_ns = 0, 0

    def take(self, frame: Frame, windows: Sequence[Window] = ()) -> None:
        """Rows of one or several windows, later than those before, in order of start.

        windows: those that were judged in that time, where the table has rows in trouble only: things without
        a row are well in them."""
        starts = frame.count("start_ns")
        known = {window.start_ns: window for window in windows}
        for start in sorted({*known, *np.unique(starts).tolist()}):
            first, behind = np.searchsorted(starts, [start, start + 1])
            rows = frame.take(np.arange(first, behind))
            self._window(rows, Window.of({frame.table.name: rows}) if rows.rows else known[start])
            self.windows += 1
        self.rows += frame.rows

    def trials(self, from_ns: int, to_ns: int) -> tuple[Trial, ...]:
        """What each version did in the time of which there are windows; what fires still ends at the last."""
        if self.windows:
            from_ns, to_ns = max(from_ns, self.first_start_ns), min(to_ns, self.last_end_ns)
        return tuple(
            Trial(rule, tuple(sorted([*done, *still.values()], key=_order)), from_ns, to_ns)
            for rule, done, still in zip(self._rules, self._done, self._open, strict=True)
        )

    def _window(self, frame: Frame, window: Window) -> None:
        self.first_start_ns = min(self.first_start_ns or window.start_ns, window.start_ns)
        self.last_end_ns = max(self.last_end_ns, window.end_ns)
        for at, evaluator in enumerate(self._evaluators):
            for change in evaluator.step({frame.table.name: frame}, window):
                self._note(at, change)

    def _note(self, at: int, change: Change) -> None:
        key = change.thing, change.watch.direction
        if change.kind == "fires":
            self._open[at][key] = Firing(*key, change.since_ns, change.at_ns)
        elif (begun := self._open[at].pop(key, None)) is not None:
            ended = replace(begun, ended_ns=change.at_ns, unjudged=change.kind == "unjudged")
            self._done[at].append(ended)


def lanes(trials: Sequence[Trial]) -> list[Lane]:
    """All that fired in any of the trials, what fired longest first."""
    sums: dict[Lane, float] = {}
    for trial in trials:
        for each in trial.firings:
            sums[each.lane] = sums.get(each.lane, 0.0) + each.lasted_s(trial.to_ns)
    return sorted(sums, key=lambda lane: (-sums[lane], lane))


def narrowed(table: Table, rule: Rule) -> Table:
    """The table with only the columns that evaluating the rule reads."""
    wanted = {"fit", "revision", "delay_basis"}
    for direction in rule.directions or ("",):
        for pattern in (rule.field, *rule.numbers.values()):
            wanted.add(pattern.replace("{direction}", direction))
    fields = tuple(
        each for each in table.fields if each.name in wanted and each.kind in (Kind.COUNT, Kind.REAL)
    )
    return Table(table.name, table.keys, fields)


def windows_of(frame: Frame) -> list[Window]:
    """The windows of which it has rows, each once."""
    starts, firsts = np.unique(frame.count("start_ns"), return_index=True)
    lengths = frame.count("length_ns")[firsts]
    return [Window(*times) for times in zip(starts.tolist(), lengths.tolist(), strict=True)]


def _order(firing: Firing) -> tuple[int, str, str]:
    return firing.fired_ns, firing.thing, firing.direction
