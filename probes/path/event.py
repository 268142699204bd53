"""Events of links: changed ways and shifted delays, tied together in time. Pure.

A changed way waits a while for a shift of the smallest delay, a shift waits until the flows have been swept
again. Both near in time: a reroute. A changed way alone: path. A shift while every flow that was seen on both
sides of it kept its way: below IP. Sweeps see only the way out: a shift that comes from another way back is a
reroute where the number of hops back changed with it, and otherwise looks like one below IP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from linkgauge.code import EventKind
from linkgauge.frame import Frame
from linkgauge.schema import EVENT
from probes.path.book import Known


@dataclass(frozen=True, slots=True)
class Move:
    """`flows` flows of a link in a class took another way, between old_ns (Unix) and new_ns."""

    link: str
    dscp: int
    flows: int
    before: str
    after: str
    old_ns: int
    new_ns: int


@dataclass(frozen=True, slots=True)
class Step:
    """The smallest delay of a link in a class shifted at since_ns (Unix); found at found_ns.

    turn: the hops out and back before and after, where these changed as well.
    """

    link: str
    dscp: int
    since_ns: int
    found_ns: int
    before_us: float
    after_us: float
    turn: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the table `event`."""

    link: str
    dscp: int
    kind: EventKind
    start_ns: int
    length_ns: int
    flows: int
    before: str
    after: str
    before_us: float = np.nan
    after_us: float = np.nan


class Sights(Protocol):
    """What the sweeps know."""

    def sights(self, link: str, dscp: int) -> list[Known]: ...


class Events:
    """Ties changes together. slack_ns: how far apart in time the two sides of one change may seem.

    settle_ns: how long a changed way waits for a shift. patience_ns: how long a shift waits for sweeps.
    """

    def __init__(self, window_ns: int, slack_ns: int, settle_ns: int, patience_ns: int) -> None:
        self._window_ns, self._slack_ns = window_ns, slack_ns
        self._settle_ns, self._patience_ns = settle_ns, patience_ns
        self._moves: list[Move] = []
        self._told: list[Move] = []
        self._steps: list[Step] = []
        self._ready: list[Event] = []
        self.untold = 0
        """Shifts that were not told, because no sweep saw the flows before and after."""

    def add(self, event: Event) -> None:
        """An event that needs no other evidence."""
        self._ready.append(event)

    def moved(self, move: Move) -> None:
        """A change of ways is confirmed."""
        self._moves.append(move)

    def shifted(self, step: Step) -> None:
        """The smallest delay has shifted."""
        self._steps.append(step)

    def settle(self, now_ns: int, sights: Sights) -> list[Event]:
        """The events that are clear now."""
        self._steps = [step for step in self._steps if not self._explain(step, now_ns, sights)]
        waiting = []
        for move in self._moves:
            if 0 <= now_ns - move.new_ns < self._settle_ns:  # a clock set back ends the wait
                waiting.append(move)
            else:
                self._told.append(move)
                self.add(_path(move))
        self._moves = waiting
        self._told = [move for move in self._told if 0 <= now_ns - move.new_ns < self._patience_ns]
        ready, self._ready = self._ready, []
        return ready

    def _explain(self, step: Step, now_ns: int, sights: Sights) -> bool:
        """Say what a shift was, if that is clear; False while it is not."""
        moves = [move for move in (*self._moves, *self._told) if self._together(move, step)]
        if moves:
            self._moves = [move for move in self._moves if move not in moves]
            self._told = [move for move in self._told if move not in moves]
            self.add(self._shift(step, EventKind.REROUTE, moves, moves[0].before, moves[0].after))
            return True
        if step.turn:
            self.add(self._shift(step, EventKind.REROUTE, [], *step.turn))
            return True
        known = sights.sights(step.link, step.dscp)
        after_ns = step.since_ns + self._window_ns
        same = sum(one.since_ns <= step.since_ns and one.seen_ns >= after_ns for one in known)
        waits = not known or any(one.seen_ns < after_ns for one in known)
        if waits and 0 <= now_ns - step.found_ns < self._patience_ns:
            return False
        if same:
            before, after = (f"{us:.0f} us" for us in (step.before_us, step.after_us))
            self.add(self._shift(step, EventKind.BELOW_IP, same, before, after))
        else:
            self.untold += 1
        return True

    def _together(self, move: Move, step: Step) -> bool:
        near = move.old_ns - self._slack_ns <= step.since_ns <= move.new_ns + self._slack_ns
        return near and (move.link, move.dscp) == (step.link, step.dscp)

    def _shift(
        self, step: Step, kind: EventKind, saw: Sequence[Move] | int, before: str, after: str
    ) -> Event:
        flows = saw if isinstance(saw, int) else sum(move.flows for move in saw)
        return Event(
            step.link, step.dscp, kind, step.since_ns, self._window_ns,
            flows, before, after, step.before_us, step.after_us,
        )  # fmt: skip


def _path(move: Move) -> Event:
    length_ns = max(move.new_ns - move.old_ns, 1)
    return Event(
        move.link, move.dscp, EventKind.PATH, move.old_ns, length_ns, move.flows, move.before, move.after
    )


def event_frame(events: Sequence[Event]) -> Frame:
    """EVENT rows. start_ns .. start_ns + length_ns: the time in which it must have happened."""
    columns = {
        "link": [event.link for event in events],
        "class": [str(event.dscp) for event in events],
        "kind": [event.kind.value for event in events],
    }
    same = ("start_ns", "length_ns", "flows", "before", "after", "before_us", "after_us")
    return Frame.of(
        EVENT, columns | {name: [getattr(event, name) for event in events] for name in same}, len(events)
    )
