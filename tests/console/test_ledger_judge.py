"""The judge of a running collector: what is excused counts as nothing, and budgets outlive a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from collector.live.excuses import Excuses
from collector.live.recent import Past
from console.ledger_judge import LedgerJudge
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame, concat
from linkgauge.inventory import load
from linkgauge.model import Verdict
from linkgauge.schema import HEALTH, THROUGHPUT
from quality.ledger import Ledger
from tests.collector.world import (
    INVENTORY,
    NOW_NS,
    WINDOW_NS,
    StillClock,
    throughput,
    windows,
    write_inventory,
)

WORK = "maintenance:\n  - {from: 2027-01-15T08:00:00Z, until: 2027-01-15T09:00:00Z, reason: x, nodes: [g1]}\n"
PERIOD_NS = 6 * WINDOW_NS


class World:
    def __init__(self, folder: Path, text: str = INVENTORY) -> None:
        self.inventory = load(write_inventory(folder, text))
        self.specs = tuple(self.inventory.links.values())
        self.excuses = Excuses(lambda: self.inventory, WINDOW_NS, PERIOD_NS)
        ledger = Ledger(WINDOW_NS, PERIOD_NS)
        self.judge = LedgerJudge(
            ledger, lambda: self.inventory, self.excuses, folder / "budget", StillClock()
        )
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


def health(agent: str, start_ns: int) -> Frame:
    told = {"agent": [agent], "start_ns": [start_ns], "length_ns": [WINDOW_NS], "drill": [1]}
    return Frame.of(HEALTH, told)


def lossy(world: World, start_ns: int) -> Frame:
    rows = windows([str(spec.link) for spec in world.specs], start_ns)
    sent = rows.count("sent")
    lost = {"lost_forward": sent // 2, "replied": sent - sent // 2}
    return Frame(rows.table, {**rows.columns, **lost}, rows.rows)


def test_a_drill_makes_no_link_miss_its_objectives_not_even_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    drilled = np.array([spec.link.dst == "g1" for spec in world.specs])
    assert drilled.any()
    assert not drilled.all()
    bad, tests = lossy(world, NOW_NS), concat(THROUGHPUT, [])
    world.excuses.take(health("g1", NOW_NS))
    state = world.judge.judge(Past((bad,), (), tests), world.specs, NOW_NS)
    assert (state.count("verdict_loss")[drilled] == Verdict.UNKNOWN).all()
    assert (state.count("verdict_loss")[~drilled] == Verdict.MISSED).all()
    after = world.judged(NOW_NS + 2 * WINDOW_NS)
    assert (after.count("verdict_loss") == Verdict.MISSED).tolist() == (~drilled).tolist()
    assert (after.real("availability_ratio")[drilled] == 1).all()
    again = World(tmp_path)
    again.excuses.take(health("g1", NOW_NS))
    again.judge.remember(Past((bad,), (), tests), again.specs)
    after = again.judged(NOW_NS + 2 * WINDOW_NS)
    assert (after.count("verdict_loss") == Verdict.MISSED).tolist() == (~drilled).tolist()


def test_a_throughput_test_under_announced_work_counts_for_no_verdict_after_it(tmp_path: Path) -> None:
    world, hour_ns = World(tmp_path, INVENTORY + WORK), 3_600 * NS_PER_S
    after_ns = NOW_NS + hour_ns + WINDOW_NS
    names = [str(spec.link) for spec in world.specs]
    rows = windows(names, after_ns)
    low = concat(THROUGHPUT, [throughput(name, 1e6, NOW_NS + 7 * NS_PER_S) for name in names])
    state = world.judge.judge(Past((rows,), (), low), world.specs, after_ns)
    touched = np.array(["g1" in (spec.link.src, spec.link.dst) for spec in world.specs])
    assert not state.count("maintenance").any(), "the work is over"
    assert (state.count("verdict_throughput") == Verdict.MISSED).tolist() == (~touched).tolist()
    assert np.isnan(state.real("throughput_low_ratio")).tolist() == touched.tolist()


@pytest.mark.parametrize("what", ["drill", "work"])
def test_what_is_told_after_its_window_was_judged_is_left_out_all_the_same(tmp_path: Path, what: str) -> None:
    """In the windows after it at once, and in its own when that is judged again."""
    world = World(tmp_path)
    bad, tests = lossy(world, NOW_NS), concat(THROUGHPUT, [])
    state = world.judge.judge(Past((bad,), (), tests), world.specs, NOW_NS)
    assert (state.count("verdict_loss") == Verdict.MISSED).all()
    assert world.excuses.changed() == []
    if what == "drill":
        touched = np.array([spec.link.dst == "g1" for spec in world.specs])
        world.excuses.take(health("g1", NOW_NS))
    else:
        touched = np.array(["g1" in (spec.link.src, spec.link.dst) for spec in world.specs])
        world.inventory = load(write_inventory(tmp_path, INVENTORY + WORK))
    assert world.excuses.changed() == [NOW_NS]
    after = world.judged(NOW_NS + 2 * WINDOW_NS)
    assert (after.count("verdict_loss") == Verdict.MISSED).tolist() == (~touched).tolist()
    again = world.judge.judge(Past((), (), tests), world.specs, NOW_NS)
    assert (again.count("verdict_loss") == Verdict.MISSED).tolist() == (~touched).tolist()
    assert ((again.count("good") + again.count("bad")) == 0).tolist() == touched.tolist()
    assert again.count("drill" if what == "drill" else "maintenance").tolist() == touched.tolist()
    assert world.excuses.changed() == []
