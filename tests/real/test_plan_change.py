"""The inventory changes in mid-run, again and again: no window of a link that stays is missing or doubled,
and a new node whose agent starts before its peers know it loses nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from collector.sinks.archive_reader import ArchiveReader
from console.demo import files
from linkgauge.clock import NS_PER_S
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.model import Link
from linkgauge.schema import THROUGHPUT
from tests.real.lateness import Lateness
from tests.real.rig import NODES, PORTS, Rig
from tests.real.witness import Witness

NEW = "jinan-2"
TAKE_OVER_S = 6
SPOILS_NS = 12 * NS_PER_S
"""A test that came too late keeps its far end waiting for 7 s, which then lets its own turns go by."""
LONGEST_TEST_NS = 5 * NS_PER_S
"""A throughput test of a second has ended by itself by then."""
ALWAYS = [f"{src}>{dst}@backbone" for src in NODES for dst in NODES if src != dst]
FRESH = [f"{src}>{dst}@backbone" for node in NODES for src, dst in ((NEW, node), (node, NEW))]
PRIVATE = [f"{src}>{dst}@private" for src in NODES for dst in NODES if src != dst]


class Changing:
    """A rig whose agents ask for plans each second, and whose inventory is written anew."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.inventory: dict[str, Any] = yaml.safe_load(rig.inventory.read_text())
        self.inventory["probing"]["throughput"] |= {"every_s": 5, "duration_s": 1}
        self._write()
        self._add_to(rig.folder / "collector.yaml", plan_take_over_s=TAKE_OVER_S)
        for node in NODES:
            self._add_to(rig.folder / node / "agent.yaml", plan_refresh_s=1)

    def change(self, **parts: Any) -> None:
        """Write the inventory with these parts, and wait until the plans have taken over."""
        before = self._taken()
        self._change(**parts)
        self.rig.wait(lambda: self._taken() > before, "the new plans")
        time.sleep(max(0, self._taken() - time.time_ns()) / NS_PER_S + 1.5)

    def _change(self, **parts: Any) -> None:
        self.inventory |= parts
        self._write()

    def _taken(self) -> int:
        """When the newest plan that an agent has taken over is in force."""
        plans = [self.rig.folder / node / "data" / "plan.json" for node in NODES]
        return max(int(json.loads(plan.read_bytes())["takes_over_ns"]) for plan in plans)

    def listed(self, links: list[str]) -> dict[str, Any]:
        """The private network with these links only."""
        networks = [
            network | {"mesh": "listed" if network["name"] == "private" else "full"}
            for network in self.inventory["networks"]
        ]
        return {"networks": networks, "links": [{"link": link} for link in links]}

    def add_node(self) -> None:
        """Its agent asks for a plan already when the inventory gets it: as soon as all the others do."""
        whole = files.inventory(self.rig.topology, PORTS)
        node = next(node for node in whole["nodes"] if node["name"] == NEW)
        files.write_agent(self.rig.folder, NEW, self.rig._world, self.rig.api, PORTS)
        self._add_to(self.rig.folder / NEW / "agent.yaml", plan_refresh_s=1)
        self.rig.start_agent(NEW)
        self.rig.wait(lambda: "gives no plan" in self.rig.log(NEW), "the new node to ask")
        self._change(nodes=[*self.inventory["nodes"], node])
        self.rig.wait(lambda: "plan in force: 0 links" in self.rig.log(NEW), "the new node to answer")

    def measured(self, link: str) -> int:
        """Windows of STAMP of a link that the collector has archived."""
        reader = ArchiveReader(self.rig.archive)
        try:
            return sum(key[3:5] == (link, "stamp") for key in reader.keys("window"))
        finally:
            reader.close()

    def _write(self) -> None:
        new = self.rig.inventory.with_suffix(".new")
        files.write_yaml(new, self.inventory)
        new.replace(self.rig.inventory)

    @staticmethod
    def _add_to(path: Path, **keys: Any) -> None:
        path.write_text(path.read_text() + yaml.safe_dump(keys))


