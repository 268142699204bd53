"""What signals need of the past: signs of windows, events, certificates, error budgets. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from quality.evidence import Rows
from quality.objectives import Objectives
from quality.signals import columns
from quality.signals.asymmetry import Asymmetry
from quality.signals.burn import Burn
from quality.signals.certificates import Certificates
from quality.signals.changes import Changes
from quality.signals.columns import Known
from quality.signals.signs import AT, LEAST_UNANSWERED, SILENT, Signs, signs
from quality.signals.silence import Silence, carried, untold

Columns = dict[str, Any]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


class SignalBook:
    """Not thread safe. remember_ns: how long a window may be judged again; events_ns: how long an event is
    told of."""

    def __init__(self, window_ns: int, period_ns: int, remember_ns: int, events_ns: int) -> None:
        self.signs, self.changes = Signs(), Changes(events_ns)
        self.certificates, self.burn = Certificates(), Burn(window_ns, remember_ns)
        self._silence, self._asymmetry = Silence(window_ns), Asymmetry(window_ns, period_ns)
        self._carried: dict[int, Rows] = {}
        self._unheard: dict[int, Rows] = {}  # as it was when the window was judged first
        self._unknown: dict[int, tuple[Rows, Counts]] = {}  # links with losses without a direction, and these
        self._window_ns = window_ns

    def put(self, start_ns: int, link: Rows, rows: Frame, links: int, classes: int) -> None:
        """WINDOW rows (m,) of STAMP of one window, of the links (m,); they replace those that were there."""
        self.signs.put(start_ns, link, signs(rows, classes), links)
        if start_ns in self._carried:
            self._carried[start_ns] = np.setdiff1d(self._carried[start_ns], link)

    def take(
        self,
        events: Sequence[Frame],
        certificates: Sequence[Frame],
        states: Sequence[Frame],
        objectives: Objectives,
    ) -> None:
        """Rows of EVENT, of CERTIFICATE, and of STATE as an earlier life told them; of other links than the
        objectives' they are left out."""
        for frame in events:
            self.changes.put(*_of_links(frame, objectives))
        for frame in certificates:
            self.certificates.put(*_of_links(frame, objectives), len(objectives))
        for frame in states:
            link, told = _of_links(frame, objectives)
            for start_ns in np.unique(told.count("start_ns")).tolist():
                here = told.count("start_ns") == start_ns
                good, bad = (told.count(name)[here] for name in ("good", "bad"))
                self.burn.count(start_ns, link[here], good, bad, len(objectives))

    def settle(self, start_ns: int, reverse: Rows) -> tuple[Rows, Counts, Mask]:
        """Links whose way out is found to be well by the far end's word in this window, and were not before;
        of each the packets lost without a direction, and whether nothing came back."""
        now = self.signs.at(start_ns, len(reverse))
        found = carried(now, reverse)
        former = self._carried.get(start_ns, np.empty(0, np.intp))
        lossy = np.flatnonzero(now[AT["unattributed"]])
        self._unknown[start_ns] = lossy, now[AT["unattributed"], lossy].astype(np.int64)
        fresh = np.setdiff1d(found, former)
        if len(fresh):
            self._carried[start_ns] = np.union1d(found, former)
        return fresh, now[AT["unattributed"], fresh].astype(np.int64), now[AT["silent"], fresh] == SILENT

    def lost_runs(self, start_ns: int, links: int) -> NDArray[np.float64]:
        """Runs of lost packets of the window (links,); NaN where they were not counted."""
        runs = self.signs.at(start_ns, links)[AT["runs"]].astype(np.float64)
        return np.where(runs > 0, runs - 1, np.nan)

    def columns(self, start_ns: int, told: Columns, known: Known, objectives: Objectives) -> Columns:
        """All signals but good, bad and burn. told: the other columns of STATE."""
        links, end_ns = len(objectives), start_ns + self._window_ns
        now = self.signs.at(start_ns, links)
        packets, silent_s = self._silence.at(start_ns, self.signs, links)
        shift_us, excess_us = self._asymmetry.shift_us(start_ns, now, self.signs, objectives)
        silent = now[AT["silent"]] == SILENT
        return {
            "unanswered_s": columns.unanswered_s(packets, silent_s, silent, known),
            **columns.of_window(now, known, objectives),
            "asymmetry_shift_us": shift_us,
            "asymmetry_excess_us": excess_us,
            **self.changes.columns(end_ns, objectives),
            "throughput_shortfall_ratio": columns.shortfall_ratio(told["received_bps"], objectives),
            "certificate_left_s": self.certificates.left_s(end_ns, links),
        }

    def judged(self, start_ns: int, told: Columns, known: Known, slow: Mask, excused: Mask) -> Columns:
        """Whether the window is good or bad, counted. told, slow, excused: as in columns.good_and_bad."""
        found = columns.good_and_bad(told, slow, known, excused)
        everyone = np.arange(len(slow))
        self.burn.count(start_ns, everyone, found["good"], found["bad"], len(slow))
        return found

    def burnt(self, start_ns: int, objectives: Objectives) -> Columns:
        """The columns of error budgets, after `judged`."""
        burns = self.burn.at(start_ns, objectives.good_ratio)
        return {
            "burn_fast_ratio": burns.fast_ratio,
            "burn_slow_ratio": burns.slow_ratio,
            "budget_left_ratio": burns.budget_left_ratio,
        }

    def carried(self, start_ns: int, links: int) -> Mask:
        """Links (links,) whose way out is well by the far end's word."""
        found = np.zeros(links, np.bool_)
        found[self._carried.get(start_ns, np.empty(0, np.intp))] = True
        return found

    def told(self, from_ns: int, to_ns: int, reverse: Rows) -> tuple[Mask, Mask]:
        """Links (links,) whose far end says what it heard in the last window before to_ns, and those whose
        losses without a direction between these times were mostly where the way out was well by its word.
        reverse (links,): row of the reverse link, -1 for none."""
        last_ns = to_ns - self._window_ns
        heard = self.signs.at(last_ns, len(reverse))[AT["heard"]] > 0
        return (reverse >= 0) & heard[reverse], self.carried_mostly(from_ns, last_ns, len(reverse))

    def untold(self, start_ns: int, objectives: Objectives) -> Mask:
        """Links (links,) whose far end has not told of this window yet, but told of the one before; not those
        that were silent in that one, nor those of a node of which two links and more are silent and none is
        answered: it may have no way to tell."""
        links, before_ns = len(objectives), start_ns - self._window_ns
        if not self.signs.holds(before_ns):
            return np.zeros(links, np.bool_)
        now, before = (self.signs.at(at_ns, links) for at_ns in (start_ns, before_ns))
        packets = self._silence.at(before_ns, self.signs, links)[0]
        silent_before = (packets >= LEAST_UNANSWERED) & ~self.carried(before_ns, links)
        return untold(now, before, objectives) & ~silent_before

    def unheard(self, start_ns: int, lost: Counts, untold: Mask) -> Mask:
        """Links (links,) that lost at most so many on the way out, half of them or more in a direction
        that the far end has yet to tell (untold); not those of which that was so in the window before: a far
        end that is late each time would keep their loss from ever being told."""
        unattributed = self.signs.at(start_ns, len(lost))[AT["unattributed"]].astype(np.int64)
        found = untold & (unattributed > 0) & (2 * unattributed >= lost)
        self._unheard.setdefault(start_ns, np.flatnonzero(found))
        found[self._unheard.get(start_ns - self._window_ns, np.empty(0, np.intp))] = False
        return np.asarray(found, np.bool_)

    def carried_mostly(self, from_ns: int, to_ns: int, links: int) -> Mask:
        """Links (links,) whose losses without a direction, of the windows from..to, were mostly in windows in
        which the way out was well."""
        total = np.zeros((2, links), np.int64)
        for start_ns, (link, packets) in self._unknown.items():
            if from_ns <= start_ns <= to_ns:
                total[0, link] += packets
                total[1, link] += packets * np.isin(link, self._carried.get(start_ns, ()))
        return np.asarray(2 * total[1] > total[0], np.bool_)

    def forget(self, before_ns: int, events_before_ns: int) -> None:
        """Drop the windows that start before, and events that ended before."""
        self.signs.forget(before_ns)
        self._silence.forget(before_ns)
        self.changes.forget(events_before_ns)
        for held in (self._carried, self._unheard, self._unknown):
            for start_ns in [each for each in held if each < before_ns]:
                del held[start_ns]

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        self.signs.move(place, links)
        self._silence.move(place)
        self._asymmetry.forget()
        self.changes.move(place)
        self.certificates.move(place, links)
        self.burn.move(place, links)
        for some in (self._carried, self._unheard):
            for start_ns, link in some.items():
                some[start_ns] = np.sort(place[link][place[link] >= 0])
        for start_ns, (link, packets) in self._unknown.items():
            kept = place[link] >= 0
            self._unknown[start_ns] = place[link[kept]], packets[kept]


def _of_links(frame: Frame, objectives: Objectives) -> tuple[Rows, Frame]:
    """The rows of links that are expected, and which these are."""
    link = objectives.found(frame.text("link"))
    return link[link >= 0], frame.take(link >= 0)
