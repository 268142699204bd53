"""Announced work as mute timings: the same minutes, the same things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.grafana.muted import Muted, muted_of
from linkgauge.clock import NS_PER_S
from linkgauge.inventory import build
from linkgauge.inventory_file import InventoryFile
from linkgauge.maintenance import Scope
from tests.alerts.grafana.tree import lasts

T0 = datetime(2025, 11, 21, 22, 30, tzinfo=UTC)


def muted(begin: datetime, end: datetime, **scope: frozenset[str]) -> Muted:
    return Muted("linkgauge-work", Scope(**scope), frozenset(), ((begin, end),))


def test_a_night_is_two_days() -> None:
    assert muted(T0, T0 + timedelta(hours=3)).timing == {
        "name": "linkgauge-work",
        "time_intervals": [
            {"times": [{"start_time": "22:30", "end_time": "24:00"}], "days_of_month": ["21"],
             "months": ["11"], "years": ["2025"]},
            {"times": [{"start_time": "00:00", "end_time": "01:30"}], "days_of_month": ["22"],
             "months": ["11"], "years": ["2025"]},
        ],
    }  # fmt: skip


@given(st.integers(0, 400_000), st.integers(1, 300_000), st.integers(-400_000, 800_000))
def test_it_lasts_from_the_first_minute_to_the_last(begin_s: int, length_s: int, at_s: int) -> None:
    begin, at = T0 + timedelta(seconds=begin_s), T0 + timedelta(seconds=at_s)
    end = begin + timedelta(seconds=length_s)
    timing = muted(begin, end).timing
    if begin <= at < end:
        assert lasts(timing, at)
    elif at < begin - timedelta(minutes=1) or at >= end + timedelta(minutes=1):
        assert not lasts(timing, at)


def test_entries_of_the_same_things_are_one_timing() -> None:
    nights = [(T0 + timedelta(days=day), T0 + timedelta(days=day, hours=1)) for day in range(5)]
    touching = (T0 + timedelta(hours=1), T0 + timedelta(hours=1, minutes=15))
    timing = Muted("x", Scope(), frozenset(), (*nights, touching)).timing
    assert len(timing["time_intervals"]) == 5
    assert all(lasts(timing, begin) and not lasts(timing, end) for begin, end in nights[1:])
    assert lasts(timing, touching[0])


def test_work_and_silences_of_the_inventory_that_are_not_over() -> None:
    def text(at: datetime) -> str:
        return at.isoformat()

    file = InventoryFile.model_validate(
        {
            "version": 1,
            "sites": [{"name": "s", "region": "r", "operator": "o"}],
            "networks": [{"name": "n", "kind": "backbone"}],
            "nodes": [{"name": "a", "site": "s", "addresses": {"n": "127.0.0.1"}}],
            "maintenance": [
                {"from": text(T0), "until": text(T0 + timedelta(hours=1)), "reason": "x", "sites": ["s"]},
                {"from": text(T0), "until": text(T0 + timedelta(hours=2)), "reason": "y", "nodes": ["a"]},
                {"from": text(T0 + timedelta(days=1)), "until": text(T0 + timedelta(days=2)), "reason": "y",
                 "nodes": ["a"]},
                {"from": text(T0 - timedelta(days=2)), "until": text(T0 - timedelta(days=1)), "reason": "z",
                 "sites": ["s"]},
            ],
            "silences": [{"until": text(T0 + timedelta(hours=5)), "reason": "q", "rules": ["link-loss"]}],
        }
    )  # fmt: skip
    found = muted_of(build(file, "inventory"), int(T0.timestamp()) * NS_PER_S)
    assert [each.name for each in found] == [
        "linkgauge-work-20251121-2230",
        "linkgauge-work-20251121-2230-2",
        "linkgauge-silence-20251122-0330",
    ]
    assert [len(each.spans) for each in found] == [1, 2, 1]
    assert found[-1].rules == {"link-loss"}
    assert lasts(found[-1].timing, T0)
