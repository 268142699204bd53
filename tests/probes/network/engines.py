"""Engines at the two ends of a cable, and sums of what they deliver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import numpy as np

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.frame import Frame, concat
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW
from probes.engine.engine import Engine
from probes.engine.noted import Fitness
from tests.probes.network.cable import FAMILIES, PORT, Cable, address, link
from tests.probes.plans import plan

WINDOW_NS = 1_000_000_000
TIMEOUT_NS, FAR_TIMEOUT_NS = 1_000_000_000, 300_000_000
"""Near awaits also what stood in a queue of a busy host; far awaits nothing."""
PATIENCE_S = 60.0


def plan_of(
    end: str, lanes: Iterable[int], interval_ns: int, classes: Sequence[int] = (0,), **more: object
) -> Plan:
    """Near probes far on all lanes of both families; far answers."""
    pairs = [(lane, family) for lane in lanes for family in FAMILIES]
    other = "far" if end == "near" else "near"
    links = [PlanLink(link(*pair), address(*pair, "near"), address(*pair, "far")) for pair in pairs]
    timeout_ns = TIMEOUT_NS if end == "near" else FAR_TIMEOUT_NS
    lengths = {"window_ns": WINDOW_NS, "stamp_timeout_ns": timeout_ns}
    return msgspec.structs.replace(
        plan(end),
        links=links if end == "near" else [],
        peers=[address(*pair, other) for pair in pairs],
        locals=[address(*pair, end) for pair in pairs],
        stamp_interval_ns=interval_ns,
        stamp_port=PORT,
        classes=list(classes),
        **(lengths | more),
    )


@dataclass(slots=True)
class Sink:
    """Keeps what an engine delivers."""

    frames: list[dict[str, Frame]] = field(default_factory=list)
    fitness: list[Fitness] = field(default_factory=list)

    def __call__(self, frames: dict[str, Frame], fitness: Fitness) -> None:
        self.frames.append(frames)
        self.fitness.append(fitness)

    def wait_for(self, windows: int) -> None:
        self.wait_until(lambda: len(self.frames) >= windows, "no window came")

    def wait_until(self, done: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        """Look until it is so; fails when it takes too long."""
        deadline = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    def wait_for_total(self, names: Sequence[str], least: int, classes: Sequence[int] = (0,)) -> None:
        """Until each of these links has sent so many packets in each class, in windows that were told."""

        def enough() -> bool:
            return all(self.total("sent", name, dscp) > least for name in names for dscp in classes)

        self.wait_for(2)
        self.wait_until(enough, f"no more than {least} packets were sent")

    def windows(self) -> Frame:
        """All rows in their last revision."""
        rows = concat(WINDOW, [frames["window"] for frames in self.frames])
        keys = zip(rows.text("link"), rows.text("class"), rows.count("start_ns"), strict=True)
        last = {key: row for row, key in enumerate(keys)}
        return rows.take(np.array(sorted(last.values()), np.intp))

    def total(self, name: str, of_link: str, dscp: int = 0) -> int:
        """Sum of a count over the windows of a link and class."""
        rows = self.windows()
        mine = (rows.text("link") == of_link) & (rows.text("class") == str(dscp))
        return int(rows.count(name)[mine].sum())

    def answered(self, of_link: str, dscp: int = 0) -> int:
        """Packets with a reply, late ones included."""
        return self.total("replied", of_link, dscp) + self.total("late", of_link, dscp)

    def noted(self, name: str) -> int:
        """Sum of a counter of fitness."""
        return sum(int(getattr(fitness, name)) for fitness in self.fitness)


def engine(cable: Cable, end: str, made: Plan, sink: Sink, keys: Mapping[str, bytes] | None = None) -> Engine:
    """Bound at that end, not started."""
    return cable.inside(
        end,
        lambda: Engine(made, SystemClock(), read_clock_quality, sink, lambda start, stop: False, keys=keys),
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """A running engine at each end, and what they deliver."""

    near: Engine
    near_sink: Sink
    far_sink: Sink


@contextmanager
def running(
    cable: Cable,
    near: Plan,
    far: Plan,
    keys: Mapping[str, Mapping[str, bytes]] | None = None,
    prepare: Callable[[Engine], None] = lambda near: None,
) -> Iterator[Pair]:
    """Both engines run. keys: of each end. prepare: called with the near one before it starts."""
    sinks = Sink(), Sink()
    both = []
    try:
        for end, made, sink in (("far", far, sinks[1]), ("near", near, sinks[0])):
            both.append(engine(cable, end, made, sink, (keys or {}).get(end)))
        prepare(both[1])
        for each in both:
            each.start()
        yield Pair(both[1], *sinks)
    finally:
        for each in reversed(both):
            each.stop()
