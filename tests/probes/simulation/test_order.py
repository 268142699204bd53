"""Reordering against a slow twin that takes the replies one by one (RFC 4737 sections 3.3 and 4.2)."""

from __future__ import annotations

import numpy as np

from tests.probes.simulation.course import WINDOW_TICKS
from tests.probes.simulation.runs import Run
from tests.probes.simulation.truth import NEVER_NS, reordering

GROUPS = 8


def test_reordered_packets_and_their_extent_are_those_of_a_slow_twin(each_run: Run) -> None:
    course, truth, told = each_run.course, each_run.truth, each_run.told
    windows = np.arange(course.ticks) // WINDOW_TICKS
    for group in range(GROUPS):
        count, most = np.zeros(course.windows, np.int64), np.zeros(course.windows, np.int64)
        for session in (2 * group, 2 * group + 1):
            mine = slice(session, None, course.sessions)
            came_ns = np.where((truth.replied | truth.late)[mine], truth.first_ns[mine], NEVER_NS)
            late, extent = reordering(came_ns)
            count += np.bincount(windows[late], minlength=course.windows)
            np.maximum.at(most, windows, extent)
        assert told.counts("reordered")[:, group].tolist() == count.tolist()
        assert told.counts("reorder_extent_max")[:, group].tolist() == most.tolist()
    overtaken = int(told.counts("reordered").sum())
    assert (overtaken > 1_000) == bool(course.backward.reorder or course.forward.reorder)


def test_packets_in_order_are_none_of_them(each_run: Run) -> None:
    if not each_run.course.forward.jitter_ns:
        assert not each_run.told.counts("reordered").any()
        assert not each_run.told.counts("reorder_extent_max").any()
