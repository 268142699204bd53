"""The pump: whatever a store answers, nothing is lost, nothing is skipped in silence, others go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.sinks.backoff import Backoff
from collector.sinks.dead_letters import DeadLetters, Kind, Letter
from collector.sinks.pump import Pump, Rhythm
from collector.sinks.sink import Delivery, RowsRejected
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkBusy, SinkHeld, SinkRejected, StoreError
from linkgauge.frame import concat
from linkgauge.packing import pack
from linkgauge.wire import Batch, encode
from tests.collector.journals import FROM_ONE
from tests.collector.world import StillClock, body, health, until


class Scripted:
    """A store that answers as told, then takes everything."""

    tables = None

    def __init__(self, answers: Sequence[Exception | None] = (), name: str = "scripted") -> None:
        self.answers = list(answers)
        self.taken: list[int] = []
        self.closed = False
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def write(self, entries: Sequence[Delivery]) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is None or isinstance(answer, SinkRejected):
            self.taken += [entry.number for entry in entries]
        if answer is not None:
            raise answer

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self, folder: Path, answers: Sequence[Exception | None] = (), **rhythm: float) -> None:
        self.journal = Journal(folder / "journal.sqlite", 10**9, 10**9, FROM_ONE)
        self.journal.register(["scripted"])
        self.clock, self.metrics, self.sink = StillClock(), Metrics(), Scripted(answers)
        self.letters = folder / "dead.sqlite"
        self.dead = DeadLetters(self.letters)
        fast = {"poll_s": 0.01, "held_s": 0.01, **rhythm}
        self.pump = Pump(
            self.sink,
            self.journal,
            self.dead,
            self.clock,
            self.metrics,
            Rhythm(**fast),  # type: ignore[arg-type]  # numbers by name
            self.journal.trim,
        )

    def put(self, *numbers: int, data: bytes | None = None) -> None:
        for number in numbers:
            self.journal.append("j1", "b", number, 1, 1, data or body("j1", number, health("j1"), boot="b"))

    def run(self, steps: int = 30) -> None:
        for _ in range(steps):
            self.pump.step()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.journal.close()


def test_what_is_taken_is_forgotten_by_the_journal(world: World) -> None:
    world.put(1, 2, 3)
    world.run(3)
    assert world.sink.taken == [1, 2, 3]
    assert world.journal.cursor("scripted") == 3
    assert world.journal.octets == 0
    assert world.pump.step() > 0


_FAULTS = st.lists(
    st.sampled_from(["busy", "held", "store", "bug", None]),
    max_size=8,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(_FAULTS, st.lists(st.integers(0, 3), max_size=6))
def test_any_mix_of_faults_loses_and_reorders_nothing(
    tmp_path_factory: pytest.TempPathFactory, faults: list[str | None], arrivals: list[int]
) -> None:
    kinds = {
        "busy": SinkBusy("busy"), "held": SinkHeld("held"), "store": StoreError("disk"),
        "bug": ValueError("bug"), None: None,
    }  # fmt: skip
    world = World(tmp_path_factory.mktemp("mix"), [kinds[fault] for fault in faults])
    number = 0
    for count in arrivals:
        for _ in range(count):
            number += 1
            world.put(number)
        world.pump.step()
    world.run()
    assert world.sink.taken == list(range(1, number + 1))
    assert world.journal.cursor("scripted") == number
    assert world.dead.letters() == []
    world.journal.close()


@pytest.mark.parametrize("bound", [{"max_rows": 3}, {"max_bytes": 50_000}])
def test_batches_that_unpack_to_much_are_taken_one_by_one(tmp_path: Path, bound: dict[str, float]) -> None:
    world = World(tmp_path, (), **bound)
    written: list[int] = []
    take = world.sink.write

    def write(entries: Sequence[Delivery]) -> None:
        written.append(len(entries))
        take(entries)

    world.sink.write = write  # type: ignore[method-assign]  # only looks on
    row = health("j1")
    whole = encode(Batch("j1", "b", 1, 1, {"health": concat(row.table, [row] * 300)}))
    packed = pack(whole)
    assert 5 * len(packed) < 50_000 < len(whole)
    world.put(*range(1, 6), data=packed)
    world.run(10)
    assert written == [1] * 5
    assert len(world.sink.taken) == 5
    assert world.journal.cursor("scripted") == 5
    world.journal.close()


def test_trouble_is_said_once_and_its_end_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = World(tmp_path, [SinkHeld("wrong password"), SinkHeld("wrong password"), None])
    world.put(1)
    world.run(2)
    assert world.pump.trouble == "wrong password"
    assert world.sink.taken == []
    world.run(2)
    assert world.pump.trouble is None
    assert [r.getMessage().split()[0] for r in caplog.records] == ["sink_held", "sink_works_again"]
    world.journal.close()


def test_refused_rows_become_dead_letters_and_the_cursor_moves(tmp_path: Path) -> None:
    refused = RowsRejected([("line one", "too old"), ("line two", "too old")])
    world = World(tmp_path, [refused])
    world.put(1)
    world.run(2)
    assert world.journal.cursor("scripted") == 1
    letters = [(kept.letter, kept.sink) for kept in world.dead.letters()]
    assert letters == [
        (Letter(b"line one", "too old"), "scripted"),
        (Letter(b"line two", "too old"), "scripted"),
    ]
    assert world.metrics.total("rows_rejected") == 2
    assert world.letters.stat().st_mode & 0o007 == 0
    world.journal.close()


def test_an_entry_that_cannot_be_read_stops_nobody(world: World) -> None:
    world.put(1)
    world.put(2, data=b"garbage")
    world.put(3)
    world.run(4)
    assert world.sink.taken == [1, 3]
    assert world.journal.cursor("scripted") == 3
    (kept,) = world.dead.letters()
    assert kept.letter.what == b"garbage"
    assert (kept.letter.agent, kept.letter.boot, kept.letter.number) == ("j1", "b", 2)
    assert "journal entry 2" in kept.letter.why


def test_only_an_unreadable_entry_moves_the_cursor_too(world: World) -> None:
    world.put(1, data=b"garbage")
    world.run(3)
    assert (world.journal.cursor("scripted"), world.sink.taken) == (1, [])


def test_dead_letters_that_cannot_be_kept_hold_the_sink(world: World) -> None:
    keep = world.dead.keep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.dead, "keep", _full)
        world.put(1, data=b"garbage")
        world.run(3)
        assert world.journal.cursor("scripted") == 0
        assert world.pump.trouble == "disk full"
    assert world.dead.keep == keep
    world.run(3)
    assert world.journal.cursor("scripted") == 1


def _full(*_: object) -> None:
    raise StoreError("disk full")


def test_batches_are_gathered_until_the_flush_or_enough_rows(tmp_path: Path) -> None:
    world = World(tmp_path, flush_s=60, max_rows=5)
    world.put(1, 2)
    world.run(3)
    assert world.sink.taken == []
    world.clock.wall_ns += 60 * NS_PER_S
    world.run(3)
    assert world.sink.taken == [1, 2]
    world.put(3, 4, 5, 6, 7)
    world.run(3)
    assert world.sink.taken == [1, 2, 3, 4, 5, 6, 7]
    world.journal.close()


def test_dropped_bodies_are_passed_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    small = Journal(tmp_path / "small.sqlite", 1, 10**9)
    small.register(["scripted"])
    pump = Pump(world.sink, small, world.dead, world.clock, world.metrics)
    for number in (1, 2, 3):
        small.append("j1", "b", number, 1, 1, body("j1", number, health("j1")))
    pump.step()
    assert world.sink.taken == [3]
    assert small.dropped == 2
    small.close()
    world.journal.close()


def test_stop_delivers_what_is_there(tmp_path: Path) -> None:
    world = World(tmp_path, flush_s=3600)
    world.pump.start()
    world.put(*range(1, 151))
    world.pump.wake()
    until(lambda: len(world.pump._gathered) > 0)
    world.pump.stop(60)
    assert world.sink.taken == list(range(1, 151))
    assert world.sink.closed
    assert not world.pump.alive
    world.journal.close()


def test_stop_does_not_wait_for_a_store_that_is_down(tmp_path: Path) -> None:
    world = World(tmp_path, [SinkBusy("down", 300)] * 1000, held_s=300)
    world.put(1)
    world.pump.start()
    until(lambda: world.pump.trouble is not None)
    world.pump.stop(60)
    assert not world.pump.alive
    assert world.journal.backlog("scripted")[0] == 1
    world.journal.close()


def test_the_wait_doubles_with_jitter_and_believes_the_server() -> None:
    backoff = Backoff()
    waits = [backoff.next() for _ in range(9)]
    assert all(0.25 * 2**at <= wait <= 0.5 * 2**at for at, wait in enumerate(waits[:6]))
    assert 15 <= waits[-1] <= 30
    assert backoff.next(100) == 100
    backoff.reset()
    assert backoff.next() <= 0.5


def test_what_a_sink_refuses_without_naming_rows_is_kept_as_batches(tmp_path: Path) -> None:
    world = World(tmp_path, [SinkRejected("never", 2)])
    world.put(1, 2)
    world.run(2)
    kept = [kept.letter for kept in world.dead.letters()]
    assert [(letter.kind, letter.number, letter.why) for letter in kept] == [
        (Kind.BATCH, 1, "never"),
        (Kind.BATCH, 2, "never"),
    ]
    assert kept[0].what == body("j1", 1, health("j1"), boot="b")
    world.journal.close()
