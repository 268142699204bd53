"""What planning costs: from an inventory file to the plan of every node, and what a changed file costs.

`python -m benchmarks.planning [--quick]` prints one JSON document. Each size is a process of its own, so that
its peak of resident memory (getrusage(2)) is that of this size, the interpreter and its libraries included.
Sites grow with the root of the nodes as they do in use; two networks, thinned. While a changed file is read
by its thread, another asks for plans all the time: the longest answer is what an agent would wait.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.machine import at_most, median, note, quick, show
from collector.plans.plan import Planner
from collector.plans.plan_book import PlanBook
from linkgauge.inventory import load
from linkgauge.plan import encode_plan

SIZES = (
    ((100, 10), (300, 30), (1_000, 50)) if quick() else ((100, 10), (1_000, 50), (3_000, 100), (10_000, 200))
)
RUNS = 1 if quick() else 3
LARGEST_S, LARGEST_MB = 10.0, 1024.0
_ASK_S = 0.005


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(_measure(int(sys.argv[2]), int(sys.argv[3]))))
        return
    found: dict[str, dict[str, Any]] = {}
    for nodes, sites in SIZES:
        note(f"{nodes} nodes in {sites} sites")
        runs = [_child(nodes, sites) for _ in range(RUNS)]
        middle = {key: median([run[key] for run in runs]) for key in runs[0]}
        found[f"{nodes} nodes in {sites} sites"] = {**middle, "runs": runs}
    largest = found[f"{SIZES[-1][0]} nodes in {SIZES[-1][1]} sites"]
    goals = [
        at_most("plans of 10 000 nodes in 200 sites, s", LARGEST_S, None if quick() else largest["all_s"]),
        at_most("its peak memory, MB", LARGEST_MB, None if quick() else largest["peak_mb"]),
    ]
    figure = "file to encoded plans of all nodes, s of the wall clock; medians of the runs"
    show("planning", "one process, nothing else of ours", {"figure": figure, "figures": found}, goals)


def _child(nodes: int, sites: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.planning", "one", str(nodes), str(sites)]
    made: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return made


def _measure(nodes: int, sites: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.yaml"
        path.write_text(_file(nodes, sites))
        times = [time.perf_counter()]
        inventory = load(path)
        times.append(time.perf_counter())
        links = len(inventory.links)
        times.append(time.perf_counter())
        planner = Planner(inventory)
        times.append(time.perf_counter())
        octets = sum(len(encode_plan(planner.plan(node))) for node in inventory.nodes)
        times.append(time.perf_counter())
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        parts = [after - before for before, after in pairwise(times)]
        named = dict(zip(("load_s", "links_s", "timetable_s", "plans_s"), parts, strict=True))
        found = {
            "links": links,
            **named,
            "all_s": sum(parts),
            "peak_mb": peak_mb,
            "plan_octets": octets / nodes,
        }
        del planner, inventory
        found |= _reread(path)
    return {name: round(value, 4) for name, value in found.items()}


def _reread(path: Path) -> dict[str, float]:
    """How long a changed file takes, and the longest answer meanwhile."""
    book = PlanBook(path, patience_s=0)
    before, longest_s = book.inventory(), 0.0
    path.write_text(path.read_text() + "\n")
    began_s = time.perf_counter()
    while book.inventory() is before:
        asked_s = time.perf_counter()
        book.plan("n1")
        longest_s = max(longest_s, time.perf_counter() - asked_s)
        time.sleep(_ASK_S)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "reread_s": time.perf_counter() - began_s,
        "longest_answer_meanwhile_s": longest_s,
        "peak_with_both_editions_mb": peak_mb,
    }


def _file(nodes: int, sites: int) -> str:
    lines = ["version: 1", "sites:"]
    lines += [f"  - {{name: s{at}, region: r{at % 20}, operator: o}}" for at in range(sites)]
    lines += ["networks:"]
    lines += [f"  - {{name: {name}, kind: private, mesh: thinned}}" for name in ("backbone", "private")]
    lines += ["nodes:"]
    for at in range(1, nodes + 1):
        tail = f"{at >> 16}.{at >> 8 & 255}.{at & 255}"
        addresses = f"{{backbone: 10.{tail}, private: 11.{tail}}}"
        lines.append(f"  - {{name: n{at}, site: s{at % sites}, addresses: {addresses}}}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
