"""Taking up dead letters again: a pump looks every few seconds whether some of its sink are marked."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from collector.event_line import event_line
from collector.journal.batch_log import BatchLog
from collector.sinks.dead_letters import DeadLetters, Kept, Kind, Letter
from collector.sinks.sink import RowsRejected, Sink
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import SinkBusy, SinkHeld

log = logging.getLogger(__name__)
EVERY_NS = 2 * NS_PER_S
LATER_NS = 60 * NS_PER_S
AT_ONCE = 200


@runtime_checkable
class TakesLines(Protocol):
    """A sink that can write single lines again; raises as Sink.write does."""

    def write_lines(self, lines: Sequence[str]) -> None: ...


class Replay:
    """Lines go to the sink again, batches to the journal, for it alone; what is refused again stays, with the
    new words."""

    def __init__(self, sink: Sink, journal: BatchLog, dead: DeadLetters, clock: Clock) -> None:
        self._sink, self._journal, self._dead, self._clock = sink, journal, dead, clock
        self._next_ns = 0

    def step(self) -> bool:
        """Take up some letters when it is time to look; True when there were any. What the store does not
        take now waits a minute, and holds up nothing that is new. Raises StoreError."""
        now = self._clock.now()
        if now.mono_ns < self._next_ns:
            return False
        self._next_ns = now.mono_ns + EVERY_NS
        marked = self._dead.letters(limit=AT_ONCE, sink=self._sink.name, marked=True)
        if not marked:
            return False
        try:
            refused = [*self._lines(marked), *self._batches(marked)]  # lines may raise
        except (SinkBusy, SinkHeld) as err:  # of these alone, or of all: what is new will tell
            self._next_ns = now.mono_ns + LATER_NS
            log.warning(event_line("dead_letters_wait", sink=self._sink.name, count=len(marked), error=err))
            return False
        self._dead.settle([kept.id for kept in marked], now.wall_ns, self._sink.name, refused)
        log.info(
            event_line("dead_letters_again", sink=self._sink.name, count=len(marked), refused=len(refused))
        )
        self._next_ns = 0
        return True

    def _batches(self, marked: Sequence[Kept]) -> Iterator[Letter]:
        for letter in (kept.letter for kept in marked if kept.letter.kind is not Kind.LINES):
            if letter.kind is Kind.BATCH:
                self._journal.requeue(letter.agent, letter.boot, letter.number, letter.what, self._sink.name)
            else:
                yield letter

    def _lines(self, marked: Sequence[Kept]) -> Iterator[Letter]:
        letters = [kept.letter for kept in marked if kept.letter.kind is Kind.LINES]
        if not letters:
            return
        if not isinstance(self._sink, TakesLines):
            yield from letters
            return
        try:
            self._sink.write_lines(
                [line for each in letters for line in each.what.decode("utf-8", "replace").split("\n")]
            )
        except RowsRejected as err:
            yield from (Letter(what.encode("utf-8", "replace"), why) for what, why in err.refused)
