"""How punctual 10 000 sessions are that send once a second: departures beside an even spacing.

`python -m benchmarks.timing [--quick]` prints one JSON document. Our reflector in C at the other end of the
veth pair logs the kernel's receive stamp of each packet, which is taken on the sender's core while the packet
is sent. Of each session the stamp of packet k is compared with start + k * interval, `start` being the
median over its packets; the error of a packet is its distance from that. Missed slots are the engine's own
count.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import compiled, ours
from benchmarks.machine import Goal, at_most, note, quick, show
from benchmarks.world import world
from linkgauge.clock import NS_PER_S

SESSIONS = 1000 if quick() else 10_000
INTERVAL_NS = NS_PER_S
WINDOW_NS = 5 * NS_PER_S
WINDOWS = 1 if quick() else 4
RUNS = 1 if quick() else 3
AT_LEAST = 4
"""Packets of a session that are compared; with fewer the median would be the packet itself."""
RECORD = np.dtype([("stamp_ns", "<u8"), ("seq", "<u4"), ("ssid", "<u4")])


def main() -> None:
    with world() as where, compiled.floor() as programs, tempfile.TemporaryDirectory() as folder:
        if programs is None:
            goal = Goal("send-time error p99, us", "<= 2000", None, None, compiled.NO_COMPILER)
            show("timing", where.setting, {}, [goal])
            return
        found: list[dict[str, Any]] = []
        for run in range(RUNS):
            note(f"run {run + 1} of {RUNS}")
            log = Path(folder, f"log{run}")
            peers = where.targets(SESSIONS)
            job = ours.Job(where.sender, peers, compiled.PORT, INTERVAL_NS, WINDOW_NS, WINDOWS + 1, "auto")
            with compiled.reflector(programs, where, log):
                windows = ours.run(where, job)
            error_us = errors_us(np.fromfile(log, RECORD))
            found.append({**_spread(error_us), **asdict(ours.cost(windows, WINDOWS))})
            found[-1]["missed"] = sum(one.sums["missed"] for one in windows)
        worst = max(run["p99_us"] for run in found)
        goals = [
            at_most("send-time error p99 of the worst run, us", 2000, worst),
            at_most("missed slots of all runs", 0, sum(run["missed"] for run in found)),
        ]
        load = f"{SESSIONS} sessions x {NS_PER_S / INTERVAL_NS:g} per second, transmit stamps auto"
        show("timing", where.setting, {"load": load, "runs": found}, goals)


def errors_us(packets: NDArray[Any]) -> NDArray[np.float64]:
    """RECORDs (n,) in any order to distances from the even spacing of each session (m,), us, absolute."""
    order = np.lexsort((packets["seq"], packets["ssid"]))
    packets = packets[order]
    since_ns = packets["stamp_ns"].astype(np.int64) - int(packets["stamp_ns"].min(initial=2**63 - 1))
    due_ns = since_ns - packets["seq"].astype(np.int64) * INTERVAL_NS
    bounds = np.flatnonzero(np.diff(packets["ssid"].astype(np.int64))) + 1
    sessions = [one for one in np.split(due_ns, bounds) if len(one) >= AT_LEAST]
    if not sessions:
        raise RuntimeError("no session sent enough packets to be judged")
    return np.concatenate([np.abs(one - np.median(one)) for one in sessions]) / 1e3


def _spread(error_us: NDArray[np.float64]) -> dict[str, Any]:
    p50, p99, p999 = np.percentile(error_us, [50, 99, 99.9])
    return {
        "packets": len(error_us),
        "p50_us": round(float(p50), 1),
        "p99_us": round(float(p99), 1),
        "p999_us": round(float(p999), 1),
        "max_us": round(float(error_us.max()), 1),
    }


if __name__ == "__main__":
    main()
