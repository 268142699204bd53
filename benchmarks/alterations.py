"""One ticket for one misconfigured port? Faults that cut the MTU or rewrite the DSCP, with the truth known.

`python -m benchmarks.alterations [--quick]` prints one JSON document: by kind of fault how often the place
that is told is right, wrong or none, and how many tickets are told while it lasts and in the quarter of an
hour after the mend. All rules, the search for places and the engine are the collector's; links are numbers: a
full mesh of twelve sites with three nodes each (1 260 links), no sweeps of hops. Agents look for the MTU one
after the other, each minute give or take a fifth, above a known one in every tenth round only; a round in
fifty finds nothing clear. The DSCP of each window is known at its end; one link in fifty is not told of.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.causes.place_cause import PlaceCause
from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.event import Fired
from alerts.roll.subject import Subjects
from alerts.rule import load_rules
from benchmarks.machine import at_least, at_most, median, note, quick, show
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from linkgauge.schema import NODE, STATE

SITES, OF_A_SITE = 12, 3
SEEDS = 2 if quick() else 12
WINDOW_S, ROUND_S = 10, 60.0
BEFORE, DURING, AFTER = 14, 30, 90
THOROUGH_ROUNDS, UNCLEAR = 10, 0.02
USUAL = 1_500.0
FIRST_S = 1_763_726_580
RULES = load_rules()
WELL = {
    "measured": 1, "fit": 1, "good": 1, "unanswered_s": 0.0, "loss_forward_ratio": 0.0, "delay_us": 5_000.0,
    "loss_forward_upper_ratio": 0.045, "loss_forward_excess_ratio": -0.001, "delay_excess_us": -15_000.0,
    "ce_forward_ratio": 0.0,
}  # fmt: skip
Rows = NDArray[np.intp]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fault:
    """rows: of the links that are harmed. places: (kind, name) of right answers; none: no place is right."""

    kind: str
    rows: Rows
    places: frozenset[tuple[str, str]]

    @property
    def of_mtu(self) -> bool:
        return self.kind.endswith("mtu")


@dataclass(slots=True)
class Tally:
    """Of the faults of one kind. right: the place that is told, or that none is told where there is none.
    tickets_most: that one of them made; late_most: of these after the mend. links: that one harms, about."""

    has_place: bool
    right: int = 0
    none: int = 0
    wrong: int = 0
    tickets_most: int = 0
    late_most: int = 0
    links: int = 0

    def count(self, fault: Fault, told: Sequence[Fired], late: Sequence[Fired]) -> None:
        """Take in one fault: what was told during it and after."""
        labels = [each.labels for each in (*told, *late)]
        places = {(each["kind"], each["place"]) for each in labels if "place" in each}
        if places - fault.places:
            self.wrong += 1
        elif places or not fault.places:
            self.right += 1
        else:
            self.none += 1
        self.tickets_most = max(self.tickets_most, len(labels))
        self.late_most, self.links = max(self.late_most, len(late)), len(fault.rows)


class Agents:
    """When each agent's rounds end, and what they found; also an alerts.causes.small.Sizes."""

    def __init__(self, names: list[str], src: NDArray[np.intp], chance: np.random.Generator) -> None:
        self._names, self._src, self._chance = names, src, chance
        self._next_s = chance.uniform(0, ROUND_S, SITES * OF_A_SITE)
        self._round = chance.integers(0, THOROUGH_ROUNDS, SITES * OF_A_SITE)
        self.mtu = np.full(len(names), USUAL)
        self._since, self._seen = np.zeros((2, len(names)), np.int64)

    def until(self, end_s: float, truth: Reals) -> None:
        """The rounds that end until then; truth (links,): what passes."""
        for agent in np.flatnonzero(self._next_s <= end_s).tolist():
            at_ns = round((FIRST_S + self._next_s[agent]) * NS_PER_S)
            self._round[agent] += 1
            mine = (self._src == agent) & (self._chance.random(len(truth)) >= UNCLEAR)
            thorough = self._round[agent] % THOROUGH_ROUNDS == 0
            found = truth if thorough else np.minimum(truth, self.mtu)
            self._since[mine & (found != self.mtu)] = at_ns
            self.mtu[mine], self._seen[mine] = found[mine], at_ns
            self._next_s[agent] += ROUND_S * self._chance.uniform(0.8, 1.2)

    def __call__(self) -> Mapping[str, tuple[float, int, int]]:
        columns = zip(self.mtu.tolist(), self._since.tolist(), self._seen.tolist(), strict=True)
        return dict(zip(self._names, columns, strict=True))