def test_no_window_is_lost_or_doubled_when_the_plan_changes(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig, Witness() as witness:
        changing = Changing(rig)
        rig.start_all()
        rig.wait(lambda: rig.accepted() == 12, "all links to be measured")
        all_run_ns = time.time_ns()
        changing.change(**changing.listed(PRIVATE[:4]))
        changing.change(**changing.listed(PRIVATE))
        stamp = changing.inventory["probing"]["stamp"]
        changing.change(probing=changing.inventory["probing"] | {"stamp": stamp | {"rate_pps": 40}})
        changing.add_node()
        for link in FRESH:
            rig.wait(lambda link=link: changing.measured(link) > 6, f"{link} to be measured")  # type: ignore[misc]  # mypy does not see the default
        ended_ns = time.time_ns()
        rig.end_all()
        reader = ArchiveReader(rig.archive)
        windows = reader.windows(None, 0, 2**62)
        rows = Counter(key[3:] for key in reader.keys("window"))
        tests = reader.read(THROUGHPUT, 0, 2**62)
        reader.close()
    windows = windows.take((windows.text("probe") == "stamp") & (windows.count("length_ns") == NS_PER_S))
    late = Lateness.of(windows)
    print(late)
    for link in ALWAYS:
        _check_whole(windows.take(windows.text("link") == link), link, late)
    for links, since_ns in ((ALWAYS, all_run_ns), (PRIVATE, all_run_ns), (FRESH, 0)):
        for link in links:
            starts = windows.count("start_ns")
            inner = (starts >= since_ns) & (starts + NS_PER_S <= ended_ns)  # agents begin and end one by one
            _check_honest(windows.take(inner & (windows.text("link") == link)), link, late)
    assert max(rows.values()) <= 2, "a window is told once, and corrected once more at most"
    starts = tests.count("start_ns")
    inner = (starts > all_run_ns) & (starts < ended_ns - LONGEST_TEST_NS)  # agents begin and end one by one
    _check_tests(tests)
    _check_outcomes(tests.take(inner), late, witness)


def _check_whole(of_link: Frame, link: str, late: Lateness) -> None:
    """A window for each second, in which something was sent, but where its agent says that it stood still."""
    of_link = of_link.take(np.argsort(of_link.count("start_ns")))
    starts = of_link.count("start_ns").tolist()
    assert len(starts) > 4 * TAKE_OVER_S
    assert len(starts) == len(set(starts)), f"{link}: windows are doubled"
    missing = set(range(starts[0], starts[-1], NS_PER_S)) - set(starts)
    told = [start_ns for start_ns in sorted(missing) if not late.touched(link, start_ns)]
    assert told == [], f"{link}: windows are missing"
    empty = of_link.count("start_ns")[:-1][of_link.count("sent")[:-1] == 0].tolist()
    assert [start_ns for start_ns in empty if not late.touched(link, start_ns)] == [], f"{link}: nothing sent"


def _check_honest(inner: Frame, link: str, late: Lateness) -> None:
    """Nothing was lost on loopback, so nothing may be told as lost, nor as refused in mid-run."""
    assert inner.rows > 0
    for field in ("lost_forward", "lost_backward", "lost_unattributed", "refused", "send_failed"):
        told = inner.count("start_ns")[inner.count(field) > 0].tolist()
        assert [start_ns for start_ns in told if not late.touched(link, start_ns)] == [], f"{link}: {field}"


def _check_tests(tests: Frame) -> None:
    """No node was in two at once, before, between and after the changes."""
    assert tests.rows > 0
    spans = [
        (Link.parse(link), start_ns, start_ns + length_ns)
        for link, start_ns, length_ns in zip(
            tests.text("link").tolist(),
            tests.count("start_ns").tolist(),
            tests.count("length_ns").tolist(),
            strict=True,
        )
    ]
    for (one, start_ns, end_ns), (other, since_ns, until_ns) in combinations(spans, 2):
        together = start_ns < until_ns and since_ns < end_ns
        assert not (together and {one.src, one.dst} & {other.src, other.dst}), f"{one} and {other}"


def _check_outcomes(tests: Frame, late: Lateness, witness: Witness) -> None:
    """Both ends of every test were there: what was not measured fell in a time when the machine was slow."""
    of = zip(
        tests.text("link").tolist(),
        tests.count("start_ns").tolist(),
        tests.count("outcome").tolist(),
        strict=True,
    )
    rest = [
        (link, start_ns, Outcome(outcome))
        for link, start_ns, outcome in of
        if NEW not in (Link.parse(link).src, Link.parse(link).dst)  # the new node's agent starts later
        and outcome != Outcome.MEASURED.value
    ]
    print(rest, witness.slow)
    assert len(rest) < tests.rows
    for link, start_ns, outcome in rest:
        slow_s = witness.slow_s(start_ns - SPOILS_NS, start_ns + LONGEST_TEST_NS)
        assert slow_s or late.touched(link, start_ns), (link, start_ns, outcome)
