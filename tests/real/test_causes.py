"""The likely place through the whole chain: the lab's faults, whose truth is known, real agents, collector
and alerts. One page says where it is, and nobody is told of the links."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from collector.sinks.archive_reader import ArchiveReader
from console.demo.chain import Chain
from console.drill.setting import lab_fault, lab_setting
from lab.faults.fault import Fault, Truth
from linkgauge.clock import NS_PER_S
from linkgauge.schema import PATH

pytestmark = pytest.mark.root

WINDOW_S = 2
LINKS = 30
FLOWS = {"trunk": 1, "paths": 6}
COMMON, NODE_DOWN = "common-cause", "node-down"
WITHIN_S = 100.0
"""Of a machine on which much else runs; a place is told after one to three windows."""


class Lab:
    """A chain in which one fault after the other is played."""

    def __init__(self, chain: Chain, flows: int) -> None:
        self.chain, self.flows = chain, flows

    def swept(self) -> int:
        """Flows of links whose way stands in the archive."""
        now_ns = time.time_ns()
        with contextlib.closing(ArchiveReader(self.chain.archive)) as reader:
            rows = reader.read(PATH, now_ns - 600 * NS_PER_S, now_ns + NS_PER_S)
        return len(set(zip(rows.text("link").tolist(), rows.text("flow").tolist(), strict=True)))

    def wait(self, ready: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        deadline_s = time.monotonic() + within_s
        while not ready():
            self.chain.check()
            assert time.monotonic() < deadline_s, f"waited {within_s:.0f} s for {what}: {self.alerts()}"
            time.sleep(0.2)

    def alerts(self) -> list[dict[str, Any]]:
        """What fires, but for what the lab is silenced for."""
        answer = httpx.get(f"{self.chain.api}/v1/alerts", timeout=5, trust_env=False)
        told: list[dict[str, Any]] = answer.json()
        return [each for each in told if not str(each["held"] or "").startswith("silence")]

    def lasting(self) -> list[str]:
        """What fires, but for flow-loss: it compares flows over five minutes and is over only then."""
        return [each["id"] for each in self.alerts() if each["rule"] != "flow-loss"]

    def ready(self) -> None:
        """Every link is measured, and the flows of every link were swept."""

        def measured() -> bool:
            ages_s = [link["age_s"] for link in self.chain.live_links()]
            return len([age_s for age_s in ages_s if age_s is not None and age_s < 15]) == LINKS

        self.wait(measured, "all links to be measured", 90)
        self.wait(lambda: self.swept() >= LINKS * self.flows, "all flows to be swept", 90)
        self.wait(lambda: not self.alerts(), "quiet")

    def play(self, kind: str, told: Callable[[], bool]) -> tuple[Truth, list[dict[str, Any]]]:
        """Break it until `told`, mend it; the truth and the pages that came of it until all was quiet."""
        fault: Fault = lab_fault(kind, None, None, None)
        before = len(self.chain.pager.pages)
        truth = self.chain.world.inject(fault)
        try:
            self.wait(told, f"{kind} to be told")
        finally:
            self.chain.world.clear_faults()
        self.wait(lambda: not self.lasting(), f"{kind} to be over", 60)
        return truth, [page.body for page in self.chain.pager.pages[before:]]

    def firing(self, rule: str) -> list[dict[str, Any]]:
        return [each for each in self.alerts() if each["rule"] == rule]

    def held_links(self, by: str) -> int:
        """Alerts of links that the alert holds back, of those that fire."""
        held = [each for each in self.alerts() if each["cause"] == by and not each["told"]]
        return len([each for each in held if each["link"]])

    def explained(self, links: int) -> bool:
        """Whether one place holds back the alerts of so many links."""
        return any(self.held_links(each["id"]) >= links for each in self.firing(COMMON))


@pytest.fixture(scope="module", params=["trunk", "paths"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    chain = Chain(folder, loopback=False, setting=lab_setting("loss", request.param, WINDOW_S))
    with chain:
        chain.start(Console(quiet=True))
        lab = Lab(chain, FLOWS[request.param])
        lab.ready()
        yield lab


def begun(pages: list[dict[str, Any]]) -> list[str]:
    return [page["id"] for page in pages if page["status"] == "firing"]


def place(page: dict[str, Any]) -> tuple[str, str]:
    return page["labels"]["kind"], page["labels"]["place"]


@pytest.mark.parametrize("lab", ["trunk"], indirect=True)
class TestOneTrunk:
    def test_a_dead_site_uplink(self, lab: Lab) -> None:
        truth, pages = lab.play("site-down", lambda: lab.explained(16))
        assert begun(pages) == ["common-cause/site:guiyang/both"]
        assert place(pages[0]) in truth.places
        assert "links over it are in trouble while" in pages[0]["place"]

    def test_a_dead_node(self, lab: Lab) -> None:
        def told() -> bool:
            return bool(lab.firing(NODE_DOWN)) and lab.held_links("node-down/guiyang-1/-") >= 5

        _, pages = lab.play("node-down", told)
        assert set(begun(pages)) <= {"node-down/guiyang-1/-", *_of_node(pages, "guiyang-1")}
        assert "node-down/guiyang-1/-" in begun(pages)

    def test_a_bad_receiver(self, lab: Lab) -> None:
        truth, pages = lab.play("bad-receiver", lambda: lab.explained(4))
        assert begun(pages) == ["common-cause/node:guiyang-1/in"]
        assert place(pages[0]) in truth.places

    def test_a_congested_trunk(self, lab: Lab) -> None:
        truth, pages = lab.play("congest", lambda: lab.explained(2))
        [page] = [page for page in pages if page["rule"] == COMMON and page["status"] == "firing"]
        assert place(page) in truth.places
        assert page["direction"] == "in"


@pytest.mark.parametrize("lab", ["paths"], indirect=True)
class TestEqualPaths:
    def test_a_bad_equal_path(self, lab: Lab) -> None:
        truth, pages = lab.play("path-blackhole", lambda: lab.explained(6))
        places = [page for page in pages if page["rule"] == COMMON and page["status"] == "firing"]
        assert len(places) == 1
        page = places[0]
        others = {tuple(each.split(" ", 1)) for each in _others(page)}
        assert place(page) in truth.places or others & truth.places


def _of_node(pages: list[dict[str, Any]], node: str) -> set[str]:
    """Pages of places that are the node: told when loss was seen before it was surely dead."""
    return {page["id"] for page in pages if page["labels"].get("place") == node}


def _others(page: dict[str, Any]) -> list[str]:
    return str(page["place"]).partition("cannot tell it from ")[2].split(", ")
