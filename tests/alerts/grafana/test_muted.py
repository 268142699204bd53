"""Announced work as mute timings: the same minutes, the same things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.grafana.muted import Json, Muted, muted_of
from linkgauge.clock import NS_PER_S
from linkgauge.inventory import build
from linkgauge.inventory_file import InventoryFile
from linkgauge.maintenance import Scope

T0 = datetime(2025, 11, 21, 22, 30, tzinfo=UTC)


def muted(begin: datetime, end: datetime, **scope: frozenset[str]) -> Muted:
    return Muted("linkgauge-work", Scope(**scope), frozenset(), begin, end)


def lasts(timing: Json, at: datetime) -> bool:
    """Whether Grafana holds back at this time: one interval fits in each of its parts."""
    return any(
        any(_clock(times["start_time"]) <= at.hour * 60 + at.minute < _clock(times["end_time"])
            for times in interval["times"])
        and str(at.day) in interval["days_of_month"]
        and str(at.month) in interval["months"]
        and str(at.year) in interval["years"]
        for interval in timing["time_intervals"]
    )  # fmt: skip


def _clock(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


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


@pytest.mark.parametrize(
    ("scope", "matchers"),
    [
        ({"networks": frozenset({"backbone"})}, [[["network", "=", "backbone"]]]),
        ({"links": frozenset({"b>a@n", "a>b@n"})}, [[["link", "=~", "a>b@n|b>a@n"]]]),
        (
            {"nodes": frozenset({"n1"})},
            [
                [["src", "=", "n1"]],
                [["dst", "=", "n1"]],
                [["node", "=", "n1"]],
                [["kind", "=", "node"], ["place", "=", "n1"]],
            ],
        ),
    ],
)
def test_who_is_meant(scope: dict[str, frozenset[str]], matchers: list[list[list[str]]]) -> None:
    assert muted(T0, T0, **scope).matchers == matchers


def test_what_several_lists_name_must_hold_together() -> None:
    both = muted(T0, T0, sites=frozenset({"s"}), networks=frozenset({"n"})).matchers
    assert [["src_site", "=", "s"], ["network", "=", "n"]] in both
    assert all(["network", "=", "n"] in each for each in both)


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
    assert found[-1].matchers == [[["rule", "=", "link-loss"]]]
    assert lasts(found[-1].timing, T0)
