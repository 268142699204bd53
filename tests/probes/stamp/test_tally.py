"""What flows contributed over several windows equals the sum of the windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.fate import gather
from probes.stamp.sessions import Sessions
from probes.stamp.tally import Tally
from tests.probes.stamp.table import MS, T0, WINDOW, Reply, send, span, table, take
from tests.probes.stamp.test_fate import ANY, BACKWARD, FAILED, FORWARD, LATE, REPLIED, UNREACHABLE, play


def add(tally: Tally, sessions: Sessions, first: int, end: int, start_ns: int = T0, unfit: int = 0) -> None:
    n = len(sessions)
    fates = gather(sessions, np.full(n, first), np.full(n, end), np.ones(n, np.bool_), np.arange(n))
    tally.add(sessions, fates, span(sessions, first, end, start_ns=start_ns, unfit=unfit))


@given(st.lists(st.lists(st.sampled_from(ANY), min_size=12, max_size=12), min_size=1, max_size=3), st.data())
def test_windows_add_up(each: list[list[str]], data: st.DataObject) -> None:
    each = [[REPLIED, *fates, REPLIED] for fates in each]
    sessions = table(len(each))
    play(sessions, each)
    cut = data.draw(st.integers(0, 14))
    tally = Tally.empty(len(each))
    add(tally, sessions, 0, cut)
    add(tally, sessions, cut, 14)
    made = tally.columns()
    for row, fates in enumerate(each):
        assert made["sent"][row] == len(fates) - fates.count(FAILED)
        assert made["replied"][row] == fates.count(REPLIED) + fates.count(LATE)
        lost = sum(made[f"lost_{way}"][row] for way in ("forward", "backward", "unattributed"))
        assert lost == sum(fates.count(what) for what in (FORWARD, BACKWARD, UNREACHABLE))
        assert made["lost_unattributed"][row] == 0


def test_delay_is_of_all_packets_with_a_reply_in_time() -> None:
    sessions = table(2)
    send(sessions, 4)
    take(sessions, Reply(0, 0, back_ns=MS), Reply(0, 1, back_ns=2 * MS), Reply(0, 3, back_ns=6 * MS))
    tally = Tally.empty(2)
    add(tally, sessions, 0, 2)
    add(tally, sessions, 2, 4)
    made = tally.columns()
    assert made["rtt_mean_us"].tolist() == pytest.approx([6000, np.nan], abs=0.01, nan_ok=True)
    assert made["rtt_min_us"].tolist() == pytest.approx([4000, np.nan], abs=0.01, nan_ok=True)


def test_it_begins_with_its_first_window() -> None:
    sessions = table(1)
    send(sessions, 2)
    tally = Tally.empty(1)
    add(tally, sessions, 0, 1, T0)
    add(tally, sessions, 1, 2, T0 + WINDOW)
    assert tally.start_ns == T0


def test_nothing_added() -> None:
    made = Tally.empty(2).columns()
    assert made["sent"].tolist() == [0, 0]
    assert np.isnan(made["rtt_mean_us"].astype(float)).all()
