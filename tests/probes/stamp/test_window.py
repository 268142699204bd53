"""Rows of a window: counts by fate and direction, ratios, classes, and which groups are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.frame import Frame
from probes.stamp.sessions import Sessions
from probes.stamp.window import report
from tests.probes.stamp.table import MS, T0, WINDOW, Reply, groups, send, span, table, take
from tests.probes.stamp.test_fate import (
    ANY,
    BACKWARD,
    FAILED,
    FORWARD,
    LATE,
    REFUSED,
    REPLIED,
    UNREACHABLE,
    play,
)  # fmt: skip


def counts(frame: Frame, row: int = 0) -> dict[str, int]:
    """Counts of packets that are not 0."""
    names = (
        "sent", "replied", "late", "lost_forward", "lost_backward", "lost_unattributed", "refused",
        "unreachable", "send_failed", "missed", "duplicate",
    )  # fmt: skip
    return {name: int(frame.count(name)[row]) for name in names if frame.count(name)[row]}


def shown(sessions: Sessions, **more: Any) -> Frame:
    return report(sessions, groups(sessions, **more), span(sessions)).frame


def test_a_row_has_its_names_time_and_what_the_agent_noted() -> None:
    sessions = table(2)
    play(sessions, [[REPLIED], [REPLIED]])
    noted = span(sessions, unfit=5)
    frame = report(sessions, groups(sessions, dscp=46), noted, revision=3).frame
    assert frame.text("link").tolist() == ["link0", "link1"]
    assert frame.text("probe").tolist() == ["stamp"] * 2
    assert frame.text("class").tolist() == ["46"] * 2
    for name, value in (
        ("start_ns", T0),
        ("length_ns", WINDOW),
        ("unfit", 5),
        ("under_test", 0),
        ("revision", 3),
    ):
        assert frame.count(name).tolist() == [value] * 2


def test_each_fate_has_its_count() -> None:
    sessions = table(1)
    play(sessions, [[REPLIED, LATE, REFUSED, FAILED, UNREACHABLE, FORWARD, REPLIED, BACKWARD, REPLIED]])
    frame = shown(sessions)
    assert counts(frame) == {
        "sent": 8, "replied": 3, "late": 1, "lost_forward": 2, "lost_backward": 1, "refused": 1,
        "unreachable": 1, "send_failed": 1,
    }  # fmt: skip
    assert frame.real("loss_ratio").tolist() == pytest.approx([3 / 7])
    assert frame.real("loss_forward_ratio").tolist() == pytest.approx([2 / 7])
    assert frame.real("loss_backward_ratio").tolist() == pytest.approx([1 / 5])


@given(st.lists(st.lists(st.sampled_from(ANY), min_size=1, max_size=12), min_size=1, max_size=5), st.data())
def test_nothing_is_counted_twice_or_not_at_all(each: list[list[str]], data: st.DataObject) -> None:
    length = max(len(fates) for fates in each)
    each = [[REPLIED, *fates, *[REPLIED] * (length - len(fates) + 1)] for fates in each]
    of = [data.draw(st.integers(0, 2)) for _ in each]
    sessions = table(len(each))
    play(sessions, each)
    frame = shown(sessions, of=of)
    for row, group in enumerate(sorted(set(of))):
        mine = [one for fates, at in zip(each, of, strict=True) if at == group for one in fates]
        expected = {
            "sent": len(mine) - mine.count(FAILED),
            "replied": mine.count(REPLIED),
            "late": mine.count(LATE),
            "refused": mine.count(REFUSED),
            "unreachable": mine.count(UNREACHABLE),
            "send_failed": mine.count(FAILED),
            "lost_forward": mine.count(FORWARD) + mine.count(UNREACHABLE),
            "lost_backward": mine.count(BACKWARD),
        }
        assert counts(frame, row) == {name: count for name, count in expected.items() if count}
        parts = ("replied", "late", "lost_forward", "lost_backward", "lost_unattributed", "refused")
        assert sum(int(frame.count(name)[row]) for name in parts) == frame.count("sent")[row]


def test_where_nobody_listens_all_packets_are_refused_and_none_is_lost() -> None:
    sessions = table(2)
    play(sessions, [[REFUSED] + [FORWARD] * 9, [REFUSED] + [FORWARD] * 8 + [REPLIED]])
    frame = shown(sessions)
    assert counts(frame) == {"sent": 10, "refused": 10}
    assert np.isnan(frame.real("loss_ratio")[0])
    assert counts(frame, 1) == {"sent": 10, "refused": 9, "replied": 1}
    assert frame.real("loss_ratio")[1] == 0


def test_loss_without_direction_has_a_ratio_but_none_for_each_way() -> None:
    sessions = table(1)
    play(sessions, [[FORWARD] * 3])
    frame = shown(sessions)
    assert counts(frame) == {"sent": 3, "lost_unattributed": 3}
    assert frame.real("loss_ratio").tolist() == [1]
    assert np.isnan(frame.real("loss_forward_ratio")).all()
    assert np.isnan(frame.real("loss_backward_ratio")).all()


def test_groups_that_were_not_due_have_no_row_and_missed_slots_make_one() -> None:
    sessions = table(3)
    sessions.sent(1, 2, T0)
    sessions.missed[2] = 4
    made = report(sessions, groups(sessions), span(sessions))
    assert made.frame.text("link").tolist() == ["link1", "link2"]
    assert made.shown.tolist() == [False, True, True]
    assert counts(made.frame, 1) == {"missed": 4}
    assert np.isnan(made.frame.real("loss_ratio")[1])


def test_only_the_groups_asked_for() -> None:
    sessions = table(3)
    play(sessions, [[REPLIED, FORWARD, REPLIED]] * 3)
    made = report(sessions, groups(sessions), span(sessions), np.array([False, True, False]), revision=1)
    assert made.frame.text("link").tolist() == ["link1"]
    whole = report(sessions, groups(sessions), span(sessions)).frame
    assert counts(made.frame) == counts(whole, 1)
    for name in ("rtt_p50_us", "forward_p50_us", "loss_ratio", "hops_forward"):
        assert made.frame.real(name)[0] == pytest.approx(whole.real(name)[1], nan_ok=True)


def test_flows_of_a_link_make_one_row() -> None:
    sessions = table(4)
    play(sessions, [[REPLIED, FORWARD, REPLIED], [REPLIED] * 3, [REPLIED] * 3, [REPLIED, BACKWARD, REPLIED]])
    frame = shown(sessions, of=[0, 1, 0, 1], flow=[0, 0, 1, 1])
    assert counts(frame, 0) == {"sent": 6, "replied": 5, "lost_forward": 1}
    assert counts(frame, 1) == {"sent": 6, "replied": 5, "lost_backward": 1}


def test_the_gap_between_classes_is_to_the_first_one() -> None:
    sessions = table(3)
    send(sessions, 1)
    take(sessions, Reply(0, 0), Reply(1, 0, back_ns=4 * MS), Reply(2, 0))
    frame = shown(sessions, first_class=[0, 0, 2])
    assert frame.real("class_gap_us").tolist() == pytest.approx([np.nan, 1000, np.nan], abs=0.01, nan_ok=True)


def test_reordering_and_its_extent() -> None:
    sessions = table(1)
    send(sessions, 5)
    back = {0: 47 * MS, 3: 15 * MS}
    take(sessions, *(Reply(0, seq, number=seq, back_ns=back.get(seq, MS)) for seq in range(5)))
    frame = shown(sessions)
    assert frame.count("reordered").tolist() == [2]
    assert frame.count("reorder_extent_max").tolist() == [4]


def test_copies_count_in_the_window_of_their_packet() -> None:
    sessions = table(1)
    send(sessions, 4)
    take(sessions, *(Reply(0, seq, number=n) for n, seq in enumerate((0, 0, 1, 2, 3, 3, 3))))
    frames = [report(sessions, groups(sessions), span(sessions, *two)).frame for two in ((0, 2), (2, 4))]
    assert [int(frame.count("duplicate")[0]) for frame in frames] == [1, 2]
    assert [int(frame.count("duplicate_forward")[0]) for frame in frames] == [1, 2]


def test_a_far_end_that_is_stateless_loses_in_no_direction() -> None:
    sessions = table(1)
    play(sessions, [[REPLIED, FORWARD, BACKWARD, REPLIED]])
    frame = shown(sessions, stateful=False)
    assert counts(frame) == {"sent": 4, "replied": 2, "lost_unattributed": 2}
    assert frame.real("loss_ratio").tolist() == [0.5]


def test_losses_whose_direction_is_not_known_are_told_of() -> None:
    sessions = table(2)
    play(sessions, [[REPLIED, REPLIED, FORWARD], [REPLIED] * 3])
    assert report(sessions, groups(sessions), span(sessions)).unattributed.tolist() == [True, False]


def test_no_sessions() -> None:
    sessions = table(0)
    made = report(sessions, groups(sessions), span(sessions))
    assert made.frame.rows == 0
