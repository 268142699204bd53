"""What every sink must do behind its pump: the suite to subclass with a `store` fixture.

A store is what lies behind the sink, seen from outside: opened as by a new process, asked what is in it, made
to fail for some deliveries. Whatever happens, each row that was journalled is in it once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.sinks.dead_letters import DeadLetters, Kind
from collector.sinks.pump import Pump, Rhythm
from collector.sinks.sink import Delivery, RowsRejected, Sink
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.errors import SinkBusy, SinkHeld
from linkgauge.frame import Frame
from tests.collector.journals import FROM_ONE
from tests.collector.world import WINDOW_NS, StillClock, body, windows

BEGIN_NS = window_start(SystemClock().now().wall_ns - 3600 * NS_PER_S, WINDOW_NS)
LINKS = ("j1>g1@backbone", "j1>j2@backbone", "j1>g1@private")
Key = tuple[str, int]
"""Link and start of the window, ns."""


class Store(Protocol):
    """What a sink writes to."""

    def opened(self, identity: str, cursor: int) -> Sink:
        """The sink as a new process opens it."""

    def keys(self) -> list[Key]:
        """Every row of WINDOW that is in the store; a key twice is a row twice."""

    def fail(self, errors: Sequence[Exception]) -> None:
        """The next deliveries fail so, one each, some after part of it was stored."""

    def poisoned(self) -> Frame | None:
        """A row that the store will never take; None when there is none such."""


def frame_of(number: int) -> Frame:
    return windows(LINKS, BEGIN_NS + number * WINDOW_NS)


def keys_of(*numbers: int) -> set[Key]:
    return {(link, BEGIN_NS + number * WINDOW_NS) for number in numbers for link in LINKS}


class Line:
    """A journal, a pump and the store's sink, each of which may come again as in a new process."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store, self.clock, self.metrics = folder, store, StillClock(), Metrics()
        self.journal = Journal(folder / "journal.sqlite", 10**9, 10**12, FROM_ONE)
        self.dead = DeadLetters(folder / "dead.sqlite")
        self.sink = store.opened(self.journal.identity, 0)
        self.journal.register([self.sink.name])
        self.pump = self._pump()

    def _pump(self, max_batches: int = 2) -> Pump:
        rhythm = Rhythm(max_batches=max_batches)
        return Pump(self.sink, self.journal, self.dead, self.clock, self.metrics, rhythm, self.journal.trim)

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.add(number, body("j1", number, frame_of(number), boot="b"))

    def add(self, number: int, data: bytes) -> None:
        self.journal.append("j1", "b", number, 1, BEGIN_NS, data)

    def run(self, steps: int = 20) -> None:
        for _ in range(steps):
            self.pump.step()

    def die(self) -> None:
        """End the sink and open it as the next process does; what the pump held in memory is gone."""
        self.sink.close()
        cursor = self.journal.cursor(self.sink.name)
        self.sink = self.store.opened(self.journal.identity, cursor)
        self.pump = self._pump(max_batches=3)

    @property
    def cursor(self) -> int:
        return self.journal.cursor(self.sink.name)

    def close(self) -> None:
        for each in (self.sink, self.journal, self.dead):
            each.close()


def delivery(number: int) -> Delivery:
    return Delivery(number, "j1", "b", number, {"window": frame_of(number)})


