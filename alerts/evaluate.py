"""Rules over windows of `link_state`: which alerts begin and end. Pure, in columns over all links.

A window breaches a rule when the field is above its bound, and is clear when it is known and not above. A
window that is not known (not measured, an unfit agent, a delay under our own load, a direction that the far
end tells) counts as neither and breaks no streak, unless more than SILENT_WINDOWS of them come in a row: then
a streak of breaches begins anew. An alert fires after `hold_windows` breached windows and is over after
`clear_windows` clear ones without a breach between them. While its field is unknown it goes on firing, and
`active` says since when; after `unknown_windows` of them in a row it ends, and says that it is no longer
judged, not that it is over. So an alert that breaches no more ends, however seldom its link is judged. Only
windows that were stepped count: time in which the collector was away ends no alert.

A step has all links of its window. The same window again, or one a little older, changes nothing and is
counted in `ignored`. One that is more than REWIND_WINDOWS older means that the wall clock was set back: it is
taken, and streaks of breaches begin anew, because alerts that wait until the clock is there again would be
silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.event import Event, Fired, Resolved, time_of_day
from alerts.rule import BACKWARD, Rule, Watch, told, watches
from linkgauge.frame import Frame
from linkgauge.model import DelayBasis, LinkSpec

SILENT_WINDOWS = 5
REWIND_WINDOWS = 2
_VERSION = 1
_FIT, _BASIS = "fit", "delay_basis"
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


class _Entry(msgspec.Struct, frozen=True):
    """What is remembered of one link under one watch: a streak that has begun, or an alert that fires."""

    rule: str
    direction: str
    link: str
    breached: int
    clear: int
    since_ns: int
    seen_ns: int
    fired: Fired | None
    unknown: int = 0


class _Memory(msgspec.Struct, frozen=True):
    version: int
    last_ns: int
    length_ns: int
    entries: list[_Entry]


class Active(msgspec.Struct, frozen=True):
    """An alert that fires now. unmeasured_since_ns: since when its field is unknown; None: it is known."""

    fired: Fired
    unmeasured_since_ns: int | None


class _Streaks:
    """Memory of one watch, a column for each fact, one row for each link."""

    def __init__(self, links: int) -> None:
        self.breached = np.zeros(links, np.int64)
        self.clear = np.zeros(links, np.int64)
        self.unknown = np.zeros(links, np.int64)
        self.since_ns = np.zeros(links, np.int64)
        self.seen_ns = np.zeros(links, np.int64)
        self.fired: dict[int, Fired] = {}
        self.firing = np.zeros(links, np.bool_)

    def step(self, at: Any, bad: Mask, good: Mask, start_ns: int, longest_ns: int) -> None:
        """Count one window of the links `at`. longest_ns: silence after which breaches count anew."""
        known = bad | good
        ago_ns = start_ns - self.seen_ns[at]
        silent = known & ((ago_ns > longest_ns) | (ago_ns < 0))
        breached = np.where(silent, 0, self.breached[at])
        begins = bad & (breached == 0) & ~self.firing[at]
        self.since_ns[at] = np.where(begins, start_ns, self.since_ns[at])
        self.breached[at] = np.where(bad, breached + 1, np.where(good, 0, breached))
        self.clear[at] = np.where(good, self.clear[at] + 1, np.where(bad, 0, self.clear[at]))
        self.unknown[at] = np.where(known, 0, self.unknown[at] + 1)
        self.seen_ns[at] = np.where(known, start_ns, self.seen_ns[at])

    def begin(self, row: int, fired: Fired) -> None:
        self.fired[row], self.firing[row] = fired, True

    def end(self, row: int) -> Fired:
        self.firing[row], self.breached[row] = False, 0
        return self.fired.pop(row)


class Evaluator:
    """Steps all rules over all links. Not for several threads at once."""

    def __init__(self, rules: Sequence[Rule], specs: Sequence[LinkSpec]) -> None:
        self._specs = tuple(specs)
        self._watches = [watch for watch in watches(tuple(rules)) if watch.table == "state"]
        self._names = np.array([str(spec.link) for spec in specs], np.object_)
        self._rows = {name: row for row, name in enumerate(self._names.tolist())}
        self._streaks = [_Streaks(len(self._specs)) for _ in self._watches]
        self._last_ns, self._length_ns = 0, 0
        self.ignored = 0

    def step(self, state: Frame) -> list[Event]:
        """Evaluate STATE rows of one window or several; events in order of window, rule and link."""
        events: list[Event] = []
        starts = state.count("start_ns")
        for start_ns in np.unique(starts).tolist():
            if 0 <= self._last_ns - start_ns <= REWIND_WINDOWS * self._length_ns:
                self.ignored += 1
                continue
            events += self._window(state.take(starts == start_ns), start_ns)
        return events

    def active(self) -> list[Active]:
        """Alerts that fire now, by rule and link."""
        return [
            Active(fired, None if seen_ns == self._last_ns else seen_ns + self._length_ns)
            for streaks in self._streaks
            for row, fired in sorted(streaks.fired.items())
            for seen_ns in (int(streaks.seen_ns[row]),)
        ]

    def snapshot(self) -> bytes:
        """Everything that is remembered; small, because only streaks and alerts are."""
        entries = [
            _Entry(
                watch.rule.name,
                watch.direction,
                str(self._names[row]),
                int(streaks.breached[row]),
                int(streaks.clear[row]),
                int(streaks.since_ns[row]),
                int(streaks.seen_ns[row]),
                streaks.fired.get(row),
                int(streaks.unknown[row]),
            )
            for watch, streaks in zip(self._watches, self._streaks, strict=True)
            for row in np.flatnonzero((streaks.breached > 0) | streaks.firing).tolist()
        ]
        return msgspec.msgpack.encode(_Memory(_VERSION, self._last_ns, self._length_ns, entries))

    def restore(self, snapshot: bytes) -> list[Event]:
        """Go on from a snapshot; only before the first step. Raises ValueError when it is none.

        Alerts whose rule or link is no longer there end here.
        """
        try:
            memory = msgspec.msgpack.decode(snapshot, type=_Memory)
        except msgspec.DecodeError as err:
            raise ValueError(f"this is no snapshot of alerts ({err})") from None
        if memory.version != _VERSION:
            raise ValueError(f"this snapshot has version {memory.version}, not {_VERSION}")
        self._last_ns, self._length_ns = memory.last_ns, memory.length_ns
        index = {(watch.rule.name, watch.direction): at for at, watch in enumerate(self._watches)}
        gone: list[Event] = []
        for entry in memory.entries:
            watch, row = index.get((entry.rule, entry.direction)), self._rows.get(entry.link)
            if watch is not None and row is not None:
                _remember(self._streaks[watch], row, entry)
            elif entry.fired is not None:
                gone.append(_gone(entry.fired, memory.last_ns + memory.length_ns))
        return gone

    def _window(self, state: Frame, start_ns: int) -> list[Event]:
        length_ns = int(state.count("length_ns")[0])
        row, at = self._expected(state)
        events: list[Event] = []
        for watch, streaks in zip(self._watches, self._streaks, strict=True):
            value = np.asarray(state.columns[watch.field], np.float64)[row]
            known = np.isfinite(value) & (state.count(_FIT)[row] == 1)
            bad = known & watch.rule.breached(value)
            good = known & ~bad
            streaks.step(at, bad, good, start_ns, (SILENT_WINDOWS + 1) * length_ns)
            firing = streaks.firing[at]
            fires = bad & ~firing & (streaks.breached[at] >= watch.rule.hold_windows)
            ends = good & firing & (streaks.clear[at] >= watch.rule.clear_windows)
            ends |= firing & (streaks.unknown[at] >= watch.rule.unknown_windows)
            for each in np.flatnonzero(fires | ends).tolist():
                events.append(self._change(watch, streaks, state, int(row[each]), start_ns + length_ns))
        self._last_ns, self._length_ns = start_ns, length_ns
        return events

    def _expected(self, state: Frame) -> tuple[Rows, Any]:
        """Rows of the state that are of expected links, and where these stand here."""
        names = state.text("link")
        if len(names) == len(self._names) and bool(np.all(names == self._names)):
            return np.arange(len(names)), slice(None)
        at = np.array([self._rows.get(name, -1) for name in names.tolist()], np.intp)
        return np.flatnonzero(at >= 0), at[at >= 0]

    def _change(self, watch: Watch, streaks: _Streaks, state: Frame, row: int, at_ns: int) -> Event:
        link = self._rows[state.text("link")[row]]
        numbers = {name: float(state.columns[field][row]) for name, field in watch.numbers.items()}  # type: ignore[arg-type] # no number of a rule is a histogram
        basis = int(state.count(_BASIS)[row])
        if streaks.firing[link]:
            fired = streaks.end(link)
            if streaks.unknown[link]:
                seen_until_ns = int(streaks.seen_ns[link]) + int(state.count("length_ns")[row])
                return Resolved(fired, at_ns, numbers, _unjudged(fired, seen_until_ns))
            words = _words(fired.labels, basis, fired.since_ns, at_ns)
            return Resolved(fired, at_ns, numbers, told(watch.rule.resolved, numbers, words))
        fired = _fired(watch, self._specs[link], numbers, basis, int(streaks.since_ns[link]), at_ns)
        streaks.begin(link, fired)
        return fired


def _fired(
    watch: Watch, spec: LinkSpec, numbers: dict[str, float], basis: int, since_ns: int, at_ns: int
) -> Fired:
    rule, direction = watch.rule, watch.direction_of(basis)
    labels = {"rule": rule.name, "severity": rule.severity, "direction": direction, **spec.tags}
    return Fired(
        id=f"{rule.name}/{spec.link}/{direction.replace(' ', '-')}",
        since_ns=since_ns,
        at_ns=at_ns,
        numbers=numbers,
        labels=labels,
        title=rule.title,
        summary=told(rule.summary, numbers, _words(labels, basis, since_ns, at_ns)),
        first_steps=rule.first_steps,
        runbook=rule.runbook,
    )


def _words(labels: dict[str, str], basis: int, since_ns: int, until_ns: int) -> dict[str, str]:
    """What a template may use beside its numbers."""
    ends = [labels["src"], labels["dst"]]
    if labels["direction"] == BACKWARD:
        ends.reverse()
    told_basis = {each.value: each.word for each in DelayBasis}.get(basis, DelayBasis.NONE.word)
    words = {name: labels[name] for name in ("link", "src", "dst", "network", "tier", "direction")}
    times = {"since": time_of_day(since_ns), "until": time_of_day(until_ns)}
    more = {"about": labels["link"], "bound": "its bound", **{n: labels[n] for n in ("src_site", "dst_site")}}
    return {**words, **more, **times, "origin": ends[0], "target": ends[1], "basis": told_basis}


def _remember(streaks: _Streaks, row: int, entry: _Entry) -> None:
    streaks.breached[row], streaks.clear[row] = entry.breached, entry.clear
    streaks.since_ns[row], streaks.seen_ns[row] = entry.since_ns, entry.seen_ns
    streaks.unknown[row] = entry.unknown
    if entry.fired is not None:
        streaks.begin(row, entry.fired)


def _unjudged(fired: Fired, since_ns: int) -> str:
    labels, since = fired.labels, time_of_day(since_ns)
    return (
        f"{labels['link']} {labels['direction']} is no longer judged from here by rule {labels['rule']}: "
        f"unknown since {since}; its alert ends, which does not say that the trouble is over"
    )


def _gone(fired: Fired, at_ns: int) -> Resolved:
    summary = f"{fired.labels['link']} is no longer watched by rule {fired.labels['rule']}; its alert ends"
    return Resolved(fired, at_ns, {}, summary)
