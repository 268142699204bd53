"""The delay line against a slow twin: order, due times, bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.delay_line import DelayLine

_DELAYS_NS = (0, 300, 2_000)
_ARRIVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5_000)), max_size=60)


def _drain(line: DelayLine, now_ns: int) -> list[tuple[int, int, bytes]]:
    out = []
    while (item := line.pop(now_ns)) is not None:
        out.append(item)
    return out


def _twin(arrivals: list[tuple[int, int]]) -> list[tuple[int, int, bytes]]:
    """Every frame with the due time that the contract gives it, by due time and then by arrival."""
    last = [0, 0, 0]
    out = []
    for number, (lane, arrival_ns) in enumerate(arrivals):
        last[lane] = max(last[lane], arrival_ns + _DELAYS_NS[lane])
        out.append((last[lane], lane, str(number).encode()))
    return sorted(out, key=lambda item: (item[0], int(item[2])))


@given(_ARRIVALS)
def test_everything_leaves_at_its_due_time_in_order(arrivals: list[tuple[int, int]]) -> None:
    line = DelayLine(_DELAYS_NS, limit=1000)
    assert all(line.push(lane, t, str(i).encode()) for i, (lane, t) in enumerate(arrivals))
    assert _drain(line, 10**9) == _twin(arrivals)
    assert len(line) == 0
    assert line.dropped == 0


@given(_ARRIVALS)
def test_a_lane_keeps_its_order_even_when_stamps_run_backwards(arrivals: list[tuple[int, int]]) -> None:
    line = DelayLine(_DELAYS_NS, limit=1000)
    for number, (lane, arrival_ns) in enumerate(arrivals):
        line.push(lane, arrival_ns, str(number).encode())
    left: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for _, lane, frame in _drain(line, 10**9):
        left[lane].append(int(frame))
    assert all(numbers == sorted(numbers) for numbers in left.values())


@given(_ARRIVALS, st.integers(0, 8_000))
def test_nothing_leaves_early_and_nothing_due_stays(arrivals: list[tuple[int, int]], now_ns: int) -> None:
    line = DelayLine(_DELAYS_NS, limit=1000)
    for lane, arrival_ns in arrivals:
        line.push(lane, arrival_ns, b"x")
    assert all(due_ns <= now_ns for due_ns, _, _ in _drain(line, now_ns))
    assert line.next_due_ns is None or line.next_due_ns > now_ns


@given(_ARRIVALS, st.integers(1, 10))
def test_a_full_lane_refuses_and_counts_and_others_do_not(
    arrivals: list[tuple[int, int]], limit: int
) -> None:
    line = DelayLine(_DELAYS_NS, limit)
    taken = [0, 0, 0]
    for lane, arrival_ns in arrivals:
        accepted = line.push(lane, arrival_ns, b"x")
        assert accepted == (taken[lane] < limit)
        taken[lane] += accepted
    assert len(line) == sum(taken)
    assert line.dropped == len(arrivals) - sum(taken)


def test_a_lane_has_room_again_after_a_frame_left() -> None:
    line = DelayLine((100,), limit=1)
    assert line.push(0, 0, b"a")
    assert not line.push(0, 1, b"b")
    assert line.pop(100) == (100, 0, b"a")
    assert line.push(0, 200, b"c")
    assert line.next_due_ns == 300
