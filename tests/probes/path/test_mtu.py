"""The search for the MTU finds the truth whatever it is and whatever routers claim."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.path.mtu import CEILING, COPIES, MtuSearch, headers_bytes

FLOOR = 44 + headers_bytes(v6=False)
MTUS = st.integers(FLOOR, CEILING)


def run(search: MtuSearch, mtu: int, beyond: Callable[[MtuSearch], None]) -> int:
    """Play the network: sizes up to mtu pass, `beyond` tells what happens above; returns the steps taken."""
    steps = 0
    while not search.done:
        steps += 1
        assert steps < 64, "the search does not end"
        assert FLOOR <= search.size <= CEILING
        search.passed() if search.size <= mtu else beyond(search)
    return steps


@given(mtu=MTUS, known=st.one_of(st.just(0), MTUS))
def test_any_mtu_is_found_in_a_black_hole(mtu: int, known: int) -> None:
    search = MtuSearch(FLOOR, known)
    run(search, mtu, MtuSearch.silent)
    assert search.mtu == mtu


@given(mtu=MTUS, known=st.one_of(st.just(0), MTUS), claims=st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_any_mtu_is_found_whatever_routers_claim(mtu: int, known: int, claims: list[int]) -> None:
    search = MtuSearch(FLOOR, known)
    told = iter(claims)
    run(search, mtu, lambda s: s.too_big(next(told, 0)))
    assert search.mtu == mtu


@given(mtu=MTUS)
def test_a_router_that_tells_the_truth_is_believed_soon(mtu: int) -> None:
    search = MtuSearch(FLOOR)
    assert run(search, mtu, lambda s: s.too_big(mtu)) <= 5
    assert search.mtu == mtu


@given(mtu=MTUS)
def test_a_known_mtu_that_still_passes_costs_one_packet(mtu: int) -> None:
    search = MtuSearch(FLOOR, mtu, thorough=False)
    if not search.done:
        assert search.copies == 1
        search.passed()
    assert search.mtu == mtu


@given(mtu=MTUS, known=MTUS)
def test_a_check_sees_a_cut(mtu: int, known: int) -> None:
    search = MtuSearch(FLOOR, known, thorough=False)
    run(search, mtu, MtuSearch.silent)
    assert search.mtu == min(mtu, known)


def test_one_lost_packet_is_no_cut() -> None:
    search = MtuSearch(FLOOR, 1500, thorough=False)
    search.silent()
    assert not search.done
    assert search.copies == COPIES
    search.passed()
    assert search.mtu == 1500


@pytest.mark.parametrize("dies_after", range(9))
def test_a_way_that_dies_meanwhile_gives_no_mtu(dies_after: int) -> None:
    search, steps = MtuSearch(FLOOR), 0
    while not search.done:
        search.passed() if search.size <= 1400 and steps < dies_after else search.silent()
        steps += 1
    assert search.mtu is None
