"""How soon and how rightly faults are told: a scorecard over all faults, and 50 seeds of two of them.

`python -m benchmarks.detection [--quick]` prints one JSON document.

Simulated: a blackhole and a loss of 5 % on one link after the other, at random instants, in the network of
benchmarks.simulated at 10 packets a second with windows of 10 s. Each packet's fate is drawn; the rows go
through the real Ledger, rules and alert engine. Nothing waits: a message is counted as told when the window
is over, its last packet's timeout and the collector's second have passed (JUDGED_AFTER_S), and what the
judge and the engine took on the processor; handing it over adds HAND_OVER_S.

Real (root; not with --quick): every fault of `linkgauge drill list` in the lab of namespaces, with real
agents, collector and receiver of webhooks, windows of WINDOW_S seconds; one after the other in one chain for
each lab. Times are those at which messages came to the receiver.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from alerts.delivery.book import Book
from alerts.event import Fired
from benchmarks.machine import Goal, at_least, at_most, note, quick, show
from benchmarks.simulated import (
    PACKETS,
    RATE_PPS,
    WINDOW_NS,
    WINDOW_S,
    Network,
    alert_engine,
    no_throughput,
    own_rows,
    windows,
)
from console.drill.rehearsal import Rehearsal
from console.drill.score import OPEN, RIGHT, WRONG, Score
from console.drill.setting import lab_fault, lab_setting
from console.interrupt import interrupted_once
from lab.faults.fault import KINDS
from linkgauge.clock import NS_PER_S
from quality.ledger import Ledger

SEEDS = 10 if quick() else 50
JUDGED_AFTER_S, HAND_OVER_S = 3.0, 0.1
CALM_WINDOWS, LONGEST_WINDOWS = 14, 12
START_NS = 1_700_006_400 * NS_PER_S
REAL_WINDOW_S = 3
_LINKS = (
    "jinan-1>guiyang-1@backbone",
    "qingdao-1>zunyi-1@backbone",
    "jinan-2>guiyang-2@backbone",
    "zunyi-1>jinan-1@backbone",
    "guiyang-1>qingdao-1@backbone",
    "guiyang-2>jinan-2@backbone",
)
"""Taken in turn by faults on links."""
_STRONG = {"loss": 0.2, "mark-ce": 0.5}
"""Stronger in short windows, which have fewer packets."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One simulated fault. notify_s: None: not told. right: the first message named link and direction."""

    notify_s: float | None
    right: bool
    others: tuple[str, ...]