class SinkConformance:
    @pytest.fixture
    def line(self, tmp_path: Path, store: Store) -> Iterator[Line]:
        made = Line(tmp_path, store)
        yield made
        made.close()

    def test_everything_written_is_there_once(self, line: Line) -> None:
        line.put(1, 2, 3, 4, 5)
        line.run()
        assert Counter(line.store.keys()) == Counter(keys_of(1, 2, 3, 4, 5))
        assert line.cursor == 5
        assert line.pump.trouble is None

    def test_the_same_deliveries_again_change_nothing(self, line: Line) -> None:
        for _ in range(3):
            line.sink.write([delivery(1), delivery(2)])
        assert Counter(line.store.keys()) == Counter(keys_of(1, 2))

    def test_a_crash_between_write_and_cursor_doubles_nothing(self, line: Line) -> None:
        line.put(1, 2, 3, 4, 5)
        line.sink.write([delivery(1), delivery(2)])
        line.die()
        line.run()
        assert Counter(line.store.keys()) == Counter(keys_of(1, 2, 3, 4, 5))

    def test_closed_and_opened_again_it_goes_on(self, line: Line) -> None:
        for numbers in ((1, 2, 3), (4,), (), (5, 6)):
            line.put(*numbers)
            line.run()
            line.die()
        assert Counter(line.store.keys()) == Counter(keys_of(1, 2, 3, 4, 5, 6))

    @pytest.mark.parametrize("die", [False, True])
    @pytest.mark.parametrize(
        "errors",
        [[SinkBusy("busy")], [SinkHeld("held")], [SinkBusy("busy", 1.0), SinkHeld("held"), SinkBusy("busy")]],
        ids=["busy", "held", "mixed"],
    )
    def test_trouble_in_the_middle_loses_and_doubles_nothing(
        self, line: Line, errors: Sequence[Exception], die: bool
    ) -> None:
        line.put(1, 2)
        line.run()
        line.store.fail(errors)
        line.put(3, 4, 5)
        line.run(1)
        assert line.pump.trouble is not None
        assert line.cursor == 2
        line.put(6)
        if die:
            line.die()
        line.run()
        assert line.pump.trouble is None
        assert Counter(line.store.keys()) == Counter(keys_of(1, 2, 3, 4, 5, 6))
        assert (line.cursor, line.dead.counts().kept) == (6, 0)

    def test_an_entry_that_cannot_be_read_costs_itself(self, line: Line) -> None:
        line.put(1)
        line.add(2, b"garbage")
        line.put(3)
        line.run()
        assert Counter(line.store.keys()) == Counter(keys_of(1, 3))
        (kept,) = line.dead.letters()
        assert (kept.letter.kind, kept.letter.what, kept.sink) == (Kind.BATCH, b"garbage", line.sink.name)
        assert line.cursor == 3

    def test_a_poisoned_row_costs_one_row(self, line: Line) -> None:
        poison = line.store.poisoned()
        if poison is None:
            pytest.skip("this store takes every row")
        line.put(1)
        line.add(2, body("j1", 2, poison, boot="b"))
        line.put(3)
        with pytest.raises(RowsRejected) as caught:
            line.sink.write([delivery(1), Delivery(2, "j1", "b", 2, {"window": poison}), delivery(3)])
        line.run()
        assert Counter(line.store.keys()) == Counter(keys_of(1, 3))
        kept = [(each.letter.what.decode(), each.letter.why) for each in line.dead.letters()]
        assert sorted(kept) == sorted(caught.value.refused)
        assert all(why for _, why in kept)
        assert line.cursor == 3

    def test_a_sink_has_its_own_cursor(self, line: Line) -> None:
        line.journal.register([line.sink.name, "other"])
        line.put(1, 2, 3)
        line.run()
        assert (line.cursor, line.journal.cursor("other")) == (3, 0)
        assert line.journal.backlog("other")[0] == 3
        assert line.journal.backlog(line.sink.name) == (0, None)
        assert len(line.journal.read(0, 9, 10**9)) == 3  # the other one has not taken them

    def test_what_was_marked_comes_again_and_is_there_once(self, line: Line) -> None:
        line.put(1, 2)
        line.run()
        again = body("j1", 3, frame_of(3), boot="b")
        line.add(3, b"garbage")
        line.run()
        (kept,) = line.dead.letters()
        line.journal.requeue("j1", "b", 3, again, line.sink.name)  # as if its reader had been mended
        assert line.dead.mark([kept.id]) == 1
        line.clock.wall_ns += 10 * NS_PER_S
        line.run()
        assert set(line.store.keys()) >= keys_of(1, 2, 3)
        (letter,) = line.dead.letters()  # the garbage is refused again, with the new entry's words
        assert (letter.id != kept.id, letter.marked) == (True, False)


def failing(errors: list[Exception], write: Callable[[], None], part: Callable[[], None]) -> None:
    """Do `write`, unless an error is due: then do `part` every other time, and raise it."""
    if not errors:
        write()
        return
    if len(errors) % 2:
        part()
    raise errors.pop(0)
