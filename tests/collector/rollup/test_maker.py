"""The maker against a source and a journal that fail when told to."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from collector.admission import Refusal
from collector.health.metrics import Metrics
from collector.rollup.maker import ASIDE_S, GIVE_WAY_S, POLL_S, Maker
from collector.rollup.notes import Grace, Notes
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot, Touch
from collector.rollup.source import Tally
from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.schema import NODE_SCORE, SCORE
from tests.collector.rollup.windows import T0_NS, Sampled, frame_of
from tests.collector.world import StillClock, until

GRACE = Grace(30 * NS_PER_S, 120 * NS_PER_S)
SLOTS = [Slot(T0_NS + at * SHORT_NS, SHORT_NS) for at in range(8)]


class FakeSource:
    """One window in each slot; slots in `broken` cannot be read."""

    def __init__(self) -> None:
        self.broken: set[Slot] = set()
        self.asked: list[Slot] = []
        self.closed = False
        self.worse: frozenset[str] = frozenset()

    def shrunk(self, slot: Slot, made: Frame) -> frozenset[str]:
        return self.worse

    def pieces(self, slot: Slot, agents: Collection[str]) -> Iterator[Iterator[Frame]]:
        self.asked.append(slot)
        if slot in self.broken:
            raise StoreError("a file cannot be read")
        yield iter([frame_of([Sampled(slot.start_ns, (1e6,), link=f"{agent}>x@n")]) for agent in agents])

    def tallies(self, slot: Slot, agents: Collection[str]) -> Iterator[Sequence[Tally]]:
        yield [Tally(f"{agent}>x@n", 360, 300, 10, 2, 5) for agent in sorted(agents)]

    def close(self) -> None:
        self.closed = True


class FakeJournal:
    """Keeps rows, or refuses."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []
        self.scored: list[str] = []
        self.summed: list[tuple[str, int]] = []
        self.full = False

    def put(self, frame: Frame) -> None:
        if self.full:
            raise Refusal("store", "the disk is full", 507)
        if frame.table is SCORE:
            self.scored += frame.text("link").tolist()
            return
        if frame.table is NODE_SCORE:
            self.summed += zip(frame.text("src").tolist(), frame.count("windows").tolist(), strict=True)
            return
        self.rows += zip(frame.text("link").tolist(), frame.count("start_ns").tolist(), strict=True)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock = StillClock(T0_NS + HOUR_NS)
        self.notes = Notes(folder / "rollup.sqlite", self.clock)
        self.source, self.journal, self.metrics = FakeSource(), FakeJournal(), Metrics()
        self.catching_up = False
        self.maker = Maker(
            self.notes, self.source, self.journal.put, lambda: 10, GRACE, self.clock, self.metrics,
            lambda: self.catching_up,
        )  # fmt: skip

    def note(self, *slots: Slot, agent: str = "a") -> None:
        self.notes.note([Touch(slot, agent, 1) for slot in slots], self.clock.wall_ns)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.notes.close()


def test_agents_of_a_slot_are_made_at_once_and_forgotten(bench: Bench) -> None:
    for agent in ("a", "b"):
        bench.note(SLOTS[0], agent=agent)
    assert bench.maker.step()
    assert bench.journal.rows == [("a>x@n", T0_NS), ("b>x@n", T0_NS)]
    assert not bench.maker.step()
    assert bench.maker.due.slots == 0


def test_slots_are_few_while_agents_catch_up(bench: Bench) -> None:
    assert bench.maker.rest_s(made=True) == 0
    bench.catching_up = True
    assert bench.maker.rest_s(made=True) == GIVE_WAY_S
    assert bench.maker.rest_s(made=False) == POLL_S


def test_newest_come_first_but_every_fourth_is_the_oldest(bench: Bench) -> None:
    bench.note(*SLOTS)
    while bench.maker.step():
        pass
    order = [SLOTS.index(slot) for slot in bench.source.asked]
    assert order == [7, 6, 5, 0, 4, 3, 2, 1]