class World:
    """The mesh, and faults in it."""

    def __init__(self) -> None:
        self.inventory = _inventory()
        self.links = list(self.inventory.links)
        self.names = [str(link) for link in self.links]
        number = {name: at for at, name in enumerate(self.inventory.nodes)}
        self.src = np.array([number[link.src] for link in self.links])
        self.dst = np.array([number[link.dst] for link in self.links])
        self.node = list(number)

    def faults(self, chance: np.random.Generator) -> list[Fault]:
        """One of each kind, at places by chance."""
        src, dst, node = self.src, self.dst, int(chance.integers(len(self.node)))
        site, other = (int(each) for each in chance.permutation(SITES)[:2])
        a, b = src // OF_A_SITE, dst // OF_A_SITE
        port, edge = {("node", self.node[node])}, {("site", f"s{site}")}
        trunk = {("trunk", f"s{site}>s{other}")}
        ends = chance.permutation(len(self.node))[:4]
        pair = np.isin(src, ends[:2]) & np.isin(dst, ends[:2])
        two = pair | (np.isin(src, ends[2:]) & np.isin(dst, ends[2:]))
        out_of_two = np.isin(np.arange(len(src)), chance.permutation(len(src))[:2])
        across = (a == site) != (b == site)
        harmed = [
            ("port mtu", (src == node) | (dst == node), port),
            ("site mtu", across, edge),
            ("link mtu", pair, set()),
            ("two links mtu", two, set()),
            ("fleet mtu", src >= 0, set()),
            ("port in remark", dst == node, port),
            ("port out remark", src == node, port),
            ("site in remark", across & (b == site), edge),
            ("trunk remark", (a == site) & (b == other), trunk),
            ("two links remark", out_of_two, set()),
            ("fleet remark", src >= 0, set()),
        ]
        return [Fault(kind, np.flatnonzero(rows), frozenset(places)) for kind, rows, places in harmed]


def main() -> None:
    logging.disable(logging.WARNING)
    world, tallies = World(), dict[str, Tally]()
    for seed in range(SEEDS):
        chance = np.random.default_rng(seed)
        for fault in world.faults(chance):
            told, late = _played(world, fault, chance)
            tally = tallies.setdefault(fault.kind, Tally(has_place=bool(fault.places)))
            tally.count(fault, told, late)
        note(f"seed {seed}: {[(kind, each.right, each.wrong) for kind, each in tallies.items()]}")
    placed = [each for each in tallies.values() if each.has_place]
    wrong = sum(each.wrong for each in tallies.values()) / (SEEDS * len(tallies))
    figures: dict[str, Any] = {"links": len(world.names), "faults_of_a_kind": SEEDS}
    figures |= {"kinds": {kind: asdict(each) for kind, each in tallies.items()}}
    show("alterations", "in process; links are numbers", figures, [
        at_least("right place where there is one", 0.9, sum(e.right for e in placed) / (SEEDS * len(placed))),
        at_most("wrong place", 0.02, wrong),
        at_most("tickets of a fault with a place, median of the kinds' most", 1,
                median([each.tickets_most for each in placed])),
    ])  # fmt: skip


def _played(world: World, fault: Fault, chance: np.random.Generator) -> tuple[list[Fired], list[Fired]]:
    """What is told while the fault lasts, and after it."""
    agents = Agents(world.names, world.src, chance)
    told: list[list[Fired]] = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder) / "alerts.sqlite")
        cause = PlaceCause(RULES, lambda: world.inventory, sizes=agents)
        subjects = Subjects(None, world.inventory)
        engine = AlertEngine(RULES, subjects, book, [], SystemClock(), cause)
        truth, silent = np.full(len(world.names), USUAL), chance.random(len(world.names)) < UNCLEAR
        for window in range(BEFORE + DURING + (AFTER if fault.of_mtu else 12)):
            harmed = BEFORE <= window < BEFORE + DURING
            if fault.of_mtu:
                truth[fault.rows] = USUAL - 100 if harmed else USUAL
                agents.until((window + 1) * WINDOW_S, truth)
            remarked = fault.rows if harmed and not fault.of_mtu else fault.rows[:0]
            state = _state(world, window, agents.mtu, remarked, silent)
            events = engine.observe({"state": state, "node": _node(world, window)}).events
            told[window >= BEFORE + DURING] += [each for each in events if isinstance(each, Fired)]
        book.close()
    return told[0], told[1]


def _state(world: World, window: int, mtu: Reals, remarked: Rows, silent: NDArray[np.bool_]) -> Frame:
    n = len(world.names)
    columns: dict[str, Any] = {name: np.full(n, value) for name, value in WELL.items()}
    columns |= {"link": np.array(world.names, np.object_), **_times(n, window)}
    columns["mtu_shrunk_bytes"] = np.where(mtu < USUAL, USUAL - mtu, np.nan)
    columns["remarked_forward_ratio"] = np.full(n, np.nan)
    columns["remarked_forward_ratio"][remarked] = 1.0
    columns["ce_forward_ratio"][silent] = columns["remarked_forward_ratio"][silent] = np.nan
    return Frame.of(STATE, columns)


def _node(world: World, window: int) -> Frame:
    keys = dict.fromkeys(("node", "site", "region", "operator"), world.node)
    return Frame.of(NODE, {**keys, **_times(len(world.node), window)})


def _times(rows: int, window: int) -> dict[str, Any]:
    start_ns = (FIRST_S + window * WINDOW_S) * NS_PER_S
    return {"start_ns": np.full(rows, start_ns), "length_ns": np.full(rows, WINDOW_S * NS_PER_S)}


def _inventory() -> Inventory:
    file = {
        "version": 1,
        "sites": [{"name": f"s{site}", "region": "r", "operator": "o"} for site in range(SITES)],
        "networks": [{"name": "net", "kind": "backbone"}],
        "nodes": [
            {"name": f"s{site}-{n}", "site": f"s{site}", "addresses": {"net": f"10.0.{site}.{n + 1}"}}
            for site in range(SITES)
            for n in range(OF_A_SITE)
        ],
    }
    return build(InventoryFile.model_validate(file), "benchmark")


if __name__ == "__main__":
    main()
