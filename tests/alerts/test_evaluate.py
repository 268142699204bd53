"""Hold, clear, silence and memory of the evaluation; and the columns against a slow scalar twin."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.evaluate import SILENT_WINDOWS, Evaluator
from alerts.event import Fired, Resolved
from alerts.rule import load_rules
from linkgauge.frame import Frame, concat
from linkgauge.model import DelayBasis
from linkgauge.schema import STATE
from tests.alerts.world import FIRST_NS, NAN, WINDOW_NS, lossy, rule, series, slow, spec, specs, state

BAD, OK = 0.13, -0.001


def changes(excesses: Sequence[float], evaluator: Evaluator | None = None) -> list[tuple[int, str]]:
    """Windows in which the loss alert of one link began or ended."""
    evaluator = evaluator or Evaluator([rule("link-loss")], [spec()])
    return [
        (at, type(event).__name__.lower())
        for at, frame in enumerate(series(excesses))
        for event in evaluator.step(frame)
    ]


@pytest.mark.parametrize(
    ("excesses", "expected"),
    [
        ([OK, BAD, OK, BAD, OK], []),
        ([OK, BAD, BAD, BAD], [(2, "fired")]),
        ([BAD, BAD, OK, BAD, OK, OK, OK], [(1, "fired"), (5, "resolved")]),
        ([BAD, NAN, BAD], [(2, "fired")]),
        ([BAD, NAN, OK, NAN, BAD], []),
        ([BAD, *[NAN] * SILENT_WINDOWS, BAD], [(SILENT_WINDOWS + 1, "fired")]),
        ([BAD, *[NAN] * (SILENT_WINDOWS + 1), BAD], []),
        ([BAD, BAD, *[NAN] * 20, OK, NAN, OK], [(1, "fired"), (24, "resolved")]),
        ([BAD, BAD, OK, *[NAN] * 20, OK], [(1, "fired"), (23, "resolved")]),
        ([BAD, BAD, OK, *[NAN] * 20, BAD, OK], [(1, "fired")]),
        ([BAD, BAD, OK, OK, BAD, BAD], [(1, "fired"), (3, "resolved"), (5, "fired")]),
        ([0.0, 0.0], []),
    ],
)
def test_hold_clear_and_silence(excesses: list[float], expected: list[tuple[int, str]]) -> None:
    assert changes(excesses) == expected


def test_what_an_alert_says() -> None:
    evaluator = Evaluator(load_rules(), [spec()])
    events = [event for frame in series([OK, BAD, BAD]) for event in evaluator.step(frame)]
    (fired,) = events
    assert isinstance(fired, Fired)
    assert fired.id == "link-loss/jinan-1>guiyang-1@backbone/forward"
    assert fired.since_ns == FIRST_NS + WINDOW_NS
    assert fired.at_ns == FIRST_NS + 3 * WINDOW_NS
    assert fired.summary == (
        "20.4 % of packets lost from jinan-1 to guiyang-1 on backbone (at least 13.1 % with 99 % "
        "confidence), objective 0.1 %, since 12:03:10 UTC"
    )
    assert fired.labels == {
        "rule": "link-loss", "severity": "page", "direction": "forward",
        "link": "jinan-1>guiyang-1@backbone", "src": "jinan-1", "dst": "guiyang-1", "src_site": "jinan",
        "dst_site": "guiyang", "src_region": "east", "dst_region": "west", "network": "backbone",
        "tier": "hub",
    }  # fmt: skip
    assert fired.numbers["loss_ratio"] == 0.204


def test_what_an_alert_says_when_it_is_over() -> None:
    evaluator = Evaluator([rule("link-loss")], [spec()])
    fired, resolved = (event for frame in series([BAD, BAD, OK, OK]) for event in evaluator.step(frame))
    assert isinstance(resolved, Resolved)
    assert (resolved.fired, resolved.id, resolved.at_ns) == (fired, fired.id, FIRST_NS + 4 * WINDOW_NS)
    assert resolved.summary == (
        "loss from jinan-1 to guiyang-1 on backbone is back to 0 %, objective 0.1 %; "
        "it lasted from 12:03:00 UTC to 12:03:40 UTC"
    )
    assert evaluator.active() == []


def test_backward_loss_is_told_from_the_far_end() -> None:
    row = {name.replace("forward", "backward"): value for name, value in lossy(BAD).items()}
    evaluator = Evaluator([rule("link-loss", hold_windows=1)], [spec()])
    (fired,) = evaluator.step(state([row]))
    assert fired.id.endswith("/backward")
    assert "lost from guiyang-1 to jinan-1" in fired.summary


@pytest.mark.parametrize(
    ("basis", "direction", "words"),
    [
        (DelayBasis.ONE_WAY, "forward", "is 23.5 ms (one way), objective 20 ms of tier hub"),
        (DelayBasis.HALF_ROUND_TRIP, "round trip", "is 23.5 ms (half round trip), objective 20 ms"),
    ],
)
def test_delay_names_the_direction_that_its_basis_allows(
    basis: DelayBasis, direction: str, words: str
) -> None:
    evaluator = Evaluator([rule("link-delay", hold_windows=1)], [spec()])
    (fired,) = evaluator.step(state([slow(3_500, basis)]))
    assert isinstance(fired, Fired)
    assert fired.labels["direction"] == direction
    assert words in fired.summary
    both = [e for at in (1, 2) for e in evaluator.step(state([slow(-3_500, DelayBasis(3 - basis))], at))]
    assert [event.id for event in both] == [fired.id]


def test_an_unfit_window_counts_for_nothing_even_with_a_number() -> None:
    evaluator = Evaluator([rule("link-loss")], [spec()])
    frames = [state([{**lossy(BAD), "fit": 0}], at) for at in range(4)]
    assert [event for frame in frames for event in evaluator.step(frame)] == []


def test_an_alert_that_is_not_measured_says_so() -> None:
    evaluator = Evaluator([rule("link-loss")], [spec()])
    for frame in series([BAD, BAD]):
        evaluator.step(frame)
    assert [active.unmeasured_since_ns for active in evaluator.active()] == [None]
    for frame in series([BAD, BAD, NAN, NAN])[2:]:
        evaluator.step(frame)
    assert [active.unmeasured_since_ns for active in evaluator.active()] == [FIRST_NS + 2 * WINDOW_NS]


def test_the_same_or_an_older_window_changes_nothing() -> None:
    evaluator = Evaluator([rule("link-loss")], [spec()])
    first, second, third = series([BAD, BAD, OK])
    assert evaluator.step(first) == evaluator.step(first) == []
    assert len(evaluator.step(second)) == 1
    assert evaluator.step(second) == evaluator.step(first) == []
    assert evaluator.ignored == 3
    assert evaluator.step(third) == []


def test_a_clock_that_was_set_back_is_followed_with_streaks_anew() -> None:
    evaluator = Evaluator([rule("link-loss")], [spec()])
    frames = series([BAD, BAD, BAD, *[OK] * 5, BAD])
    assert evaluator.step(frames[8]) == []
    assert evaluator.step(frames[0]) == []
    (fired,) = evaluator.step(frames[1])
    assert isinstance(fired, Fired)
    assert fired.since_ns == FIRST_NS
    assert evaluator.ignored == 0


def test_several_windows_in_one_frame_and_links_in_any_order() -> None:
    links = specs(3)
    frames = [state([lossy(OK), lossy(BAD), lossy(OK)], at, links) for at in range(2)]
    mixed = concat(STATE, frames).take(np.array([5, 0, 4, 2, 1, 3]))
    (fired,) = Evaluator([rule("link-loss")], links).step(mixed)
    assert isinstance(fired, Fired)
    assert fired.labels["link"] == str(links[1].link)
    assert Evaluator([rule("link-loss")], links[:1]).step(mixed) == []


def test_memory_goes_on_where_it_was() -> None:
    excesses = [OK, BAD, BAD, NAN, OK, BAD, OK, OK, BAD, BAD, NAN, NAN, NAN, BAD]
    rules = [rule("link-loss", unknown_windows=3)]
    expected = changes(excesses, Evaluator(rules, [spec()]))
    assert expected == [(2, "fired"), (7, "resolved"), (9, "fired"), (12, "resolved")]
    for cut in range(len(excesses)):
        told: list[tuple[int, str]] = []
        evaluator = Evaluator(rules, [spec()])
        for at, frame in enumerate(series(excesses)):
            if at == cut:
                snapshot, evaluator = evaluator.snapshot(), Evaluator(rules, [spec()])
                assert evaluator.restore(snapshot) == []
                assert evaluator.snapshot() == snapshot
            told += [(at, type(event).__name__.lower()) for event in evaluator.step(frame)]
        assert told == expected


def test_alerts_of_links_that_are_no_longer_there_end() -> None:
    before = Evaluator([rule("link-loss")], [spec()])
    for frame in series([BAD, BAD]):
        before.step(frame)
    after = Evaluator([rule("link-loss")], [spec("other-1")])
    (resolved,) = after.restore(before.snapshot())
    assert isinstance(resolved, Resolved)
    assert "is no longer watched" in resolved.summary
    assert after.active() == []


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x81\xa7version\x09"])
def test_what_is_no_snapshot_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        Evaluator(load_rules(), [spec()]).restore(damage)


@dataclass
class _Twin:
    """The rule, one link at a time, in the words of the contract."""

    hold: int
    clear: int
    unknown: int
    firing: bool = False
    streak: int = 0
    cleared: int = 0
    silent: int = 0
    unjudged: int = 0
    since: int = -1

    def step(self, at: int, excess: float) -> tuple[str, int] | None:
        if np.isnan(excess):
            self.silent += 1
            self.unjudged += 1
            if self.firing and self.unjudged >= self.unknown:
                self.firing, self.streak = False, 0
                return "resolved", self.since
            return None
        self.unjudged = 0
        if self.silent > SILENT_WINDOWS:
            self.streak = 0
        self.silent = 0
        if excess > 0:
            self.cleared = 0
            if self.streak == 0 and not self.firing:
                self.since = at
            self.streak += 1
            if not self.firing and self.streak >= self.hold:
                self.firing = True
                return "fired", self.since
            return None
        self.streak = 0
        self.cleared += 1
        if self.firing and self.cleared >= self.clear:
            self.firing = False
            return "resolved", self.since
        return None


EXCESS = st.sampled_from([BAD, BAD, OK, OK, NAN])
RUN = st.lists(st.tuples(EXCESS, st.integers(1, 8)), max_size=12)


@given(
    st.lists(RUN, min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 3), st.integers(2, 12),
    st.integers(0, 30),
)  # fmt: skip
def test_columns_against_the_twin(
    runs: list[list[tuple[float, int]]], hold: int, clear: int, unknown: int, restart: int
) -> None:
    columns = [[value for value, times in run for _ in range(times)] for run in runs]
    length = max(len(column) for column in columns)
    columns = [column + [NAN] * (length - len(column)) for column in columns]
    links = specs(len(columns))
    rules = [rule("link-loss", hold_windows=hold, clear_windows=clear, unknown_windows=unknown)]
    evaluator, twins = Evaluator(rules, links), [_Twin(hold, clear, unknown) for _ in links]
    for at in range(length):
        if at == restart:
            snapshot, evaluator = evaluator.snapshot(), Evaluator(rules, links)
            evaluator.restore(snapshot)
        events = evaluator.step(state([lossy(column[at]) for column in columns], at, links))
        told = {}
        for event in events:
            fired = event if isinstance(event, Fired) else event.fired
            told[fired.labels["link"]] = (type(event).__name__.lower(), fired.since_ns)
        for link, column, twin in zip(links, columns, twins, strict=True):
            expected = twin.step(at, column[at])
            if expected is not None:
                expected = expected[0], FIRST_NS + expected[1] * WINDOW_NS
            assert told.get(str(link.link)) == expected


def _many(links: Sequence[object], excess: float, window: int) -> Frame:
    names = [str(link) for link in links]
    n = len(names)
    columns: dict[str, object] = {"link": names, "start_ns": np.full(n, FIRST_NS + window * WINDOW_NS)}
    columns |= {"length_ns": np.full(n, WINDOW_NS), "measured": np.ones(n), "fit": np.ones(n)}
    columns |= {name: np.full(n, value) for name, value in lossy(excess).items()}
    return Frame.of(STATE, columns)


def test_many_links_are_stepped_in_time() -> None:
    """20 000 links; the bound is far above what it takes (hundredths of a second): machines are busy."""
    links = specs(20_000)
    evaluator = Evaluator(load_rules(), links)
    frames = [_many([each.link for each in links], OK, at) for at in range(2)]
    evaluator.step(frames[0])
    began = time.perf_counter()
    assert evaluator.step(frames[1]) == []
    assert time.perf_counter() - began < 2
    assert len(evaluator.snapshot()) < 1_000
