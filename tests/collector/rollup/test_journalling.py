"""Rows on their way into the journal: cut into batches that every reader takes, numbered once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.cut import cut
from collector.rollup.journalling import Journalling
from collector.rollup.merge import roll_up
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame, concat
from linkgauge.schema import WINDOW_5M
from linkgauge.wire import MAX_BODY_BYTES, Batch, decode, encode
from tests.collector.rollup.windows import T0_NS, WINDOWS, Sampled, alike, frame_of
from tests.collector.world import StillClock


def _rolled(count: int) -> Frame:
    windows = [Sampled(T0_NS, (1e6, 2e6, 3e6), link=f"a>b{at}@n") for at in range(count)]
    return roll_up(frame_of(windows), WINDOW_5M)


@settings(max_examples=30)
@given(WINDOWS, st.integers(1, 30), st.integers(1, 5000))
def test_parts_are_the_rows_in_order_and_within_the_bounds(
    windows: list[Sampled], max_rows: int, max_octets: int
) -> None:
    frame = roll_up(frame_of(windows), WINDOW_5M)
    parts = list(cut(frame, max_rows, max_octets))
    assert alike(concat(WINDOW_5M, parts), frame)
    assert all(0 < part.rows <= max_rows for part in parts)
    for part in parts:
        octets = len(encode(Batch("@collector", "b", 1, T0_NS, {"window_5m": part})))
        assert part.rows == 1 or octets < max_octets + 3000, "names of columns are not counted"


def test_the_most_that_a_batch_may_hold_can_be_read() -> None:
    values = np.concatenate([-np.geomspace(1, 1e12, 1200), np.geomspace(1, 1e12, 1200)])
    wide = roll_up(frame_of([Sampled(T0_NS, (1e6,), tuple(values))]), WINDOW_5M)
    rows = wide.take(np.zeros(2000, np.int64))
    parts = list(cut(rows))
    assert len(parts) > 1
    for part in parts:
        body = encode(Batch("@collector", "b", 1, T0_NS, {"window_5m": part}))
        assert len(body) < MAX_BODY_BYTES
        assert decode(body).rows == part.rows


def test_each_batch_has_a_number_of_its_own_and_each_life_a_boot() -> None:
    kept: list[Batch] = []
    for _ in range(2):
        journalling = Journalling(kept.append, StillClock(T0_NS + NS_PER_S))
        for _ in range(2):
            journalling.put(_rolled(3))
    names = {(batch.agent, batch.boot, batch.number) for batch in kept}
    assert len(names) == len(kept) == 4
    assert {batch.agent for batch in kept} == {"@collector"}
    assert len({batch.boot for batch in kept}) == 2
    assert [batch.rows for batch in kept] == [3] * 4


def test_nothing_is_no_batch() -> None:
    kept: list[Batch] = []
    Journalling(kept.append, StillClock()).put(roll_up(frame_of([]), WINDOW_5M))
    assert kept == []
