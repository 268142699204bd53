"""The score of each link over an hour: of how many windows it can be told that they were good. Pure.

A window that announced work or a drill excuses is neither good nor bad; one of which nothing can be told is
missing from the coverage and from nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from collector.rollup.slot import Slot
from collector.rollup.source import Tally
from linkgauge.frame import Frame
from linkgauge.link_tags import LinkTags
from linkgauge.model import LinkSpec
from linkgauge.schema import SCORE

Specs = Callable[[str], LinkSpec | None]
"""The link of that text; None when it is not expected any more."""


def scores(slot: Slot, tallies: Sequence[Tally], specs: Specs) -> Frame:
    """SCORE rows of a slot, one for each tally, in their order."""
    found = [specs(tally.link) for tally in tallies]
    return Frame.of(
        SCORE,
        {
            "link": [tally.link for tally in tallies],
            "src_operator": [operator_of(spec, "src_site") for spec in found],
            "dst_operator": [operator_of(spec, "dst_site") for spec in found],
            "start_ns": [slot.start_ns] * len(tallies),
            "length_ns": [slot.length_ns] * len(tallies),
            "windows": [tally.windows for tally in tallies],
            "windows_good": [tally.good for tally in tallies],
            "windows_bad": [tally.bad for tally in tallies],
            "windows_down": [tally.down for tally in tallies],
            "windows_excused": [tally.excused for tally in tallies],
            "good_ratio": [ratio(tally.good, tally.good + tally.bad) for tally in tallies],
            "good_objective_ratio": [spec.tier.good_ratio if spec else math.nan for spec in found],
            "coverage_ratio": [
                ratio(tally.good + tally.bad, tally.windows - tally.excused) for tally in tallies
            ],
        },
        len(tallies),
    )


def operator_of(spec: LinkSpec | None, end: str) -> str:
    """The operator of a link's `src_site` or `dst_site`; "" when it is not known."""
    tags = spec.tags if spec else None
    return str(getattr(tags, end).operator) if isinstance(tags, LinkTags) else ""


def ratio(part: int, whole: int) -> float:
    """part / whole; NaN of nothing."""
    return part / whole if whole else math.nan
