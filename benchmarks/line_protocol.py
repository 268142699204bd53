"""Line protocol from columns against influxdb-client's Point objects.

The same rows of WINDOW (all fields known; some unknown; half of the reals unknown) are turned into the same
lines both ways, in turn, in this process; figures are medians, CPU microseconds for one line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, cast

import numpy as np
from influxdb_client.client.write.point import Point

from benchmarks.machine import at_least, quick, show
from collector.sinks.line_protocol import LineMaker
from linkgauge.frame import Frame
from linkgauge.schema import LINK_TAGS, WINDOW
from linkgauge.table import Kind

ROWS = 1000
UNKNOWN_RATIOS = {"all_known": 0.0, "one_tenth_unknown": 0.1, "typical": -1.0}
TYPICAL_UNKNOWN = ("rtt_p999_us", "forward_min_us", "forward_p50_us", "backward_min_us", "backward_p50_us")
"""What a window of 100 packets between unsynchronised clocks does not know."""


def main() -> None:
    """Measure every kind of frame."""
    repeats = 3 if quick() else 15
    found = {name: _compare(_frame(ratio), repeats) for name, ratio in UNKNOWN_RATIOS.items()}
    slowest = min(each["times_as_fast"] for each in found.values())
    goals = [at_least("columns / Point objects, the slowest case", 5, slowest)]
    show("line_protocol", "one process", {"rows": ROWS, "repeats": repeats, **found}, goals)


def _compare(frame: Frame, repeats: int) -> dict[str, float]:
    maker = LineMaker(tags_of)
    count = len(maker.lines(frame))
    assert sorted(map(_fields, maker.lines(frame))) == sorted(map(_fields, points(frame)))
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(_cpu_s(lambda: maker.lines(frame)))
        theirs.append(_cpu_s(lambda: points(frame)))
    mine, other = median(ours) / count * 1e6, median(theirs) / count * 1e6
    return {
        "lines": count,
        "columns_us_per_line": round(mine, 2),
        "points_us_per_line": round(other, 2),
        "times_as_fast": round(other / mine, 1),
    }


def points(frame: Frame) -> list[str]:
    """The same lines by Point objects, as a user of the client would write them."""
    made, new = [], cast(Any, Point)  # the library has no annotations
    names = frame.text("link").tolist()
    probes, classes = frame.text("probe").tolist(), frame.text("class").tolist()
    times = frame.count("start_ns").tolist()
    for measurement in frame.table.measurements:
        fields = [f for f in frame.table.fields if f.measurement == measurement]
        columns = [np.asarray(frame.columns[f.name]).tolist() for f in fields]
        for at, name in enumerate(names):
            point: Any = new(measurement)
            for key, value in tags_of(name).items():
                point = point.tag(key, value)
            point = point.tag("probe", probes[at]).tag("class", classes[at])
            for field, column in zip(fields, columns, strict=True):
                point = point.field(field.name, column[at])
            made.append(point.time(times[at]).to_line_protocol())
    return made


def tags_of(link: str) -> Mapping[str, str]:
    """Tags of a usual length."""
    return {**{tag: f"{tag}-of-it" for tag in LINK_TAGS}, "link": link}


def _fields(line: str) -> str:
    """The client sorts fields and tags, and writes 3.0 as 3: what is left is the same in both."""
    head, fields, when = line.split(" ")
    named = sorted(part.partition("=")[::2] for part in fields.split(","))
    values = [(key, value if value.endswith("i") else repr(float(value))) for key, value in named]
    return f"{sorted(head.split(','))} {values} {when}"


def _frame(unknown_ratio: float) -> Frame:
    """ROWS windows with random reals of three decimals; a negative ratio: a usual window's unknowns."""
    chance = np.random.default_rng(1)
    columns: dict[str, object] = {}
    for field in WINDOW.fields:
        if field.kind is Kind.REAL:
            values = np.round(chance.random(ROWS) * 1000, 3)
            gone = chance.random(ROWS) < unknown_ratio
            gone |= unknown_ratio < 0 and field.name in TYPICAL_UNKNOWN
            columns[field.name] = np.where(gone, np.nan, values)
        elif field.kind is Kind.COUNT:
            columns[field.name] = chance.integers(0, 100, ROWS)
    keys = {"link": [f"h{at}>h{at + 1}@n" for at in range(ROWS)], "probe": ["stamp"] * ROWS}
    times = {"start_ns": [1_800_000_000 * 10**9] * ROWS, "length_ns": [10**10] * ROWS}
    return Frame.of(WINDOW, {**keys, "class": ["0"] * ROWS, **times, **columns})


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
