"""Ways compare with silence as wildcard, and have stable fingerprints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.way_text import SILENT
from probes.path.fingerprint import fingerprint
from probes.path.way import MAX_TEXT, Way, differing, joined, merged


def way(text: str, *, reached: bool = True) -> Way:
    return Way(tuple(text.split()), reached)


def never(one: str, other: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("old", "new", "apart"),
    [
        ("a b z", "a b z", []),
        ("a b z", "a c z", [1]),
        ("a * z", "a c z", []),
        ("a b z", "* * z", []),
        ("a b z", "a b c z", [2]),
        ("a b c z", "a b z", [2]),
        ("a b z", "a b * z", [2]),
        ("a b * z", "a b z", [2]),
    ],
)
def test_ways_that_reach_the_far_end_differ_where_known_hops_do(old: str, new: str, apart: list[int]) -> None:
    assert differing(way(old), way(new), never) == apart


def test_silence_at_the_end_is_no_change() -> None:
    assert differing(way("a b z"), way("a", reached=False), never) == []
    assert differing(way("a", reached=False), way("a b z"), never) == []
    assert differing(way("a b", reached=False), way("a c", reached=False), never) == [1]


def test_addresses_that_are_alike_do_not_differ() -> None:
    assert differing(way("a b z"), way("a c z"), lambda one, other: {one, other} == {"b", "c"}) == []


def test_sights_of_one_way_fill_each_other_in() -> None:
    assert merged(way("a * z"), way("* b z")) == way("a b z")
    assert merged(way("a b z"), way("a", reached=False)) == way("a b z")


def test_a_fingerprint_is_the_same_in_every_run() -> None:
    assert fingerprint(["10.0.0.1", "10.0.1.1"]) == 2425038611101434135


@given(st.lists(st.ip_addresses().map(str)), st.lists(st.ip_addresses().map(str)))
def test_fingerprints_fit_a_signed_integer_and_tell_ways_apart(one: list[str], other: list[str]) -> None:
    assert 0 <= fingerprint(one) < 1 << 63
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


def test_a_text_too_long_is_cut_at_a_hop() -> None:
    text = joined(["2001:db8:1234:5678:9abc:def0:1234:5678"] * 64)
    assert len(text) <= MAX_TEXT
    assert text.endswith("5678 ...")
    assert joined([SILENT, "a"]) == "* a"
