"""The text of the loss table, and what is refused before anything is run."""

from __future__ import annotations

import pytest

from lab.faults import LossFaults, check_ratio, loss_table
from lab.places import demo_topology
from linkgauge.errors import LabError


def test_table_names_one_ordered_pair_and_its_share() -> None:
    text = loss_table({("10.0.0.1", "10.0.0.2"): 0.2})
    assert "ip saddr 10.0.0.1 ip daddr 10.0.0.2 numgen random mod 1000000 < 200000 counter drop" in text
    assert text.count("drop") == 1


def test_all_is_a_share_too() -> None:
    text = loss_table({("10.0.0.1", "10.0.0.2"): 1.0})
    assert "ip saddr 10.0.0.1 ip daddr 10.0.0.2  counter drop" in text


def test_no_loss_is_no_table() -> None:
    assert loss_table({}) == "table ip lab_fault\ndelete table ip lab_fault\n"


@pytest.mark.parametrize("ratio", [-0.1, 1.01, float("nan")])
def test_a_ratio_is_a_share(ratio: float) -> None:
    with pytest.raises(LabError, match="not between 0 and 1"):
        check_ratio(ratio)


def test_a_fault_needs_a_link() -> None:
    faults = LossFaults(demo_topology(), "lg00aa")
    with pytest.raises(LabError, match="jinan-2 is not on network private"):
        faults.inject("jinan-1", "jinan-2", "private", 0.5)
    faults.clear()  # nothing was injected, so nothing is run
