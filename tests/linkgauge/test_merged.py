"""Merging by group against merging one by one, and order statistics against sorted samples."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.frame import Histograms
from linkgauge.histogram import Histogram, merge
from linkgauge.merged import Merged

SAMPLES = st.lists(st.floats(-1e12, 1e12), max_size=8)
GROUPS = 4


@given(st.lists(st.tuples(st.integers(0, GROUPS - 1), SAMPLES, st.booleans()), max_size=12), st.floats(0, 1))
def test_every_group_is_the_merger_of_its_rows(rows: list[tuple[int, list[float], bool]], q: float) -> None:
    column = [Histogram.of(np.array(samples)) for _, samples, _ in rows]
    chosen = np.array([at for at, (_, _, use) in enumerate(rows) if use], np.intp)
    group = np.array([rows[at][0] for at in chosen], np.intp)
    merged = Merged.of(Histograms.of(column), chosen, group, GROUPS)
    for each in range(GROUPS):
        single = merge([column[at] for at in chosen[group == each]])
        assert merged.samples[each] == single.total
        told, wanted = float(merged.quantile_ns(q)[each]), single.quantile(q)
        assert told == wanted or (math.isnan(told) and math.isnan(wanted))


def test_a_rank_that_no_sample_has_is_unknown() -> None:
    column = Histograms.of([Histogram.of(np.array([1e6, 2e6]))])
    merged = Merged.of(column, np.array([0]), np.array([0]), 1)
    ranked = [float(merged.ranked_ns(np.array([rank]))[0]) for rank in range(4)]
    assert [math.isnan(each) for each in ranked] == [True, False, False, True]
    assert abs(ranked[1] / 1e6 - 1) <= 0.01
    assert abs(ranked[2] / 2e6 - 1) <= 0.01
    assert math.isnan(float(merged.quantile_ns(0.5, least=3)[0]))
