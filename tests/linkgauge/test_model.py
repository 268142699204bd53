"""Links, verdicts and tiers: text forms and the numbers that leave the program."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.errors import ConfigError
from linkgauge.model import DEFAULT_TIERS, NAME, DelayBasis, Link, Verdict

NAMES = st.from_regex(NAME, fullmatch=True)


@given(NAMES, NAMES, NAMES)
def test_link_prints_what_it_parses(src: str, dst: str, network: str) -> None:
    link = Link(src, dst, network)
    if src == dst:
        with pytest.raises(ConfigError):
            Link.parse(str(link))
    else:
        assert Link.parse(str(link)) == link


def test_link_text_form() -> None:
    assert str(Link("a", "b", "backbone")) == "a>b@backbone"
    assert str(Link("a", "b", "backbone").reverse) == "b>a@backbone"


@pytest.mark.parametrize(
    "text", ["", "a", "a>b", "a@n", ">b@n", "a>@n", "a>b@", "a>a@n", "A>b@n", "a>b@n@m", "a>b>c@n", "a>b@n\n"]
)
def test_link_refuses_other_forms(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Link.parse(text)
    assert str(caught.value) == (f"link {text!r} is not of the form src>dst@network with two different nodes")


@given(st.text())
def test_link_parse_raises_nothing_else(text: str) -> None:
    try:
        link = Link.parse(text)
    except ConfigError:
        return
    assert str(link) == text


def test_numbers_that_stores_and_boards_know() -> None:
    assert {verdict.word: int(verdict) for verdict in Verdict} == {"unknown": 0, "met": 1, "missed": 2}
    assert {basis.word: int(basis) for basis in DelayBasis} == {
        "none": 0, "one way": 1, "half round trip": 2,
    }  # fmt: skip


def test_default_tiers_are_the_latency_circles() -> None:
    assert {name: tier.delay_us for name, tier in DEFAULT_TIERS.items()} == {
        "metro": 1_000, "region": 5_000, "hub": 20_000,
    }  # fmt: skip
    assert all(name == tier.name for name, tier in DEFAULT_TIERS.items())
