"""What alerts cost: every rule over 10^5 links, quiet and with 1 % of the links in trouble.

`python -m benchmarks.alerting [--quick]` prints one JSON document: CPU-seconds of one evaluation (from the
frames of a window to its events, the rows of alerts and the transaction in the book), of the rules alone, and
the largest memory that one evaluation took and kept. A full mesh of 317 nodes; with noise: of the rules that
hold for several windows one value in 2 000 is beyond its bound for one window. In trouble: each of those
links is unreachable, loses packets in both directions, is slow and burns its budget, so that five alerts of
it fire, of which three are held back. Finding places is measured by benchmarks.places.
"""

from __future__ import annotations

import logging
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from alerts.book import Book
from alerts.engine import AlertEngine
from alerts.evaluate import Evaluator
from alerts.rule import Rule, load_rules, watches
from alerts.subject import Subjects
from benchmarks.machine import at_most, median, note, quick, show
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.frame import Frame
from linkgauge.link_tags import LinkTags
from linkgauge.model import DEFAULT_TIERS, Link, LinkSpec, Site
from linkgauge.schema import NODE, STATE
from linkgauge.table import Kind

NODES = 101 if quick() else 317
WINDOWS = 8 if quick() else 20
WINDOW_NS = 10 * NS_PER_S
FIRST_NS = 1_763_726_580 * NS_PER_S
NOISE = 1 / 2_000
BEYOND = {
    "unanswered_s": 30.0,
    "loss_forward_excess_ratio": 0.2,
    "loss_backward_excess_ratio": 0.2,
    "delay_excess_us": 5_000.0,
    "burn_fast_ratio": 40.0,
}
"""Fields of a link in trouble."""


class Scene:
    """A mesh and its frames. bad: share of links in trouble."""

    def __init__(self, rules: tuple[Rule, ...], bad: float) -> None:
        self._rules, self._chance = rules, np.random.default_rng(1)
        sites = [Site(f"s{at // 10}", f"r{at // 100}", "one") for at in range(NODES)]
        ends = [(src, dst) for src in range(NODES) for dst in range(NODES) if src != dst]
        links = [Link(f"n{src}", f"n{dst}", "net") for src, dst in ends]
        tier = DEFAULT_TIERS["hub"]
        self.specs = [
            LinkSpec(link, tier, 0, True, LinkTags(link, sites[src], sites[dst], tier))
            for link, (src, dst) in zip(links, ends, strict=True)
        ]
        self._names = np.array([str(link) for link in links], np.object_)
        self._trouble = self._chance.permutation(len(links))[: int(bad * len(links))]

    def frames(self, windows: int) -> Iterator[dict[str, Frame]]:
        """Each window's frames."""
        for window in range(windows):
            yield {"state": self._state(window), "node": self._node(window)}

    def _state(self, window: int) -> Frame:
        n = len(self._names)
        columns: dict[str, Any] = {"link": self._names, **_times(n, window), "fit": np.ones(n)}
        columns |= {f.name: self._chance.random(n) - 2 for f in STATE.fields if f.kind is Kind.REAL}
        columns["certificate_left_s"] = np.full(n, 1e7)
        for watch in watches(self._rules):
            noisy = watch.table == "state" and watch.rule.hold_windows > 1
            if noisy and STATE.field(watch.field).kind is Kind.REAL:
                beyond = 1.0 if watch.rule.below is not None else watch.rule.bound + 1
                columns[watch.field][self._chance.random(n) < NOISE] = beyond
        for name, value in BEYOND.items():
            columns[name][self._trouble] = value
        return Frame.of(STATE, columns)

    def _node(self, window: int) -> Frame:
        names = [f"n{at}" for at in range(NODES)]
        keys = {"node": names, "site": names, "region": names, "operator": names}
        return Frame.of(NODE, {**keys, **_times(NODES, window), "silent_s": np.zeros(NODES)})


def main() -> None:
    logging.getLogger("alerts").addHandler(logging.NullHandler())
    rules = load_rules()
    quiet, trouble = (_measured(rules, bad) for bad in (0.0, 0.01))
    figures = {"links": NODES * (NODES - 1), "rules": len(rules), "quiet": quiet, "one_percent": trouble}
    show("alerting", "in process, the book on disk", figures, [
        at_most("evaluation with 1 % of the links in trouble, median, CPU-s", 2, trouble["cpu_median_s"]),
        at_most("the same, the window in which all of them begin, CPU-s", 2, trouble["cpu_most_s"]),
        at_most("quiet evaluation, median, CPU-s", 2, quiet["cpu_median_s"]),
    ])  # fmt: skip


def _measured(rules: tuple[Rule, ...], bad: float) -> dict[str, Any]:
    scene = Scene(rules, bad)
    whole, alone = [], []
    evaluator = Evaluator(rules)
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder) / "alerts.sqlite")
        engine = AlertEngine(rules, Subjects(scene.specs), book, [], SystemClock())
        told = rows = 0
        for frames in scene.frames(WINDOWS):
            began = time.process_time()
            outcome = engine.observe(frames)
            whole.append(time.process_time() - began)
            told, rows = told + len(outcome.events), outcome.frames["alert"].rows
            began = time.process_time()
            evaluator.step(frames)
            alone.append(time.process_time() - began)
        note(f"{bad:.0%} of the links in trouble: {rows} alerts fire, {told} events told")
        book.close()
    return {
        "alerts_firing": rows,
        "events_told": told,
        "cpu_median_s": _short(median(whole)),
        "cpu_most_s": _short(max(whole)),
        "rules_alone_cpu_median_s": _short(median(alone)),
        **_memory(rules, scene),
    }


def _memory(rules: tuple[Rule, ...], scene: Scene) -> dict[str, Any]:
    """What one evaluation takes at most beside the frames, and what stays, MB."""
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder) / "alerts.sqlite")
        engine = AlertEngine(rules, Subjects(scene.specs), book, [], SystemClock())
        given = list(scene.frames(4))
        tracemalloc.start()
        peak = 0
        for frames in given:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            engine.observe(frames)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        book.close()
    return {"peak_of_one_mb": round(peak / 1e6, 1), "kept_mb": round(kept / 1e6, 1)}


def _times(rows: int, window: int) -> dict[str, Any]:
    start_ns = FIRST_NS + window * WINDOW_NS
    return {"start_ns": np.full(rows, start_ns), "length_ns": np.full(rows, WINDOW_NS)}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


if __name__ == "__main__":
    main()
