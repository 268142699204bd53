"""The simulated faults and the healthy network of the benchmarks, a few windows of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alerts.delivery.book import Book
from benchmarks import detection, simulated
from benchmarks.detection import Simulation, break_link, summary
from console.drill.score import RIGHT, Score
from linkgauge.clock import NS_PER_S
from quality.ledger import Ledger

_START_NS = 1_700_006_400 * NS_PER_S


def test_a_simulated_blackhole_is_told_on_its_link_in_time(tmp_path: Path) -> None:
    trials = Simulation(1, tmp_path).trials("blackhole", 1, calm=2)
    assert [trial.right for trial in trials] == [True]
    assert all(trial.notify_s is not None and trial.notify_s < 20 for trial in trials)
    assert not [other for trial in trials for other in trial.others]


def test_loss_is_in_the_rows_of_both_ends() -> None:
    chance = np.random.default_rng(1)
    network = simulated.Network(chance)
    columns = network.window(_START_NS)
    break_link(columns, network, 7, 0.0, "loss", chance)
    assert 0 < columns["lost_forward"][7] < 20
    assert columns["lost_backward"][network.back[7]] > 0
    frame = simulated.windows(columns)
    assert frame.rows == 1_056
    assert (np.diff(frame.histograms("rtt_ns").offsets) > 0).all()


def test_minutes_of_health_have_no_alert(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    network = simulated.Network(chance)
    book = Book(tmp_path / "alerts.sqlite")
    ledger = Ledger(simulated.WINDOW_NS, 900 * NS_PER_S)
    engine = simulated.alert_engine(network, ledger, book)
    told = []
    for number in range(12):
        start_ns = _START_NS + number * simulated.WINDOW_NS
        ledger.absorb([simulated.windows(network.window(start_ns))], [], network.specs, "0")
        state = ledger.judge(simulated.no_throughput(), start_ns)
        assert (state.count("measured") == 1).all()
        own = simulated.own_rows(network, start_ns, chance)
        told += engine.observe({"state": state, **own}).events
    book.close()
    assert told == []


def test_a_scorecard_counts_what_was_right() -> None:
    good = Score("node-down", True, 3.0, 5.0, 9.0, ("node-down",), None, None, RIGHT, ("node n",), ())
    bad = Score("loss", False, None, None, None, (), False, None, "cannot be told", (), ("x",))
    found = summary([good, bad])
    assert (found["precision"], found["recall"]) == (0.5, 0.5)
    assert (found["right_place_ratio"], found["wrong_place_ratio"]) == (1.0, 0.0)
    assert found["notify_p50_s"] == 5.0
    assert detection.summary([]) == {}
