"""An agent without probes: real outbox, real upload, made-up windows.

    python -m tests.faults.producer AGENT.YAML INVENTORY.YAML

Each second it reports one window of every link of its node, in PARTS batches, until SIGTERM; it then hands
over what waits. Its outbox's ledger says what was produced.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from console.agent import sending
from console.running import set_up_logs, stop_event
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.histogram import Histogram
from linkgauge.inventory import load as load_inventory
from linkgauge.schema import WINDOW
from linkgauge.wire import Batch, encode
from probes.settings import load

PARTS = 5
FLUSH_S = 200.0
"""How long an ending producer tries to hand over what waits: it ends as soon as nothing does."""


def main(config: Path, inventory: Path) -> None:
    """Report until told to end."""
    set_up_logs()
    settings, clock, stop = load(config), SystemClock(), stop_event()
    links = [str(link) for link in load_inventory(inventory).links if link.src == settings.node]
    outbox, uploader = sending(settings, clock)
    uploader.start()
    boot, chance = secrets.token_hex(8), np.random.default_rng()
    # a window is reported once: an earlier run may have told of this second
    second = clock.now().wall_ns // NS_PER_S + 1
    while not stop.is_set():
        for part in range(PARTS):
            _sleep_until(second * NS_PER_S + (PARTS + part) * NS_PER_S // PARTS, stop)
            frame = windows(links[part::PARTS], second * NS_PER_S, chance)
            if stop.is_set() or not frame.rows:
                continue
            created_ns = clock.now().wall_ns
            try:
                outbox.put(boot, _encoder(settings.node, boot, created_ns, frame), frame.rows, created_ns)
            except StoreError as err:
                print(f"not stored: {err}", flush=True)
            uploader.wake()
        second += 1
    uploader.stop(FLUSH_S)
    outbox.close()


def windows(links: Sequence[str], start_ns: int, chance: np.random.Generator) -> Frame:
    """One window of a second of each link, 10 packets, no loss."""
    count = len(links)
    delays = chance.lognormal(13, 0.1, (count, 10))
    return Frame.of(
        WINDOW,
        {
            "link": links, "probe": ["stamp"] * count, "class": ["0"] * count,
            "start_ns": [start_ns] * count, "length_ns": [NS_PER_S] * count,
            "sent": [10] * count, "replied": [10] * count, "rtt_p50_us": np.median(delays, axis=1) / 1000,
            "rtt_ns": [Histogram.of(row) for row in delays],
        },
        count,
    )  # fmt: skip


def _encoder(node: str, boot: str, created_ns: int, frame: Frame) -> Callable[[int], bytes]:
    return lambda number: encode(Batch(node, boot, number, created_ns, {"window": frame}))


def _sleep_until(wall_ns: int, stop: threading.Event) -> None:
    stop.wait(max(0.0, (wall_ns - SystemClock().now().wall_ns) / NS_PER_S))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
