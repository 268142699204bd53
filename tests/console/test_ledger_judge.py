"""The judge of a running collector: what is excused counts as nothing, and budgets outlive a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from collector.live.excuses import Excuses
from collector.live.recent import Past
from console.ledger_judge import LedgerJudge
from linkgauge.frame import Frame, concat
from linkgauge.inventory import load
from linkgauge.schema import THROUGHPUT
from quality.ledger import Ledger
from tests.collector.world import INVENTORY, NOW_NS, WINDOW_NS, StillClock, windows, write_inventory

WORK = "maintenance:\n  - {from: 2027-01-15T08:00:00Z, until: 2027-01-15T09:00:00Z, reason: x, nodes: [g1]}\n"
PERIOD_NS = 6 * WINDOW_NS


class World:
    def __init__(self, folder: Path, text: str = INVENTORY) -> None:
        self.inventory = load(write_inventory(folder, text))
        self.specs = tuple(self.inventory.links.values())
        excuses = Excuses(lambda: self.inventory, WINDOW_NS, PERIOD_NS)
        ledger = Ledger(WINDOW_NS, PERIOD_NS)
        self.judge = LedgerJudge(ledger, lambda: self.inventory, excuses, folder / "budget", StillClock())
        self.judge.restore(self.specs)

    def judged(self, start_ns: int) -> Frame:
        rows = windows([str(spec.link) for spec in self.specs], start_ns)
        return self.judge.judge(Past((rows,), (), concat(THROUGHPUT, [])), self.specs, start_ns)


def test_links_under_announced_work_are_marked_and_count_as_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, INVENTORY + WORK)
    touched = ["g1" in (spec.link.src, spec.link.dst) for spec in world.specs]
    state = world.judged(NOW_NS)
    assert state.count("maintenance").tolist() == [int(each) for each in touched]
    counted = (state.count("good") + state.count("bad")).tolist()
    assert [count == 0 for count in counted] == touched
    before = world.judged(NOW_NS - WINDOW_NS)
    assert not before.count("maintenance").any()
    assert before.count("good").all()


def test_budgets_outlive_a_restart(tmp_path: Path) -> None:
    world, told = World(tmp_path), "burn_fast_ratio"
    for at in range(400):
        state = world.judged(NOW_NS + at * WINDOW_NS)
    assert (state.real(told) == 0).all()
    world.judge.budget.write()
    (tmp_path / "other").mkdir()
    assert np.isnan(World(tmp_path / "other").judged(NOW_NS + 400 * WINDOW_NS).real(told)).all()
    again = World(tmp_path).judged(NOW_NS + 400 * WINDOW_NS)
    assert (again.real(told) == 0).all()