class Simulation:
    """Faults one after the other in one network and one engine."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._chance = np.random.default_rng(seed)
        self._network = Network(self._chance)
        self._book = Book(folder / f"alerts{seed}.sqlite")
        self._ledger = Ledger(WINDOW_NS, round(self._network.inventory.period_s * NS_PER_S))
        self._engine = alert_engine(self._network, self._ledger, self._book)
        self._start_ns = START_NS

    def trials(self, kind: str, count: int, calm: int = CALM_WINDOWS) -> list[Trial]:
        """So many faults of that kind (blackhole or loss), on links drawn by chance; calm: windows before
        and after each."""
        for _ in range(calm):
            self._step(-1, 0.0, "")
        made = []
        for link in self._chance.choice(len(self._network.specs), count, replace=False):
            made.append(self._trial(int(link), kind))
            for _ in range(calm):
                self._step(-1, 0.0, "")
        self._book.close()
        return made

    def _trial(self, link: int, kind: str) -> Trial:
        began_s = float(self._chance.uniform(0, WINDOW_S))
        name = str(self._network.names[link])
        ours = {f"link-unreachable/{name}/-", f"link-loss/{name}/forward"}
        notify_s, right, others = None, False, list[str]()
        for window in range(LONGEST_WINDOWS):
            fired, took_s = self._step(link, began_s if window == 0 else 0.0, kind)
            over_s = (window + 1) * WINDOW_S - began_s
            if fired and notify_s is None:
                notify_s = over_s + JUDGED_AFTER_S + took_s + HAND_OVER_S
                right = fired[0] in ours
            others += [each for each in fired if each not in ours and name not in each]
        return Trial(notify_s, right, tuple(others))

    def _step(self, link: int, from_s: float, kind: str) -> tuple[list[str], float]:
        """One window; ids of what is told, and how long judging and alerting took, s."""
        columns = self._network.window(self._start_ns)
        if link >= 0:
            break_link(columns, self._network, link, from_s, kind, self._chance)
        own = own_rows(self._network, self._start_ns, self._chance)
        began_s = time.process_time()
        self._ledger.absorb([windows(columns)], [], self._network.specs, "0")
        state = self._ledger.judge(no_throughput(), self._start_ns)
        events = self._engine.observe({"state": state, **own}).events
        took_s = time.process_time() - began_s
        self._start_ns += WINDOW_NS
        return [event.id for event in events if isinstance(event, Fired)], took_s


def break_link(
    columns: dict[str, Any],
    network: Network,
    link: int,
    from_s: float,
    kind: str,
    chance: np.random.Generator,
) -> None:
    """Change the rows of a link and of the one back as if what the link carries were lost from then on."""
    back = int(network.back[link])
    sent_s = (np.arange(PACKETS) + 0.5) / RATE_PPS
    hit = sent_s >= from_s
    if kind == "loss":
        out = hit & (chance.random(PACKETS) < 0.05)
        lost = int(out.sum())
        columns["lost_forward"][link] += lost
        columns["replied"][link] -= lost
        columns["lost_runs"][link] += _runs(out)
        back_lost = hit & (chance.random(PACKETS) < 0.05)
        replies = int(back_lost.sum())
        columns["lost_runs"][back] += _runs(back_lost)
        columns["replied"][back] -= replies
        columns["loss_forward_ratio"][link] = columns["lost_forward"][link] / PACKETS
        columns["loss_backward_ratio"][back] = replies / PACKETS
        columns.setdefault("lost_backward", np.zeros(len(columns["sent"]), np.int64))[back] = replies
        columns["heard"][back] = PACKETS - lost
        return
    dark = int(hit.sum())
    unattributed = columns.setdefault("lost_unattributed", np.zeros(len(columns["sent"]), np.int64))
    for row in (link, back):
        columns["replied"][row] = columns["marks"][row] = PACKETS - dark
        columns["lost_forward"][row], unattributed[row] = 0, dark
        columns["unanswered"][row] = dark
        columns["lost_runs"][row] = float(dark > 0)
        columns["unanswered_s"][row] = WINDOW_S - sent_s[hit][0] if dark else 0.0
        columns["loss_forward_ratio"][row] = columns["loss_backward_ratio"][row] = np.nan
        columns["loss_ratio"][row] = dark / PACKETS
    columns["heard"][back] = PACKETS - dark  # what comes of the link to its far end, which tells it there
    columns["heard"][link] = PACKETS
    if dark == PACKETS:
        for name in ("rtt_min_us", "rtt_p50_us", "pdv_us", "forward_min_us", "backward_min_us"):
            columns[name][[link, back]] = np.nan


def _runs(lost: NDArray[np.bool_]) -> int:
    """Runs of lost packets."""
    return int(lost[0]) + int((lost[1:] & ~lost[:-1]).sum())


def main() -> None:
    logging.disable(logging.WARNING)  # every alert is a line there
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated = {}
        for kind in ("blackhole", "loss"):
            note(f"{SEEDS} seeds of {kind}")
            simulated[kind] = Simulation(len(kind), folder).trials(kind, SEEDS)
        scores, why = _real(folder)
    figures: dict[str, Any] = {f"simulated_{kind}": _told(trials) for kind, trials in simulated.items()}
    figures |= {"real": summary(scores), "faults": [score.as_dict() for score in scores]}
    goals = [
        at_most("blackhole to webhook, p95, s (simulated)", 15, _p95(simulated["blackhole"])),
        at_most("loss of 5 % to webhook, p95, s (simulated)", 40, _p95(simulated["loss"])),
        *_goals(figures["real"], why),
    ]
    setting = f"simulated rows, and a lab of namespaces with windows of {REAL_WINDOW_S} s"
    show("detection", setting, figures, goals)


def _goals(real: dict[str, Any], why: str) -> list[Goal]:
    return [
        at_least("right link and direction, ratio", 0.95, real.get("right_link_and_direction_ratio"), why),
        at_least("right place where it can be told, ratio", 0.9, real.get("right_place_ratio"), why),
        at_most("wrong place, ratio", 0.02, real.get("wrong_place_ratio"), why),
    ]


def _told(trials: Sequence[Trial]) -> dict[str, Any]:
    times = [trial.notify_s for trial in trials if trial.notify_s is not None]
    return {
        "seeds": len(trials),
        "told": len(times),
        "right": sum(trial.right for trial in trials),
        "others": [other for trial in trials for other in trial.others],
        "notify_p50_s": round(float(np.median(times)), 1) if times else None,
        "notify_p95_s": None if (found := _p95(trials)) is None else round(found, 1),
        "notify_max_s": round(max(times), 1) if times else None,
    }


def _p95(trials: Sequence[Trial]) -> float | None:
    """Of all trials: one that was never told counts as later than all others; None when that is the p95."""
    times = sorted(trial.notify_s if trial.notify_s is not None else np.inf for trial in trials)
    found = float(times[max(0, -(-95 * len(times) // 100) - 1)])
    return found if np.isfinite(found) else None


def _real(folder: Path) -> tuple[list[Score], str]:
    """Every fault once in the real chain; or why not."""
    if quick():
        return [], "not with --quick"
    if os.geteuid() != 0:
        return [], "the lab of namespaces needs root"
    scores: list[Score] = []
    labs = {
        "paths": [k for k in KINDS if k in ("path-blackhole", "flow-blackhole")],
        "throttle": ["throttle"],
    }
    rest = [k for k in KINDS if k not in labs["paths"] + labs["throttle"]]
    # Places last: what looks back on a path is held back for minutes after the trouble of one.
    labs["trunk"] = sorted(rest, key=lambda kind: KINDS[kind].on != "link")
    for lab, kinds in labs.items():
        setting = lab_setting(kinds[0], "auto", REAL_WINDOW_S)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        with interrupted_once(), Rehearsal(folder / lab, setting, REAL_WINDOW_S, console) as chain:
            for at, kind in enumerate(kinds):
                link = _LINKS[at % len(_LINKS)] if KINDS[kind].on == "link" else None
                scores.append(chain.play(lab_fault(kind, link, None, _STRONG.get(kind))))
    return scores, ""


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """The scorecard of real drills; {} of none."""
    if not scores:
        return {}
    asked = [score for score in scores if KINDS[score.fault].must]
    times = [score.notify_s for score in asked if score.notify_s is not None]
    right = sum(len(score.rules) for score in scores)
    wrong = sum(len(score.others) for score in scores)
    told = [score for score in scores if score.link is not None or score.direction is not None]
    placed = [score for score in scores if score.place != OPEN]
    return {
        "faults": len(scores),
        "precision": round(right / max(right + wrong, 1), 3),
        "recall": round(sum(score.detected for score in asked) / max(len(asked), 1), 3),
        "seen_in_columns": [s.fault for s in scores if not KINDS[s.fault].must and s.detected],
        "notify_p50_s": round(float(np.median(times)), 1) if times else None,
        "notify_p95_s": round(float(np.quantile(times, 0.95)), 1) if times else None,
        "right_link_and_direction_ratio": round(
            sum(s.link is not False and s.direction is not False for s in told) / max(len(told), 1), 3
        ),
        "right_place_ratio": round(sum(s.place == RIGHT for s in placed) / max(len(placed), 1), 3),
        "wrong_place_ratio": round(sum(s.place == WRONG for s in scores) / len(scores), 3),
    }


if __name__ == "__main__":
    main()
