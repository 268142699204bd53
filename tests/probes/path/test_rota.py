"""Every flow of every link and class has its turn."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from probes.path.rota import Rota

COUNT = st.integers(1, 7)


def test_the_first_class_comes_each_round_and_the_others_in_turn() -> None:
    rota = Rota(["l", "m"], [0, 34, 46], flows=4, sample=2)
    assert rota.next(100) == [("l", 0, 0), ("m", 0, 0), ("l", 0, 1), ("m", 0, 1), ("l", 34, 0), ("m", 34, 0)]
    assert rota.next(100) == [("l", 0, 2), ("m", 0, 2), ("l", 0, 3), ("m", 0, 3), ("l", 46, 0), ("m", 46, 0)]
    assert rota.postponed == 0


@given(links=COUNT, classes=COUNT, flows=COUNT, sample=COUNT, most=st.integers(2, 60))
def test_all_are_covered_in_time(links: int, classes: int, flows: int, sample: int, most: int) -> None:
    names = [f"l{at}" for at in range(links)]
    rota = Rota(names, list(range(classes)), flows, sample)
    seen: Counter[tuple[str, int, int]] = Counter()
    while len(seen) < links * classes * flows:
        flow_round = rota.next(most)
        assert 0 < len(flow_round) <= most
        assert len(set(flow_round)) == len(flow_round)
        seen.update(flow_round)
        assert sum(seen.values()) < 100 * links * classes * flows * max(flows, classes)


def test_what_does_not_fit_is_counted_and_comes_next() -> None:
    rota = Rota(["l", "m", "n"], [0], flows=1, sample=4)
    assert rota.next(2) == [("l", 0, 0), ("m", 0, 0)]
    assert rota.next(2) == [("n", 0, 0), ("l", 0, 0)]
    assert rota.postponed == 2
