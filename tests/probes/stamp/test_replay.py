"""The replay window against a set that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.replay import WIDTH, ReplayWindow

SPAN = 1 << 32


@given(st.integers(0, SPAN - 1), st.lists(st.integers(-WIDTH - 20, 2 * WIDTH), max_size=60))
def test_each_number_is_taken_once_and_none_behind_the_window(first: int, steps: list[int]) -> None:
    window = ReplayWindow()
    seen = {0}
    assert window.take(3, first)
    at = 0  # numbers as the twin counts them, without wrap
    for step in steps:
        number, newest = max(at + step, -WIDTH * 3), max(seen)
        fresh = number not in seen and number > newest - WIDTH
        assert window.take(3, (first + number) % SPAN) == fresh
        if fresh:
            seen.add(number)
        at = max(seen) if step % 3 else number


def test_sessions_have_windows_of_their_own_and_a_new_one_begins_anew() -> None:
    window = ReplayWindow()
    assert window.take(0, 5)
    assert window.take(1, 5)
    assert not window.take(0, 5)
    window.forget(0)
    assert window.take(0, 5)
    assert not window.take(1, 5)
