"""The courses that all tests of counts, directions, order and delay go through; a million packets in all."""

from __future__ import annotations

from dataclasses import dataclass

from tests.probes.simulation.course import MS, Course
from tests.probes.simulation.play import play
from tests.probes.simulation.told import Told, tell
from tests.probes.simulation.truth import Truth, truth
from tests.probes.simulation.way import HostClock, Way

JITTER_NS = 2 * MS
_SPREAD = Way(jitter_ns=JITTER_NS)
_LOSSY = Way(loss=0.02, jitter_ns=JITTER_NS)

COURSES = {
    "nothing": Course(1, _SPREAD, _SPREAD, ticks=250, sessions=40),
    "loss": Course(2, Way(loss=0.01, jitter_ns=JITTER_NS), Way(loss=0.02, jitter_ns=JITTER_NS)),
    "much loss": Course(3, Way(loss=0.1), Way(loss=0.1), v6=True),
    "copies": Course(4, Way(duplicate=0.03, jitter_ns=JITTER_NS), Way(duplicate=0.05, jitter_ns=JITTER_NS)),
    "overtaking": Course(5, Way(reorder=0.05, jitter_ns=JITTER_NS), Way(reorder=0.05, jitter_ns=JITTER_NS)),
    "overtaking on the way back": Course(6, _LOSSY, Way(loss=0.02, reorder=0.05, jitter_ns=JITTER_NS)),
    "copies and loss": Course(
        7,
        Way(loss=0.02, duplicate=0.02, jitter_ns=JITTER_NS),
        Way(loss=0.02, duplicate=0.02, jitter_ns=JITTER_NS),
    ),
    "all at once": Course(
        8,
        Way(loss=0.02, duplicate=0.02, reorder=0.05, jitter_ns=JITTER_NS),
        Way(loss=0.02, duplicate=0.02, reorder=0.05, jitter_ns=JITTER_NS),
        unstamped=0.1,
        v6=True,
    ),
    "mishaps": Course(
        9, Way(loss=0.01), Way(loss=0.01), refused=0.02, prohibited=0.01, failed=0.01, unstamped=0.1
    ),
    "clocks apart": Course(
        10,
        _LOSSY,
        _SPREAD,
        near=HostClock(-5 * MS, 40_000),
        far=HostClock(30 * MS, -20_000),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """A course: what really happened on it, and what was told."""

    name: str
    course: Course
    truth: Truth
    told: Told


def run(name: str, course: Course) -> Run:
    played = play(course)
    return Run(name, course, truth(played), tell(played))
