"""Engines for tests, and what they deliver."""

from __future__ import annotations

from typing import Any

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.frame import Frame
from linkgauge.plan import Plan
from probes.engine.engine import Engine
from probes.engine.flight import Caught
from probes.engine.noted import Fitness
from tests.probes.loopback import until

A, B = "127.64.200.1", "127.64.200.2"
KEY = b"a key for tests!"


class Sink:
    """Keeps what an engine delivers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.fitness: list[Fitness] = []
        self.flows: list[Frame] = []
        self.caught: list[Caught] = []

    def __call__(self, frames: dict[str, Frame], fitness: Fitness) -> None:
        self.frames.append(frames["window"])
        self.flows += [frames["flow"]] if "flow" in frames else []
        self.fitness.append(fitness)

    def wait_for(self, windows: int) -> None:
        until(lambda: len(self.fitness) >= windows, "no window came")


def engine(made: Plan, sink: Sink, **more: Any) -> Engine:
    """An engine of this plan that delivers to `sink`; more: any of its arguments."""
    given: dict[str, Any] = {
        "deliver": sink,
        "clock": SystemClock(),
        "clock_quality": read_clock_quality,
        "under_test": lambda start, end: False,
        "caught": sink.caught.append,
    }
    return Engine(made, **(given | more))


def reports(made: Plan, windows: int = 1, **more: Any) -> Sink:
    """An engine's reports, of so many windows at least."""
    sink = Sink()
    one = engine(made, sink, **more)
    one.start()
    sink.wait_for(windows)
    one.stop()
    return sink
