"""Which links rows are taken of."""

from __future__ import annotations

import pytest

from collector.possible_links import PossibleLinks
from linkgauge.model import Node

NODES = {
    "a": Node("a", "s", {"n": "10.0.0.1", "m": "10.1.0.1"}),
    "b": Node("b", "s", {"n": "10.0.0.2"}),
}


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("a>b@n", True),
        ("gone>b@n", True),  # of a former edition
        ("b>a@n", True),  # a newer inventory may have it
        ("a>b@m", False),
        ("a>c@n", False),
        ("c>a@n", False),
        ("a>a@n", False),
        ("a>b", False),
        ("", False),
        (7, False),
    ],
)
def test_what_nodes_and_networks_allow(text: object, there: bool) -> None:
    assert (text in PossibleLinks({"a>b@n", "gone>b@n"}, NODES)) is there
