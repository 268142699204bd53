"""What alerts cost: every rule and the search for places over 10^5 links, quiet and with 1 % in trouble.

`python -m benchmarks.alerting [--quick]` prints one JSON document: CPU-seconds of one evaluation (from the
frames of a window to its events, the rows of places and alerts and the transaction in the book), of the rules
alone, and the largest memory that one evaluation took and what stayed. A full mesh of 317 nodes, ten to a
site, with the way of every link known. Noise: of the rules that hold for several windows one value in 2 000
is beyond its bound for one window. A link in trouble is unreachable, loses packets in both directions, is
slow and burns its budget, so five alerts of it fire. scattered: links by chance, which nothing explains.
nodes: all links into a few nodes. ports: all links of a few nodes, which have a smaller path MTU and whose
packets arrive with another DSCP, and nothing worse.
"""

from __future__ import annotations

import logging
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.causes.place_cause import PlaceCause
from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.evaluation.evaluate import Evaluator
from alerts.roll.subject import Subjects
from alerts.rule import load_rules, watches
from benchmarks.machine import at_most, median, note, quick, show
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, load
from linkgauge.schema import NODE, STATE
from linkgauge.table import Kind

NODES = 101 if quick() else 317
OF_A_SITE = 10
WINDOWS = 8 if quick() else 20
WINDOW_NS = 10 * NS_PER_S
FIRST_NS = 1_763_726_580 * NS_PER_S
NOISE, BAD = 1 / 2_000, 0.01
RULES = load_rules()
WELL = {
    "measured": 1.0,
    "good": 1.0,
    "unanswered_s": 0.0,
    "loss_forward_ratio": 0.0,
    "loss_backward_ratio": 0.0,
    "loss_forward_lower_ratio": 0.0,
    "loss_backward_lower_ratio": 0.0,
    "loss_forward_upper_ratio": 0.0005,
    "loss_backward_upper_ratio": 0.0005,
    "loss_objective_ratio": 0.001,
    "delay_basis": 1.0,
    "delay_us": 5_000.0,
    "delay_objective_us": 20_000.0,
    "delay_excess_us": -15_000.0,
    "certificate_left_s": 1e7,
    "ce_forward_ratio": 0.0,
    "ce_backward_ratio": 0.0,
    "mtu_shrunk_bytes": np.nan,
    "remarked_forward_ratio": np.nan,
    "remarked_backward_ratio": np.nan,
}
"""Fields of a link that is well."""
BEYOND = {
    "unanswered_s": 30.0,
    "loss_forward_excess_ratio": 0.2,
    "loss_forward_spread_ratio": 0.2,
    "loss_backward_excess_ratio": 0.2,
    "loss_backward_spread_ratio": 0.2,
    **{f"loss_{way}_ratio": 0.3 for way in ("forward", "backward")},
    **{f"loss_{way}_lower_ratio": 0.2 for way in ("forward", "backward")},
    **{f"loss_{way}_upper_ratio": 0.4 for way in ("forward", "backward")},
    "delay_us": 25_000.0,
    "delay_excess_us": 5_000.0,
    "burn_fast_ratio": 40.0,
}
"""Fields of a link in trouble."""
ALTERED = {"mtu_shrunk_bytes": 100.0, "remarked_forward_ratio": 1.0}
"""The same of a link whose packets are altered."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one scene; CPU-seconds of a window, and MB."""

    alerts_firing: int
    places: int
    events_told: int
    cpu_median_s: float
    cpu_most_s: float
    rules_alone_cpu_median_s: float
    peak_of_one_mb: float
    kept_mb: float


