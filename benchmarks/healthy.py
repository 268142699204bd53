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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from alerts.delivery.book import Book
from alerts.event import Fired
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
_WINDOWS_AN_HOUR = 3_600 * NS_PER_S // WINDOW_NS


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
    fired: list[Fired] = []
    judge_s, alert_s, breaches, packets_lost = 0.0, 0.0, 0, 0
    count = HOURS * _WINDOWS_AN_HOUR
    for number, (start_ns, rows, flows) in enumerate(_rows(network, count), 1):
        own = own_rows(network, start_ns, chance)
        began_s = time.process_time()
        ledger.absorb([rows], flows, network.specs, "0")
        state = ledger.judge(no_throughput(), start_ns)
        judged_s = time.process_time()
        events = engine.observe({"state": state, **own}).events
        alert_s += time.process_time() - judged_s
        judge_s += judged_s - began_s
        fired += [event for event in events if isinstance(event, Fired)]
        breaches += _breaches(state)
        packets_lost += int(rows.count("lost_forward").sum())
        if number % _WINDOWS_AN_HOUR == 0:
            note(f"{number // _WINDOWS_AN_HOUR} h, {len(fired)} alerts {[event.id for event in fired[-4:]]}")
    held = engine.counters["held_back"]
    book.close()
    return {
        "links": len(network.specs),
        "hours": HOURS,
        "windows": count * len(network.specs),
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


def _rows(network: Network, count: int) -> Iterator[tuple[int, Frame, list[Frame]]]:
    """(start, WINDOW rows, FLOW rows now and then) of so many windows."""
    lost = np.zeros(len(network.specs), np.int64)
    for number in range(count):
        start_ns = START_NS + number * WINDOW_NS
        rows = windows(network.window(start_ns))
        lost += rows.count("lost_forward")
        flows = []
        if number % FLOW_WINDOWS == FLOW_WINDOWS - 1:
            flows = [network.flows(start_ns, lost)]
            lost[:] = 0
        yield start_ns, rows, flows


def _breaches(state: Frame) -> int:
    """Links of a window whose loss, delay or variation is beyond its bound for sure."""
    names = ("loss_forward_excess_ratio", "delay_excess_us", "pdv_excess_us", "asymmetry_excess_us")
    with np.errstate(invalid="ignore"):
        return int(np.logical_or.reduce([state.real(name) > 0 for name in names]).sum())


if __name__ == "__main__":
    main()
