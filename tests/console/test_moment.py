"""Moments as people write them."""

from __future__ import annotations

import pytest

from console.moment import as_text, moment_ns
from linkgauge.clock import NS_PER_S
from linkgauge.errors import ConfigError

NOW_NS = 1_800_000_000 * NS_PER_S


@pytest.mark.parametrize(
    ("text", "after_s"),
    [
        ("now", 0),
        ("2h ago", -7200),
        (" 1.5 m ago ", -90),
        ("3d ago", -259_200),
        ("2027-01-15T08:00:00Z", 0),
        ("2027-01-15T08:00", 0),
        ("2027-01-15T09:00+01:00", 0),
        ("2027-01-15", -8 * 3600),
    ],
)
def test_a_moment_is_read_as_utc_or_before_now(text: str, after_s: int) -> None:
    assert moment_ns(text, NOW_NS) == NOW_NS + after_s * NS_PER_S


@pytest.mark.parametrize("text", ["", "yesterday", "2h", "h ago", "2027-13-01", "-1h ago", "1y ago"])
def test_what_is_no_time_is_said_with_the_mend(text: str) -> None:
    with pytest.raises(ConfigError, match="2h ago"):
        moment_ns(text, NOW_NS)


@pytest.mark.parametrize(
    "text", ["99999999999999d ago", "9" * 400 + "d ago", "1969-12-31", "0001-01-01", "9999-12-31"]
)
def test_a_time_that_nothing_can_be_of_is_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="write"):
        moment_ns(text, NOW_NS)


def test_a_moment_is_told_in_utc() -> None:
    assert as_text(NOW_NS + 5) == "2027-01-15T08:00:00Z"
