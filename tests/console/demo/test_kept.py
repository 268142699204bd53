"""Counting what the stores hold: every kind of loss and doubling is found."""

from __future__ import annotations

import pytest

from console.demo.kept import compare_batches, count_windows, revision_by_window
from console.demo.summary import timestamp, within_tolerance
from linkgauge.frame import Frame
from linkgauge.schema import WINDOW


def key(agent: str, number: int, link: str, start: int) -> tuple[str, str, int, str, str, str, int]:
    return (agent, "boot", number, link, "stamp", "0", start)


PRODUCED = {"a": {("boot", 1): 2, ("boot", 2): 1}}
WHOLE = [key("a", 1, "a>b@n", 10), key("a", 1, "a>c@n", 10), key("a", 2, "a>b@n", 20)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(WHOLE, (0, 0), id="whole"),
        pytest.param(WHOLE[:2], (1, 0), id="a batch is missing"),
        pytest.param(WHOLE[1:], (1, 0), id="a row is missing"),
        pytest.param([*WHOLE, WHOLE[0]], (0, 1), id="a row is double"),
        pytest.param([*WHOLE, key("a", 2, "a>c@n", 20)], (0, 1), id="a batch has a row too many"),
        pytest.param([*WHOLE, key("a", 3, "a>b@n", 30)], (0, 1), id="a batch that nobody produced"),
        pytest.param([], (3, 0), id="nothing"),
    ],
)
def test_batches_are_compared_row_by_row(rows: list[tuple[object, ...]], expected: tuple[int, int]) -> None:
    assert compare_batches(PRODUCED, {"window": rows}) == expected


@pytest.mark.parametrize(
    ("again", "revision", "expected"),
    [(0, 0, (0, 0)), (1, 1, (1, 0)), (2, 2, (2, 0)), (1, 0, (0, 1)), (3, 1, (1, 2))],
)
def test_a_revision_is_no_double_and_a_double_no_revision(
    again: int, revision: int, expected: tuple[int, int]
) -> None:
    rows = [*WHOLE, *(key("a", 7 + number, "a>b@n", 10) for number in range(again))]
    row = {"link": ["a>b@n"], "probe": ["stamp"], "class": ["0"], "start_ns": [10], "revision": [revision]}
    known = revision_by_window(Frame.of(WINDOW, row))
    assert known == {("a>b@n", "stamp", "0", 10): revision}
    distinct, revisions, twice = count_windows(rows, known)
    assert len(distinct) == 3
    assert (revisions, twice) == expected


@pytest.mark.parametrize(
    ("rtt_us", "true_us", "good"),
    [(600, 300, True), (799, 300, True), (801, 300, False), (33_000, 15_000, True), (33_100, 15_000, False),
     (None, 300, False), (150, 0, True), (201, 0, False)],
)  # fmt: skip
def test_tolerance_is_ten_percent_or_200_us(rtt_us: float | None, true_us: float, good: bool) -> None:
    assert within_tolerance(rtt_us, true_us) is good


def test_timestamps_are_utc_with_milliseconds() -> None:
    assert timestamp(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"