def test_a_slot_that_cannot_be_read_holds_up_no_other_and_is_tried_again(bench: Bench) -> None:
    bench.note(*SLOTS[:3])
    bench.source.broken = {SLOTS[2]}
    assert not bench.maker.step()
    assert bench.maker.trouble == "a file cannot be read"
    while bench.maker.step():
        pass
    assert [start for _, start in bench.journal.rows] == [SLOTS[1].start_ns, SLOTS[0].start_ns]
    assert bench.maker.trouble is not None
    assert bench.maker.due.slots == 1
    bench.source.broken = set()
    bench.clock.wall_ns += (ASIDE_S + 1) * NS_PER_S
    assert bench.maker.step()
    assert not bench.maker.step()
    assert bench.maker.trouble is None
    assert bench.journal.rows[-1] == ("a>x@n", SLOTS[2].start_ns)


def test_what_would_be_made_of_fewer_windows_stays_noted_and_as_it_was(bench: Bench) -> None:
    for agent in ("a", "b"):
        bench.note(SLOTS[0], agent=agent)
    bench.source.worse = frozenset({"a"})
    assert not bench.maker.step()
    assert bench.journal.rows == [("b>x@n", T0_NS)]
    assert "fewer windows of a than" in (bench.maker.trouble or "")
    assert not bench.maker.step()
    assert bench.maker.trouble is not None
    bench.source.worse = frozenset()
    bench.clock.wall_ns += (ASIDE_S + 1) * NS_PER_S
    assert bench.maker.step()
    assert not bench.maker.step()
    assert bench.maker.trouble is None
    assert bench.journal.rows == [("b>x@n", T0_NS), ("a>x@n", T0_NS)]


def test_what_the_journal_does_not_take_stays_noted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.note(SLOTS[0])
    bench.journal.full = True
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert not bench.maker.step()
        bench.journal.full = False
        assert bench.maker.step()
        assert not bench.maker.step()
    assert bench.journal.rows == [("a>x@n", T0_NS)]
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events == ["rollups_held", "rollups_made_again"]


def test_an_unexpected_fault_is_counted_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    bench.note(*SLOTS[:2])
    monkeypatch.setattr(bench.maker, "_put", fail)
    assert not bench.maker.step()
    assert bench.metrics.total("faults") == 1
    monkeypatch.setattr(bench.maker, "_put", bench.journal.put)
    assert bench.maker.step()
    assert bench.journal.rows == [("a>x@n", SLOTS[0].start_ns)]


def test_it_says_once_that_it_is_behind(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.note(*SLOTS[:3])
    bench.clock.wall_ns += 2 * HOUR_NS
    with caplog.at_level(logging.INFO):
        while bench.maker.step():
            pass
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events == ["rollups_behind", "rollups_caught_up"]
    assert "slots=3" in caplog.records[0].getMessage()


def test_notes_that_were_lost_are_told_with_the_mend(
    bench: Bench, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    bench.note(*SLOTS[:3])
    for path in tmp_path.glob("rollup.sqlite*"):
        path.write_bytes(b"x" * 8192)
    bench.maker.step()
    bench.maker.step()
    told = [record.getMessage() for record in caplog.records if "rollup_notes_lost" in record.getMessage()]
    assert len(told) == 1
    assert "rollup rebuild" in told[0]


def test_the_thread_makes_and_ends(bench: Bench) -> None:
    bench.note(*SLOTS)
    bench.maker.start()
    until(lambda: len(bench.journal.rows) == len(SLOTS))
    assert bench.maker.alive
    bench.maker.stop()
    assert not bench.maker.alive
    assert bench.source.closed


def test_an_hour_has_its_scores_and_five_minutes_none(bench: Bench) -> None:
    bench.note(SLOTS[0])
    assert bench.maker.step()
    assert bench.journal.scored == []
    assert bench.journal.summed == []
    bench.note(Slot(T0_NS, HOUR_NS))
    bench.clock.wall_ns = T0_NS + HOUR_NS + 121 * NS_PER_S
    assert bench.maker.step()
    assert bench.journal.scored == ["a>x@n"]
    assert bench.journal.summed == [("a", 360)]
