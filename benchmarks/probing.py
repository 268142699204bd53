"""What a probe costs: STAMP round trips on loopback, with fping beside it in the same run where installed.

`python -m benchmarks.probing` prints one JSON document. Sender and reflector run in processes of their own;
the figure is round trips per CPU-second of the sender (user and system time), median of the runs.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Event

from linkgauge.clock import NS_PER_S, SystemClock, read_clock_quality
from linkgauge.frame import Frame
from linkgauge.wire import VERSION, Plan, PlanLink
from probes.engine import Engine, Fitness
from probes.standalone import StandaloneReflector, parse_allowed

RUNS = 3
SECONDS = 4
TARGETS = 200
RATE_PPS = 10
SENDER, REFLECTOR, PORT = "127.77.0.1", "127.77.0.2", 18_862


def reflect(stop: Event) -> None:
    """Answer until told to stop."""
    reflector = StandaloneReflector(
        [(REFLECTOR, PORT)], parse_allowed([SENDER]), SystemClock(), read_clock_quality
    )
    ended = threading.Event()
    threading.Thread(target=reflector.run, args=(ended,)).start()
    stop.wait()
    ended.set()


def probe(results: multiprocessing.Queue[dict[str, float]]) -> None:
    """One run of the engine; reports replies and processor time."""
    links = [PlanLink(f"a>b{n}@bench", SENDER, REFLECTOR) for n in range(TARGETS)]
    plan = Plan(
        VERSION, "a", NS_PER_S, links, [], [], NS_PER_S // RATE_PPS, NS_PER_S // 2, PORT, [0],
        0, 0, 0, 0, 0, 0, 0, 0, [],
    )  # fmt: skip
    replied = sent = 0

    def deliver(frame: Frame, fitness: Fitness) -> None:
        nonlocal replied, sent
        replied += int(frame.count("replied").sum())
        sent += int(frame.count("sent").sum())

    engine = Engine(plan, SystemClock(), read_clock_quality, deliver, lambda start, end: False)
    began_s = time.process_time()
    engine.start()
    time.sleep(SECONDS + 2)
    engine.stop()
    cpu_s = time.process_time() - began_s
    results.put({"sent": sent, "replied": replied, "cpu_s": cpu_s, "per_cpu_s": replied / cpu_s})


def fping() -> float | None:
    """The same load by fping: round trips per CPU-second; None when it is not installed."""
    program = shutil.which("fping")
    if program is None:
        return None
    targets = [f"127.77.1.{n}" for n in range(1, TARGETS + 1)]
    count = SECONDS * RATE_PPS
    before = os.times()
    argv = [program, "-q", "-i", "1", "-p", str(1000 // RATE_PPS), "-c", str(count), *targets]
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return TARGETS * count / cpu_s


def main() -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    reflector = context.Process(target=reflect, args=(stop,))
    reflector.start()
    time.sleep(1)
    ours, rival = [], []
    for _ in range(RUNS):
        results: multiprocessing.Queue[dict[str, float]] = context.Queue()
        run = context.Process(target=probe, args=(results,))
        run.start()
        ours.append(results.get())
        run.join()
        if (other := fping()) is not None:
            rival.append(other)
    stop.set()
    reflector.join()
    median = statistics.median(run["per_cpu_s"] for run in ours)
    document = {
        "load": f"{TARGETS} targets x {RATE_PPS} per second on loopback, windows and transmit stamps on",
        "round_trips_per_cpu_s": round(median),
        "runs": ours,
        "fping_round_trips_per_cpu_s": round(statistics.median(rival)) if rival else None,
        "ratio_to_fping": round(median / statistics.median(rival), 2) if rival else None,
    }
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
