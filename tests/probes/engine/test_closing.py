"""Windows on their way out: each packet in one, late replies correct it once, flows are told when due."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S
from linkgauge.code import Unfit
from linkgauge.frame import Frame
from probes.engine.closing import AT_ONCE_WINDOWS, Closings, unfit
from probes.stamp.sessions import Sessions
from probes.stamp.window import Groups, Span
from tests.probes.stamp.table import INTERVAL, MS, T0, TIMEOUT, WINDOW, Reply, groups, send, span, table, take


class Book:
    """Windows of a table that follow each other."""

    def __init__(self, sessions: Sessions, made: Groups | None = None, length_ns: int = WINDOW) -> None:
        self.sessions, self.closings = sessions, Closings(sessions, made or groups(sessions))
        self._start_ns, self._length_ns, self._sent = T0, length_ns, 0

    def send(self, packets: int) -> None:
        send(self.sessions, packets, start_ns=T0 + self._sent * INTERVAL)
        self._sent += packets

    def end(self, unfit_bits: int = 0) -> Span:
        noted = span(self.sessions, start_ns=self._start_ns, length_ns=self._length_ns, unfit=unfit_bits)
        self._start_ns += self._length_ns
        return self.closings.end(noted)

    def close(self, one: Span) -> Frame:
        return self.closings.close(one)[0]["window"]


def rows(frame: Frame) -> list[tuple[str, int, int]]:
    """Link, number of the window, revision."""
    window = (frame.count("start_ns") - T0) // WINDOW
    return list(
        zip(frame.text("link").tolist(), window.tolist(), frame.count("revision").tolist(), strict=True)
    )


def answer(sessions: Sessions, seqs: range | list[int], session: int = 0, late: bool = False) -> None:
    back_ns = TIMEOUT if late else MS
    take(sessions, *(Reply(session, seq, number=seq, back_ns=back_ns) for seq in seqs))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_consecutive_windows_share_no_packet_and_leave_none_out(sizes: list[int]) -> None:
    book = Book(table(2))
    spans = []
    for size in sizes:
        book.send(size)
        book.sessions.missed += 2
        spans.append(book.end())
    assert spans[0].first.tolist() == [0, 0]
    for before, after in itertools.pairwise(spans):
        assert after.first.tolist() == before.end.tolist()
    assert [int((one.end - one.first)[0]) for one in spans] == sizes
    assert [one.missed.tolist() for one in spans] == [[2, 2]] * len(sizes)


def test_a_late_reply_before_the_report_counts_there_and_makes_no_revision() -> None:
    book = Book(table(1))
    book.send(5)
    one = book.end()
    answer(book.sessions, range(4))
    answer(book.sessions, [4], late=True)
    frame = book.close(one)
    assert rows(frame) == [("link0", 0, 0)]
    assert (frame.count("replied")[0], frame.count("late")[0]) == (4, 1)
    book.send(1)
    answer(book.sessions, [5])
    assert rows(book.close(book.end())) == [("link0", 1, 0)]


def test_a_reply_after_the_report_corrects_exactly_its_window_once() -> None:
    book = Book(table(2))
    book.send(5)
    first = book.end()
    answer(book.sessions, [0, 1, 2, 4])
    answer(book.sessions, range(5), session=1)
    assert rows(book.close(first)) == [("link0", 0, 0), ("link1", 0, 0)]
    book.send(5)
    second = book.end()
    answer(book.sessions, range(5, 10))
    answer(book.sessions, range(5, 10), session=1)
    answer(book.sessions, [3], late=True)
    frame = book.close(second)
    assert rows(frame) == [("link0", 0, 1), ("link0", 1, 0), ("link1", 1, 0)]
    told = {name: int(frame.count(name)[0]) for name in ("sent", "replied", "late", "lost_backward")}
    assert told == {"sent": 5, "replied": 4, "late": 1, "lost_backward": 0}
    assert frame.real("loss_ratio")[0] == 0
    book.send(1)
    answer(book.sessions, [10])
    answer(book.sessions, [10], session=1)
    assert rows(book.close(book.end())) == [("link0", 2, 0), ("link1", 2, 0)]
    assert book.closings.too_late == 0


def test_a_reply_after_two_reports_is_too_late_and_counted() -> None:
    book = Book(table(1))
    for window in range(3):
        book.send(4)
        one = book.end()
        answer(book.sessions, [4 * window, 4 * window + 3])
        book.close(one)
    answer(book.sessions, [1, 2], late=True)
    book.send(1)
    answer(book.sessions, [12])
    assert rows(book.close(book.end())) == [("link0", 3, 0)]
    assert book.closings.too_late == 2


def test_a_reply_before_the_very_first_report_is_no_correction() -> None:
    book = Book(table(1))
    book.send(3)
    one = book.end()
    answer(book.sessions, range(3))
    assert rows(book.close(one)) == [("link0", 0, 0)]
    assert book.closings.too_late == 0


def test_a_direction_learnt_later_is_told_with_a_revision() -> None:
    book = Book(table(2))
    book.send(4)
    first = book.end()
    for session in (0, 1):
        answer(book.sessions, [0, 1], session)  # 2 and 3 are lost, and nothing came since
    frame = book.close(first)
    assert frame.count("lost_unattributed").tolist() == [2, 2]
    book.send(4)
    second = book.end()
    take(book.sessions, Reply(0, 4, number=4), Reply(0, 7, number=7))
    frame = book.close(second)
    assert rows(frame) == [("link0", 0, 1), ("link0", 1, 0), ("link1", 1, 0)]
    assert (frame.count("lost_backward")[0], frame.count("lost_unattributed")[0]) == (2, 0)
    assert frame.real("loss_backward_ratio")[0] == pytest.approx(0.5)


def test_a_loss_that_turns_out_late_is_told_as_late() -> None:
    book = Book(table(1))
    book.send(3)
    one = book.end()
    frame = book.close(one)
    assert frame.count("lost_unattributed").tolist() == [3]
    answer(book.sessions, range(3), late=True)
    book.send(1)
    answer(book.sessions, [3])
    frame = book.close(book.end())
    assert rows(frame) == [("link0", 0, 1), ("link0", 1, 0)]
    assert (frame.count("late")[0], frame.count("lost_unattributed")[0]) == (3, 0)


def test_a_revision_keeps_the_unfitness_and_time_of_its_window() -> None:
    book = Book(table(1))
    book.send(2)
    one = unfit(book.end(unfit_bits=1), Unfit.CLOCK_STEP)
    answer(book.sessions, [0])
    book.close(one)
    answer(book.sessions, [1], late=True)
    book.send(1)
    frame = book.close(book.end())
    assert frame.count("unfit").tolist() == [3, 0]


def test_copies_of_a_corrected_window_are_still_known() -> None:
    book = Book(table(1))
    book.send(3)
    first = book.end()
    take(book.sessions, Reply(0, 0, number=0), Reply(0, 0, number=0))
    book.close(first)
    answer(book.sessions, [1, 2], late=True)
    book.send(1)
    frame = book.close(book.end())
    assert frame.count("duplicate").tolist() == [1, 0]


def flows_of(book: Book, windows: int, unfit_bits: int = 0) -> list[Frame]:
    made = []
    for _ in range(windows):
        sent = int(book.sessions.next_seq[0])
        book.send(2)
        one = book.end(unfit_bits)
        for session in range(len(book.sessions)):
            answer(book.sessions, range(sent, sent + 2), session)
        frames = book.closings.close(one)[0]
        made += [frames["flow"]] if "flow" in frames else []
    return made


def test_flows_are_told_once_a_minute_and_add_up() -> None:
    sessions = table(4)
    book = Book(sessions, groups(sessions, of=[0, 1, 0, 1], flow=[0, 0, 1, 1]), 10 * NS_PER_S)
    minute_ns = 60 * NS_PER_S
    to_the_minute = (minute_ns - T0 % minute_ns) // (10 * NS_PER_S) or 6
    first, second = flows_of(book, to_the_minute + 6)
    assert first.count("sent").tolist() == [2 * to_the_minute] * 4
    assert second.count("sent").tolist() == second.count("replied").tolist() == [12] * 4
    assert second.text("link").tolist() == ["link0", "link1", "link0", "link1"]
    assert second.text("flow").tolist() == ["0", "0", "1", "1"]
    assert second.count("port").tolist() == [40_000, 40_001, 40_002, 40_003]
    assert set(second.count("length_ns").tolist()) == {minute_ns}
    assert (second.count("start_ns") % minute_ns == 0).all()
    assert second.real("rtt_min_us").tolist() == pytest.approx([4000] * 4, abs=0.01)


def test_flows_are_told_as_often_as_asked_and_at_the_end() -> None:
    sessions = table(2)
    made = groups(sessions, of=[0, 0], flow=[0, 1])
    book = Book(sessions, made)
    book.closings = Closings(sessions, made, flow_ns=2 * WINDOW)
    told = [frame.count("sent").tolist() for frame in flows_of(book, 4)]
    assert told == [[4, 4], [4, 4]]
    book.send(3)
    frames = book.closings.close(book.end(), last=True)[0]
    assert frames["flow"].count("sent").tolist() == [3, 3]
    assert frames["flow"].count("length_ns").tolist() == [WINDOW, WINDOW]


class TestLoss:
    """Flows of a link that loses are told with the window."""

    def book(self, links: int = 1) -> Book:
        sessions = table(2 * links)
        of = [link for link in range(links) for _ in (0, 1)]
        return Book(sessions, groups(sessions, of=of, flow=[0, 1] * links), 10 * NS_PER_S)

    def window(
        self, book: Book, lost: dict[int, int], packets: int = 4
    ) -> list[tuple[str, str, int, int, int]]:
        """(link, flow, first window, windows, lost) of what is told; lost: packets of each session."""
        sent = int(book.sessions.next_seq[0])
        book.send(packets)
        one = book.end()
        for session in range(len(book.sessions)):
            gone = range(sent, sent + lost.get(session, 0))
            answer(book.sessions, [seq for seq in range(sent, sent + packets) if seq not in gone], session)
        frame = book.closings.close(one)[0].get("flow")
        if frame is None:
            return []
        starts = (frame.count("start_ns") - T0) // (10 * NS_PER_S)
        ways = [frame.count(f"lost_{way}") for way in ("forward", "backward", "unattributed")]
        columns = (starts, frame.count("length_ns") // (10 * NS_PER_S), np.sum(ways, axis=0))
        names = (frame.text("link").tolist(), frame.text("flow").tolist())
        return list(zip(*names, *(each.tolist() for each in columns), strict=True))

    def test_all_flows_of_a_link_that_loses_are_told_with_their_window_and_what_went_before(self) -> None:
        book = self.book(links=2)
        assert self.window(book, {}) == []
        told = self.window(book, {1: 2})
        before = [("link0", "0", 0, 1, 0), ("link0", "1", 0, 1, 0)]
        assert told == [*before, ("link0", "0", 1, 1, 0), ("link0", "1", 1, 1, 2)]

    def test_each_packet_is_in_one_row_and_rows_follow_each_other(self) -> None:
        book, told = self.book(), []
        for window in range(14):
            told += self.window(book, {0: 1} if window in (1, 2, 7) else {})
        mine = [each for each in told if each[1] == "0"]
        assert sum(each[4] for each in mine) == 3
        ends = [first + windows for _, _, first, windows, _ in mine]
        assert [each[2] for each in mine] == [0, *ends[:-1]]

    def test_a_link_of_which_nothing_comes_back_waits_for_the_minute(self) -> None:
        book = self.book()
        assert self.window(book, {}) == []
        assert self.window(book, {0: 4, 1: 4}) == []
        assert book.closings.deferred == 0

    def test_one_that_goes_on_losing_waits_for_the_minute_after_a_while_counted(self) -> None:
        book = self.book()
        told = [len(self.window(book, {0: 1})) for _ in range(AT_ONCE_WINDOWS + 6)]
        assert set(told[:AT_ONCE_WINDOWS]) == {2}
        assert sorted(told[AT_ONCE_WINDOWS:])[:5] == [0] * 5
        assert book.closings.deferred == 6
        for _ in range(8):
            self.window(book, {})
        assert len(self.window(book, {0: 1})) >= 2

    def test_only_so_many_rows_are_told_at_once_those_that_told_least_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("probes.engine.closing.AT_ONCE_ROWS", 2)
        book = self.book(links=2)
        names = [{each[0] for each in self.window(book, {0: 1, 2: 1})} for _ in range(2)]
        assert names == [{"link0"}, {"link1"}]
        assert book.closings.deferred == 2


def test_links_of_a_single_flow_tell_none() -> None:
    assert flows_of(Book(table(2), length_ns=10 * NS_PER_S), 13) == []


def test_what_an_unfit_agent_lost_is_no_loss_of_a_flow() -> None:
    sessions = table(2)
    book = Book(sessions, groups(sessions, of=[0, 0], flow=[0, 1]), 10 * NS_PER_S)
    first = flows_of(book, (60 * NS_PER_S - T0 % (60 * NS_PER_S)) // (10 * NS_PER_S) or 6)
    assert len(first) == 1
    (frame,) = [*flows_of(book, 2, unfit_bits=4), *flows_of(book, 4)]
    assert frame.count("sent").tolist() == [8, 8]
    (frame,) = flows_of(book, 6, unfit_bits=4)
    assert frame.rows == 0


def test_a_flow_that_sent_nothing_is_left_out() -> None:
    sessions = table(2)
    book = Book(sessions, groups(sessions, of=[0, 0], flow=[0, 1]), 60 * NS_PER_S)
    sessions.sent(1, 2, T0)
    frame = book.closings.close(book.end())[0]["flow"]
    assert frame.text("flow").tolist() == ["1"]
    assert frame.count("lost_unattributed").tolist() == [1]


def test_without_sessions_windows_are_empty() -> None:
    book = Book(table(0))
    assert book.close(book.end()).rows == 0
    assert book.close(book.end()).rows == 0
