"""The compute identifier: text form, round trip, and the part that a fault names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.compute_id import TYPES, ComputeId
from linkgauge.errors import ConfigError

PART = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)


@given(PART, PART, PART, st.sampled_from(TYPES), PART)
def test_prints_what_it_parses(owner: str, industry: str, location: str, kind: str, spec: str) -> None:
    identifier = ComputeId(owner, industry, location, kind, spec)
    assert ComputeId.parse(str(identifier)) == identifier


def test_names_its_parts() -> None:
    identifier = ComputeId.parse("shandong-telecom:government:370100:intelligent:8xh800-2tb")
    assert identifier.owner == "shandong-telecom"
    assert identifier.industry == "government"
    assert identifier.location == "370100"
    assert identifier.type == "intelligent"
    assert identifier.specification == "8xh800-2tb"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a:b:c:super",
            "compute identifier 'a:b:c:super' has 4 parts, but needs five: "
            "owner:industry:location:type:specification",
        ),
        (
            "a:b:c:quantum:x",
            "compute identifier: type is 'quantum', but must be one of general, intelligent, super",
        ),
        (
            "A:b:c:super:x",
            "compute identifier: owner is 'A', but may only have 1 to 63 lower-case letters, digits, '-', "
            "'.' and '_', starting with a letter or digit",
        ),
    ],
)
def test_says_which_part_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ComputeId.parse(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("part", ["", "-a", "a" * 64, "a b", "a\n", "é"])
@pytest.mark.parametrize("at", range(5))
def test_refuses_each_bad_part(part: str, at: int) -> None:
    parts = ["a", "b", "c", "super", "x"]
    parts[at] = part
    with pytest.raises(ConfigError):
        ComputeId.parse(":".join(parts))