class Scene:
    """A mesh and its frames. trouble: rows of links that are in trouble all the time."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory, self._chance = inventory, np.random.default_rng(1)
        self.links = list(inventory.links)
        self.names = np.array([str(link) for link in self.links], np.object_)
        self._paths = {str(link): (_way(link.src, link.dst),) for link in self.links}
        self.trouble: NDArray[np.intp] = np.empty(0, np.intp)
        self.beyond = BEYOND
        self.sizes: dict[str, tuple[float, int, int]] = dict.fromkeys(self.names.tolist(), (1_500.0, 0, 1))

    def scattered(self) -> NDArray[np.intp]:
        return self._chance.permutation(len(self.links))[: int(BAD * len(self.links))]

    def into_nodes(self) -> NDArray[np.intp]:
        sick = {f"n{at * 20}" for at in range(max(1, int(BAD * NODES)))}
        return np.flatnonzero([link.dst in sick for link in self.links])

    def altered(self) -> None:
        """From now on ports are in trouble, and agents have found it."""
        links, self.beyond = self.into_nodes(), ALTERED
        back = {f"{link.dst}>{link.src}@{link.network}" for link in (self.links[at] for at in links)}
        self.trouble = np.union1d(links, np.flatnonzero(np.isin(self.names, list(back))))
        narrow = set(self.names[self.trouble].tolist())
        self.sizes = {
            name: (1_400.0 if name in narrow else 1_500.0, FIRST_NS, FIRST_NS) for name in self.sizes
        }

    def engine(self, folder: str) -> tuple[AlertEngine, Book]:
        book = Book(Path(folder) / "alerts.sqlite")
        cause = PlaceCause(RULES, lambda: self.inventory, lambda: self._paths, sizes=lambda: self.sizes)
        return AlertEngine(RULES, Subjects(None, self.inventory), book, [], SystemClock(), cause), book

    def frames(self, windows: int) -> Iterator[dict[str, Frame]]:
        """Each window's frames."""
        for window in range(windows):
            yield {"state": self._state(window), "node": self._node(window)}

    def _state(self, window: int) -> Frame:
        n = len(self.names)
        columns: dict[str, Any] = {"link": self.names, **_times(n, window), "fit": np.ones(n)}
        columns |= {f.name: self._chance.random(n) - 2 for f in STATE.fields if f.kind is Kind.REAL}
        columns |= {name: np.full(n, value) for name, value in WELL.items()}
        for watch in watches(RULES):
            noisy = watch.table == "state" and watch.rule.hold_windows > 1
            if noisy and STATE.field(watch.field).kind is Kind.REAL:
                columns[watch.field][self._chance.random(n) < NOISE] = watch.rule.bound + 1
        for name, value in self.beyond.items():
            columns[name][self.trouble] = value
        return Frame.of(STATE, columns)

    def _node(self, window: int) -> Frame:
        names = [f"n{at}" for at in range(NODES)]
        keys = {"node": names, "site": names, "region": names, "operator": names}
        return Frame.of(NODE, {**keys, **_times(NODES, window), "silent_s": np.zeros(NODES)})


def main() -> None:
    logging.getLogger("alerts").addHandler(logging.NullHandler())
    scene = Scene(_inventory())
    quiet = _cost(scene, "quiet")
    scene.trouble = scene.scattered()
    scattered = _cost(scene, "scattered")
    scene.trouble = scene.into_nodes()
    nodes = _cost(scene, "nodes")
    scene.altered()
    ports = _cost(scene, "ports")
    most = max(each.cpu_most_s for each in (quiet, scattered, nodes, ports))
    figures = {"links": len(scene.links), "rules": len(RULES), "quiet": asdict(quiet)}
    figures |= {"scattered": asdict(scattered), "nodes": asdict(nodes), "ports": asdict(ports)}
    show("alerting", "in process, the book on disk", figures, [
        at_most("the most that an evaluation took, CPU-s", 2, most),
        at_most("quiet evaluation, median, CPU-s", 2, quiet.cpu_median_s),
    ])  # fmt: skip


def _cost(scene: Scene, name: str) -> Cost:
    whole, alone = [], []
    evaluator = Evaluator(RULES)
    told = firing = places = 0
    with tempfile.TemporaryDirectory() as folder:
        engine, book = scene.engine(folder)
        for frames in scene.frames(WINDOWS):
            began = time.process_time()
            outcome = engine.observe(frames)
            whole.append(time.process_time() - began)
            told += len(outcome.events)
            firing, places = outcome.frames["alert"].rows, outcome.frames["place"].rows
            began = time.process_time()
            evaluator.step(frames)
            alone.append(time.process_time() - began)
        book.close()
    note(f"{name}: {firing} alerts fire, {places} places, {told} events told")
    peak_mb, kept_mb = _memory(scene)
    cpu = [_short(each) for each in (median(whole) or 0, max(whole), median(alone) or 0)]
    return Cost(firing, places, told, cpu[0], cpu[1], cpu[2], _short(peak_mb), _short(kept_mb))


def _memory(scene: Scene) -> tuple[float, float]:
    """What one evaluation takes at most beside the frames, and what stays, MB."""
    with tempfile.TemporaryDirectory() as folder:
        engine, book = scene.engine(folder)
        given, peak = list(scene.frames(4)), 0
        tracemalloc.start()
        for frames in given:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            engine.observe(frames)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        book.close()
    return peak / 1e6, kept / 1e6


def _inventory() -> Inventory:
    sites = [f"s{at // OF_A_SITE}" for at in range(NODES)]
    lines = ["version: 1", "sites:"]
    lines += [f"  - {{name: {site}, region: r1, operator: one}}" for site in dict.fromkeys(sites)]
    lines += ["networks:", "  - {name: net, kind: backbone, mesh: full}", "nodes:"]
    for at, site in enumerate(sites):
        address = f"10.0.{at // 250}.{at % 250 + 1}"
        lines.append(f"  - {{name: n{at}, site: {site}, addresses: {{net: {address}}}}}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return load(path)


def _way(src: str, dst: str) -> tuple[str, ...]:
    """The hops from node to node: the site's router, a core router, the other site's router."""
    one, other = (int(node[1:]) // OF_A_SITE for node in (src, dst))
    return f"10.9.{one}.1", f"10.8.{(one + other) % 4}.1", f"10.9.{other}.2"


def _times(rows: int, window: int) -> dict[str, Any]:
    start_ns = FIRST_NS + window * WINDOW_NS
    return {"start_ns": np.full(rows, start_ns), "length_ns": np.full(rows, WINDOW_NS)}


def _short(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
