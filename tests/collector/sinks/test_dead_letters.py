"""Dead letters: bounded, marked, taken up again, and those of earlier versions taken in once."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from collector.journal.batch_log import again_for, is_for
from collector.journal.journal import Journal
from collector.sinks.dead_letters import DeadLetters, Kind, Letter
from collector.sinks.former_letters import take_in
from collector.sinks.replay import EVERY_NS, LATER_NS, Replay
from collector.sinks.sink import Delivery, RowsRejected
from linkgauge.errors import SinkBusy
from tests.collector.world import StillClock


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[DeadLetters]:
    made = DeadLetters(tmp_path / "dead.sqlite")
    yield made
    made.close()


def _keep(dead: DeadLetters, count: int, sink: str = "s", size: int = 10) -> None:
    for at in range(count):
        dead.keep(at, sink, [Letter(b"x" * size + str(at).encode(), "the words")])


def test_what_is_kept_is_listed_oldest_first_with_time_sink_and_words(dead: DeadLetters) -> None:
    batch = Letter(b"\x00\xff", "cannot be read", Kind.BATCH, "j1", "boot", 7)
    dead.keep(5, "influxdb", [Letter("m f=\N{SNOWMAN} 1".encode(), "no"), batch])
    dead.keep(6, "archive", [batch])
    told = [(kept.at_ns, kept.sink, kept.letter.why, kept.marked) for kept in dead.letters()]
    assert told == [
        (5, "influxdb", "no", False), (5, "influxdb", "cannot be read", False),
        (6, "archive", "cannot be read", False),
    ]  # fmt: skip
    assert dead.letters(sink="archive")[0].letter == batch
    assert [kept.id for kept in dead.letters(after_id=1, limit=1)] == [2]
    assert os.stat(dead._file.path).st_mode & 0o077 == 0


def test_the_oldest_go_first_and_are_counted(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path / "dead.sqlite", max_octets=200)
    _keep(dead, 50)
    kept = dead.letters()
    assert kept[-1].at_ns == 49
    assert [each.at_ns for each in kept] == list(range(50 - len(kept), 50))
    counts = dead.counts()
    assert counts.octets <= 200
    assert counts.kept + counts.dropped == 50
    dead.close()
    few = DeadLetters(tmp_path / "few.sqlite", max_letters=3)
    _keep(few, 10)
    assert [kept.at_ns for kept in few.letters()] == [7, 8, 9]
    few.keep(11, "s", [Letter(b"x", "y")] * 10)
    assert few.counts().dropped == 17
    few.close()


def test_one_letter_larger_than_the_bound_stays_alone(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path / "dead.sqlite", max_octets=100)
    _keep(dead, 2)
    _keep(dead, 1, size=1000)
    assert [len(kept.letter.what) for kept in dead.letters()] == [1001]
    dead.close()


def test_marks_and_forgets_by_number_by_sink_or_all(dead: DeadLetters) -> None:
    _keep(dead, 3, "a")
    _keep(dead, 2, "b")
    dead.keep(9, "a", [Letter(b"?", "words only", Kind.NOTE)])
    assert dead.mark([1, 2, 99]) == 2
    assert dead.mark([1]) == 0
    assert dead.mark(sink="b") == 2
    assert dead.mark() == 1  # the note cannot be taken up
    assert dead.counts().marked == 5
    assert dead.forget([1]) == 1
    assert dead.forget(sink="b") == 2
    assert dead.forget() == 3


def test_the_file_of_an_earlier_version_is_taken_in_once(tmp_path: Path, dead: DeadLetters) -> None:
    line = "link_loss,link=j1>h0@n sent=1i 1600000000000000000"
    rows = [("influxdb", line), ("archive", base64.b64encode(b"garbage").decode()), ("archive", "2 rows")]
    texts = [json.dumps({"at_ns": at, "sink": s, "why": "no", "what": w}) for at, (s, w) in enumerate(rows)]
    former = tmp_path / "dead-letters.jsonl"
    former.write_text("\n".join([*texts, "{broken"]) + "\n")
    (tmp_path / "dead-letters.jsonl.1").write_text(texts[0] + "\n")
    take_in(tmp_path, dead)
    take_in(tmp_path, dead)
    assert not list(tmp_path.glob("*.jsonl*"))
    kept = dead.letters()
    assert [(each.sink, each.letter.kind) for each in kept] == [
        ("influxdb", Kind.LINES), ("influxdb", Kind.LINES), ("archive", Kind.NOTE), ("archive", Kind.NOTE),
        ("unknown", Kind.NOTE),
    ]  # fmt: skip
    assert (kept[0].letter.what, kept[2].letter.what) == (line.encode(), b"garbage")


def test_a_file_that_was_taken_in_before_a_crash_is_not_taken_in_twice(
    tmp_path: Path, dead: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = tmp_path / "dead-letters.jsonl"
    former.write_text(json.dumps({"at_ns": 1, "sink": "s", "why": "no", "what": "x"}) + "\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            take_in(tmp_path, dead)
    take_in(tmp_path, dead)
    assert (dead.counts().kept, former.exists()) == (1, False)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Lines:
    """A sink that refuses lines that hold a word, or is busy."""

    name, tables = "s", None

    def __init__(self) -> None:
        self.refuses, self.busy = b"bad", False
        self.taken: list[str] = []

    def write(self, entries: Sequence[Delivery]) -> None:
        raise AssertionError

    def write_lines(self, lines: Sequence[str]) -> None:
        if self.busy:
            raise SinkBusy("busy")
        self.taken += [line for line in lines if self.refuses.decode() not in line]
        refused = [(line, "still no") for line in lines if self.refuses.decode() in line]
        if refused:
            raise RowsRejected(refused)

    def close(self) -> None:
        pass


def test_a_batch_that_is_taken_up_is_for_the_sink_that_refused_it(tmp_path: Path, dead: DeadLetters) -> None:
    """The others have it since long, and may have had its correction since."""
    journal, clock = Journal(tmp_path / "journal.sqlite", 10**9, 10**9), StillClock()
    dead.keep(1, "s", [Letter(b"batch", "no", Kind.BATCH, "j1", "b", 7)])
    dead.mark([1])
    assert Replay(Lines(), journal, dead, clock).step()
    (entry,) = journal.read(0, 9, 99)
    assert (entry.number, entry.body, entry.via) == (7, b"batch", again_for("s"))
    assert is_for("s", entry.via)
    assert not is_for("other", entry.via)
    journal.close()


def test_a_letter_of_a_lost_file_settles_none_of_the_new_one(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path / "dead.sqlite")
    _keep(dead, 2)
    (tmp_path / "dead.sqlite").unlink()
    _keep(dead, 1)
    dead.settle([1, 2], 5, "s", [])
    assert len(dead.letters()) == 1
    dead.close()


def test_marked_letters_are_taken_up_and_those_refused_again_come_back(
    tmp_path: Path, dead: DeadLetters
) -> None:
    journal, clock, sink = Journal(tmp_path / "journal.sqlite", 10**9, 10**9), StillClock(), Lines()
    replay = Replay(sink, journal, dead, clock)
    dead.keep(
        1, "s", [Letter(b"good 1", "no"), Letter(b"good 2\nbad 3", "one of these"), Letter(b"good 4", "no")]
    )
    dead.keep(1, "other", [Letter(b"good 5", "no")])
    assert not replay.step()
    dead.mark([1, 2, 4])
    clock.wall_ns += EVERY_NS
    sink.busy = True
    assert not replay.step()  # what is new goes on meanwhile
    assert (sink.taken, dead.counts().marked) == ([], 3)
    sink.busy = False
    clock.wall_ns += EVERY_NS
    assert not replay.step()
    clock.wall_ns += LATER_NS
    assert replay.step()
    assert sink.taken == ["good 1", "good 2"]
    left = [(kept.letter.what, kept.letter.why, kept.sink, kept.marked) for kept in dead.letters()]
    assert left == [
        (b"good 4", "no", "s", False), (b"good 5", "no", "other", True), (b"bad 3", "still no", "s", False),
    ]  # fmt: skip
    journal.close()
