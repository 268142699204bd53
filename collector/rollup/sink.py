"""The sink "rollup": keeps no rows, but notes which slots they touch.

A window touches its 5 minutes, a 5-minute row its hour, and so does the state of a link that was not
measured, because an hour of silence has a score as well. The journal's cursor of this sink moves once the
notes are on disk, so no slot that was touched is ever forgotten; batches that come again are noted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collector.rollup.notes import Notes
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot, Touch, agent_of
from collector.sinks.sink import Delivery
from linkgauge.clock import Clock, window_start
from linkgauge.errors import SinkHeld, StoreError
from linkgauge.schema import STATE, WINDOW, WINDOW_5M

NAME = "rollup"
TABLES = frozenset({WINDOW.name, WINDOW_5M.name, STATE.name})


class RollupSink:
    """See above. `close` closes the notes: the maker, which reads them, is stopped before."""

    def __init__(self, notes: Notes, clock: Clock) -> None:
        self._notes, self._clock = notes, clock

    @property
    def name(self) -> str:
        return NAME

    @property
    def tables(self) -> frozenset[str]:
        return TABLES

    def write(self, entries: Sequence[Delivery]) -> None:
        last: dict[tuple[Slot, str], int] = {}
        for entry in entries:
            for slot, agent in _touched(entry):
                last[slot, agent] = max(entry.seq, last.get((slot, agent), 0))
        touches = [Touch(slot, agent, seq) for (slot, agent), seq in last.items()]
        try:
            self._notes.note(touches, self._clock.now().wall_ns)
        except StoreError as err:
            raise SinkHeld(str(err)) from None

    def close(self) -> None:
        self._notes.close()


def _touched(entry: Delivery) -> Iterator[tuple[Slot, str]]:
    windows = entry.frames.get(WINDOW.name)
    if windows is not None:
        for start_ns in set(windows.count("start_ns").tolist()):
            yield Slot(window_start(start_ns, SHORT_NS), SHORT_NS), entry.agent
    short = entry.frames.get(WINDOW_5M.name)
    if short is not None:
        for link, start_ns in set(
            zip(short.text("link").tolist(), short.count("start_ns").tolist(), strict=True)
        ):
            yield Slot(window_start(start_ns, HOUR_NS), HOUR_NS), agent_of(link)
    state = entry.frames.get(STATE.name)
    if state is not None:
        silent = state.take(state.count("measured") == 0)
        agents = {agent_of(link) for link in silent.words("link").words}
        for start_ns in set(silent.count("start_ns").tolist()):
            yield from ((Slot(window_start(start_ns, HOUR_NS), HOUR_NS), agent) for agent in agents)
