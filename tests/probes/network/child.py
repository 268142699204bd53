"""An engine in a process of its own, so that a test can stop it: `python -m tests.probes.network.child PLAN`.

PLAN is a plan as JSON, as an agent gets it. Prints one JSON line a window, after `ready`; SIGTERM ends it,
and then the unfinished window is told too.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from typing import Any

import numpy as np

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.frame import Frame
from linkgauge.plan import decode_plan
from linkgauge.table import Kind
from probes.engine.engine import Engine
from probes.engine.noted import Fitness


def deliver(frames: dict[str, Frame], fitness: Fitness) -> None:
    window = frames["window"]
    names = [field.name for field in window.table.columns if field.kind in (Kind.TEXT, Kind.COUNT)]
    columns: dict[str, Any] = {name: np.asarray(window.columns[name]).tolist() for name in names}
    print(json.dumps({"window": columns, "fitness": dataclasses.asdict(fitness)}), flush=True)


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    made = Engine(
        decode_plan(sys.argv[1].encode()),
        SystemClock(),
        read_clock_quality,
        deliver,
        lambda start, end: False,
    )
    made.start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    made.stop()


if __name__ == "__main__":
    main()
