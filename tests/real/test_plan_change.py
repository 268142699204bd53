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
from console.demo.processes import end
from linkgauge.clock import NS_PER_S
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.model import Link
from linkgauge.schema import THROUGHPUT
from tests.real.rig import NODES, PORTS, Rig

NEW = "jinan-2"
TAKE_OVER_S = 6
ALWAYS = [f"{src}>{dst}@backbone" for src in NODES for dst in NODES if src != dst]
FRESH = [f"{src}>{dst}@backbone" for node in NODES for src, dst in ((NEW, node), (node, NEW))]
PRIVATE = [f"{src}>{dst}@private" for src in NODES for dst in NODES if src != dst]


class Changing:
    """A rig whose agents ask for plans each second, and whose inventory is written anew."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.inventory: dict[str, Any] = yaml.safe_load(rig.inventory.read_text())
        self.inventory["probing"]["throughput"] |= {"every_s": 5, "duration_s": 0.5}
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
        """Start its agent as soon as the inventory has it, before all the others ask for their plans."""
        whole = files.inventory(self.rig.topology, PORTS)
        node = next(node for node in whole["nodes"] if node["name"] == NEW)
        files.write_agent(self.rig.folder, NEW, self.rig._world, self.rig.api, PORTS)
        self._add_to(self.rig.folder / NEW / "agent.yaml", plan_refresh_s=1)
        self._change(nodes=[*self.inventory["nodes"], node])
        self.rig.start_agent(NEW)
        self.rig.wait(lambda: "plan in force: 0 links" in self.rig.log(NEW), "the new node to answer")

    def _write(self) -> None:
        new = self.rig.inventory.with_suffix(".new")
        files.write_yaml(new, self.inventory)
        new.replace(self.rig.inventory)

    @staticmethod
    def _add_to(path: Path, **keys: Any) -> None:
        path.write_text(path.read_text() + yaml.safe_dump(keys))


def test_no_window_is_lost_or_doubled_when_the_plan_changes(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        changing = Changing(rig)
        rig.start_all()
        rig.wait(lambda: rig.accepted() == 12, "all links to be measured")
        changing.change(**changing.listed(PRIVATE[:4]))
        changing.change(**changing.listed(PRIVATE))
        stamp = changing.inventory["probing"]["stamp"]
        changing.change(probing=changing.inventory["probing"] | {"stamp": stamp | {"rate_pps": 40}})
        changing.add_node()
        rig.wait(lambda: rig.accepted() == 18, "the new node to be measured")
        time.sleep(5)  # the last windows are left out
        faults = end(list(rig.agents.values()))
        assert rig.collector is not None
        faults += end([rig.collector])  # which hands to its stores what is in its journal
        rig.agents, rig.collector = {}, None
        assert not faults
        reader = ArchiveReader(tmp_path / "collector" / "archive")
        windows = reader.windows(None, 0, 2**62)
        rows = Counter(key[3:] for key in reader.keys("window"))
        tests = reader.read(THROUGHPUT, 0, 2**62)
        reader.close()
    windows = windows.take((windows.text("probe") == "stamp") & (windows.count("length_ns") == NS_PER_S))
    for link in ALWAYS:
        _check_whole(windows.take(windows.text("link") == link), link)
    for link in PRIVATE:
        _check_honest(windows.take(windows.text("link") == link), link)
    for link in FRESH:
        _check_honest(windows.take(windows.text("link") == link), link, from_start=True)
    assert max(rows.values()) <= 2, "a window is told once, and corrected once more at most"
    _check_tests(tests)


def _check_whole(of_link: Frame, link: str) -> None:
    starts = np.sort(of_link.count("start_ns"))
    assert len(starts) > 4 * TAKE_OVER_S
    holes = starts[:-1][np.diff(starts) != NS_PER_S]
    assert holes.tolist() == [], f"{link}: windows are missing or doubled"
    assert (of_link.count("sent")[:-1] > 0).all()
    _check_honest(of_link, link)


def _check_honest(of_link: Frame, link: str, from_start: bool = False) -> None:
    """Nothing was lost on loopback, so nothing may be told as lost, nor as refused in mid-run."""
    first = 0 if from_start else 2  # agents begin and end one by one
    inner = of_link.take(np.argsort(of_link.count("start_ns"))[first:-3])
    assert inner.rows > 0
    for field in ("lost_forward", "lost_backward", "lost_unattributed", "refused", "send_failed"):
        assert inner.count(field).sum() == 0, f"{link}: {field}"


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
    old = [NEW not in (link.src, link.dst) for link, _, _ in spans]  # the new node's agent starts later
    starts = tests.count("start_ns")
    ends_ns = 3 * NS_PER_S  # agents begin and end one by one
    inner = (starts > starts.min() + ends_ns) & (starts < starts.max() - ends_ns)
    outcomes = tests.count("outcome")[old & inner]
    assert set(outcomes.tolist()) == {Outcome.MEASURED.value}
