"""Counts of windows against what the links did, packet by packet: a million packets, none miscounted."""

from __future__ import annotations

import numpy as np

from probes.stamp.fate import Fates
from tests.probes.simulation.runs import COURSES, Run


def test_the_courses_are_a_million_packets() -> None:
    assert sum(course.packets for course in COURSES.values()) >= 1_000_000


def test_every_count_is_the_truth(each_run: Run) -> None:
    truth, told = each_run.truth, each_run.told
    for name, mask in (
        ("sent", ~truth.failed),
        ("replied", truth.replied),
        ("late", truth.late),
        ("refused", truth.refused),
        ("send_failed", truth.failed),
        ("duplicate", truth.copies),
        ("duplicate_forward", truth.copies_forward),
        ("duplicate_backward", truth.copies - truth.copies_forward),
    ):
        assert np.array_equal(told.counts(name), truth.table(mask)), name
    lost = sum(told.counts(f"lost_{way}") for way in ("forward", "backward", "unattributed"))
    assert np.array_equal(lost, truth.table(truth.lost))
    assert not told.counts("missed").any()
    assert not told.sessions.discarded.any()


def test_windows_add_up_to_the_whole(each_run: Run) -> None:
    truth, told = each_run.truth, each_run.told
    parts = ("replied", "late", "refused", "lost_forward", "lost_backward", "lost_unattributed")
    assert sum(int(told.counts(name).sum()) for name in parts) == int(told.counts("sent").sum())
    whole = each_run.course.packets - int(truth.failed.sum())
    assert int(told.counts("sent").sum()) == whole


def test_every_packet_is_in_one_window_and_has_one_fate(each_run: Run) -> None:
    seen = np.zeros(each_run.course.packets, np.int64)
    for report in each_run.told.reports:
        fates = report.fates
        inside = fates.inside
        fate = _fates_of(fates)[inside]
        assert (fate == 1).all()
        packet = (fates.seq - each_run.course.first_seq) * each_run.course.sessions + fates.session
        seen += np.bincount(packet[inside], minlength=len(seen))
        assert ((fates.direction > 0) == fates.lost)[inside].all()
    assert (seen == 1).all()


def _fates_of(fates: Fates) -> np.typing.NDArray[np.int64]:
    """How many fates each packet has."""
    each = (fates.seen & ~fates.late, fates.late, fates.refused, fates.failed, fates.lost)
    made: np.typing.NDArray[np.int64] = np.sum(each, axis=0, dtype=np.int64)
    return made


def test_loss_ratios_follow_from_the_counts(each_run: Run) -> None:
    truth, told = each_run.truth, each_run.told
    tried = truth.table(~truth.failed & ~truth.refused)
    assert np.allclose(told.table("loss_ratio"), truth.table(truth.lost) / tried, atol=1e-12)
    known = told.counts("lost_unattributed") == 0
    forward = told.counts("lost_forward")
    ratio = told.table("loss_forward_ratio")
    assert np.isnan(ratio[~known]).all()
    assert np.allclose(ratio[known], (forward / tried)[known], atol=1e-12)
    back = told.counts("lost_backward") / (tried - forward)
    assert np.allclose(told.table("loss_backward_ratio")[known], back[known], atol=1e-12)
