"""False alerts in a day of healthy traffic: 1 056 simulated links, through ledger, rules, causes and engine.

`python -m benchmarks.healthy [--quick]` prints one JSON document. The network is benchmarks.simulated's, with
its noise; each window goes through the Ledger and the alert engine as in a collector, with all rules; what
the engine tells is a false alert, as nothing was wrong. The collector's own rows and those of nodes are
healthy ones with their small troubles. Not in it: paths, events, certificates and throughput.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from alerts.book import Book
from alerts.event import Event, Fired
from benchmarks.machine import at_most, note, quick, show
from benchmarks.simulated import (
    FLOW_WINDOWS,
    WINDOW_NS,
    Network,
    alert_engine,
    no_throughput,
    own_rows,
    windows,
)
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from quality.ledger import Ledger

HOURS = 1 if quick() else 24
SEED = 5
START_NS = 1_700_006_400 * NS_PER_S
"""A midnight, UTC."""
_SHOWN = 12


def main() -> None:
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        found = _day(Path(folder))
    goal = at_most(f"false alerts in {HOURS} h of healthy traffic", 0, found["false_alerts"])
    show("healthy", "numbers only: rows of windows as agents report them", found, [goal])


def _day(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(SEED)
    network = Network(chance)
    book = Book(folder / "alerts.sqlite")
    ledger = Ledger(WINDOW_NS, round(network.inventory.period_s * NS_PER_S))
    engine = alert_engine(network, ledger, book)
    told: list[Event] = []
    lost = np.zeros(len(network.specs), np.int64)
    judge_s, alert_s, breaches, packets_lost = 0.0, 0.0, 0, 0
    count = HOURS * 3_600 * NS_PER_S // WINDOW_NS
    for number in range(count):
        start_ns = START_NS + number * WINDOW_NS
        columns = network.window(start_ns)
        lost += columns["lost_forward"]
        packets_lost += int(columns["lost_forward"].sum())
        flows = []
        if number % FLOW_WINDOWS == FLOW_WINDOWS - 1:
            flows = [network.flows(start_ns, lost)]
            lost[:] = 0
        rows, own = windows(columns), own_rows(network, start_ns, chance)
        began_s = time.process_time()
        ledger.absorb([rows], flows, network.specs, "0")
        state = ledger.judge(no_throughput(), start_ns)
        judged_s = time.process_time()
        told += engine.observe({"state": state, **own}).events
        alert_s += time.process_time() - judged_s
        judge_s += judged_s - began_s
        breaches += _breaches(state)
        if number % 360 == 359:
            note(f"{(number + 1) / 360:.0f} h, {len(told)} messages {[event.id for event in told[-4:]]}")
    fired = [event for event in told if isinstance(event, Fired)]
    held = engine.counters["held_back"]
    book.close()
    return {
        "links": len(network.specs),
        "hours": HOURS,
        "windows": int(count) * len(network.specs),
        "packets_lost": packets_lost,
        "windows_with_a_breach": breaches,
        "false_alerts": len(fired),
        "held_back": held,
        "by_rule": dict(Counter(event.labels["rule"] for event in fired)),
        "first": [f"{event.id}: {event.summary}" for event in fired[:_SHOWN]],
        "judge_cpu_ms_per_window": round(judge_s / count * 1e3, 2),
        "alerts_cpu_ms_per_window": round(alert_s / count * 1e3, 2),
        "cpu_s": round(time.process_time(), 1),
    }


def _breaches(state: Frame) -> int:
    """Links of a window whose loss, delay or variation is beyond its bound for sure."""
    names = ("loss_forward_excess_ratio", "delay_excess_us", "pdv_excess_us", "asymmetry_excess_us")
    with np.errstate(invalid="ignore"):
        return int(np.logical_or.reduce([state.real(name) > 0 for name in names]).sum())


if __name__ == "__main__":
    main()
