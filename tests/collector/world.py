"""A small inventory, batches and a clock for the collector's tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from linkgauge.clock import NS_PER_S, Instant
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.histogram import Histogram
from linkgauge.inventory import Inventory, load
from linkgauge.schema import FLOW, HEALTH, THROUGHPUT, WINDOW
from linkgauge.wire import Batch, encode

WINDOW_NS = 10 * NS_PER_S
NOW_NS = 1_800_000_000 * NS_PER_S
"""A time that is the start of a window."""
INVENTORY = """
version: 1
window_s: 10
period_s: 60
sites:
  - {name: jinan, region: shandong, operator: op}
  - {name: guiyang, region: guizhou, operator: op}
networks:
  - {name: backbone, kind: backbone, promised_bps: 10000000}
  - {name: private, kind: private}
nodes:
  - {name: j1, site: jinan, addresses: {backbone: 10.0.0.1, private: 10.1.0.1}}
  - {name: j2, site: jinan, addresses: {backbone: 10.0.0.2}}
  - {name: g1, site: guiyang, addresses: {backbone: 10.0.0.3, private: 10.1.0.3}}
"""


class StillClock:
    """A clock that stands until it is moved."""

    def __init__(self, wall_ns: int = NOW_NS) -> None:
        self.wall_ns = wall_ns

    def now(self) -> Instant:
        return Instant(self.wall_ns - NOW_NS // 2, self.wall_ns)


def write_inventory(folder: Path, text: str = INVENTORY) -> Path:
    path = folder / "inventory.yaml"
    path.write_text(text)
    return path


def inventory(folder: Path) -> Inventory:
    return load(write_inventory(folder))


def windows(
    links: Sequence[str],
    start_ns: int = NOW_NS - WINDOW_NS,
    probe: str = "stamp",
    rtt_p50_us: float = 300.0,
    sent: int = 100,
) -> Frame:
    rows = len(links)
    return Frame.of(
        WINDOW,
        {
            "link": links,
            "probe": [probe] * rows,
            "class": ["0"] * rows,
            "start_ns": [start_ns] * rows,
            "length_ns": [WINDOW_NS] * rows,
            "sent": [sent] * rows,
            "replied": [sent] * rows,
            "loss_forward_ratio": [0.0] * rows,
            "rtt_p50_us": [rtt_p50_us] * rows,
            "rtt_ns": [Histogram.of(np.linspace(1e5, 1e6, sent))] * rows,
        },
    )


def flows(link: str, start_ns: int = NOW_NS - WINDOW_NS, lost: Sequence[int] = (0, 100)) -> Frame:
    """A flow of 100 packets for each number of packets lost on the way out."""
    count = len(lost)
    columns = {"link": [link] * count, "probe": ["stamp"] * count, "class": ["0"] * count}
    columns |= {"flow": [str(flow) for flow in range(count)]}
    numbers = {"start_ns": [start_ns] * count, "length_ns": [6 * WINDOW_NS] * count, "sent": [100] * count}
    return Frame.of(
        FLOW, {**columns, **numbers, "lost_forward": lost, "replied": [100 - each for each in lost]}
    )


def throughput(
    link: str, received_bps: float, start_ns: int = NOW_NS - WINDOW_NS, outcome: Outcome = Outcome.MEASURED
) -> Frame:
    columns = {
        "link": [link],
        "start_ns": [start_ns],
        "length_ns": [WINDOW_NS],
        "outcome": [outcome.value],
    }
    return Frame.of(THROUGHPUT, {**columns, "received_bps": [received_bps]})


def health(agent: str, start_ns: int = NOW_NS - WINDOW_NS) -> Frame:
    return Frame.of(HEALTH, {"agent": [agent], "start_ns": [start_ns], "length_ns": [WINDOW_NS], "fit": [1]})


def batch(agent: str, number: int, *frames: Frame, created_ns: int = NOW_NS, boot: str = "boot1") -> Batch:
    return Batch(agent, boot, number, created_ns, {frame.table.name: frame for frame in frames})


def body(agent: str, number: int, *frames: Frame, created_ns: int = NOW_NS, boot: str = "boot1") -> bytes:
    return encode(batch(agent, number, *frames, created_ns=created_ns, boot=boot))


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition, with a deadline far beyond what it takes: a busy machine is no fault."""
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come true in time"
        time.sleep(0.01)
