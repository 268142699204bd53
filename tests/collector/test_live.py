"""The live state: last rows, the windows of a period, duplicates replaced, memory bounded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.live import LiveState
from collector.recent import SLACK_WINDOWS
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.inventory import load
from linkgauge.schema import FLOW, STATE
from quality.judge import judge
from tests.collector.world import (
    INVENTORY,
    NOW_NS,
    WINDOW_NS,
    batch,
    health,
    inventory,
    throughput,
    windows,
    write_inventory,
)

LINKS = ["j1>j2@backbone", "j1>g1@backbone"]


@pytest.fixture
def live(tmp_path: Path) -> LiveState:
    found = inventory(tmp_path)
    return LiveState(lambda: found)


def _state(verdict: int, start_ns: int = NOW_NS) -> Frame:
    return Frame.of(
        STATE,
        {
            "link": LINKS, "start_ns": [start_ns] * 2, "length_ns": [WINDOW_NS] * 2, "verdict": [verdict] * 2,
            "flows_bad": [3] * 2, "divergent": [5] * 2,
        },
    )  # fmt: skip


def test_a_period_ends_with_the_window_asked_for(live: LiveState) -> None:
    for at in range(12):
        start_ns = NOW_NS + at * WINDOW_NS
        live.take(batch("j1", at + 1, windows(LINKS, start_ns)), start_ns)
    period = live.period(NOW_NS + 10 * WINDOW_NS).windows
    assert sorted(set(period.count("start_ns"))) == [NOW_NS + at * WINDOW_NS for at in range(5, 11)]
    assert period.rows == 12


def _with(frame: Frame, **columns: list[Any]) -> Frame:
    given = {name: np.array(each, frame.columns[name].dtype) for name, each in columns.items()}  # type: ignore[union-attr]  # no histograms here
    return Frame(frame.table, {**frame.columns, **given}, frame.rows)


def test_rows_of_stamp_icmp_and_tcp_are_judged_but_all_are_shown(live: LiveState) -> None:
    probes = ["stamp", "tls", "icmp", "tcp"]
    live.take(batch("j1", 1, _with(windows(LINKS[:1] * 4), probe=probes)), NOW_NS)
    period = live.period(NOW_NS - WINDOW_NS).windows
    assert period.text("probe").tolist() == ["stamp", "icmp", "tcp"]
    assert period.histograms("rtt_ns")[1].total == 100
    assert set(live.links(NOW_NS)[0]["probes"]) == set(probes)


def test_the_first_class_of_the_inventory_is_judged_and_shown(tmp_path: Path) -> None:
    found = load(write_inventory(tmp_path, INVENTORY + "probing: {stamp: {classes: [46, 0]}}\n"))
    live = LiveState(lambda: found)
    classes: dict[str, list[Any]] = {"class": ["46", "0", "34"], "sent": [7, 8, 9]}
    mixed = _with(windows(LINKS[:1] * 3), **classes)
    live.take(batch("j1", 1, mixed), NOW_NS)
    assert live.period(NOW_NS - WINDOW_NS).windows.count("sent").tolist() == [7]
    shown = {link["link"]: link["probes"] for link in live.links(NOW_NS)}
    assert shown[LINKS[0]]["stamp"]["sent"] == 7


def test_a_second_copy_replaces(live: LiveState) -> None:
    live.take(batch("j1", 1, windows(LINKS, sent=1)), NOW_NS)
    live.take(batch("j1", 2, windows(LINKS[:1], sent=2)), NOW_NS)
    live.take(batch("g1", 1, windows(["g1>j1@backbone"], sent=3)), NOW_NS)
    period = live.period(NOW_NS - WINDOW_NS).windows
    found = dict(zip(period.text("link"), period.count("sent"), strict=True))
    assert found == {LINKS[0]: 2, LINKS[1]: 1, "g1>j1@backbone": 3}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_corrected_windows_the_highest_revision_stays(live: LiveState, order: tuple[int, ...]) -> None:
    for at, revision in enumerate(order):
        corrected = _with(windows(LINKS[:1], sent=100 + revision), revision=[revision])
        live.take(batch("j1", at + 1, corrected), NOW_NS)
    assert live.period(NOW_NS - WINDOW_NS).windows.count("sent").tolist() == [102]
    shown = {link["link"]: link["probes"] for link in live.links(NOW_NS)}
    assert shown[LINKS[0]]["stamp"]["sent"] == 102


def test_a_corrected_window_that_was_judged_is_judged_again(live: LiveState) -> None:
    start_ns = NOW_NS - WINDOW_NS
    live.take(batch("j1", 1, windows(LINKS)), NOW_NS)
    live.period(start_ns)
    live.take(batch("j1", 2, _with(windows(LINKS[:1]), probe=["icmp"], revision=[1])), NOW_NS)
    assert live.late() == []
    live.take(batch("j1", 3, _with(windows(LINKS[:1]), revision=[1])), NOW_NS)
    assert live.late() == [start_ns]


def test_flows_of_the_period_are_kept_and_their_memory_is_bounded(live: LiveState) -> None:
    for at in range(100):
        live.take(batch("j1", at + 1, _flows(NOW_NS + at * WINDOW_NS + at % 7)), NOW_NS)
        live.take(batch("j1", 1_000 + at, _flows(NOW_NS + at * WINDOW_NS, replied=50)), NOW_NS)
    assert live._recent.rows <= 4 * (30 + SLACK_WINDOWS + 1)
    kept = live.period(NOW_NS + 99 * WINDOW_NS).flows  # the period of 60 s is shorter than LEAST_FLOWS_NS
    assert set(kept.count("start_ns")) == {NOW_NS + at * WINDOW_NS for at in range(70, 100)}
    assert kept.count("replied").tolist() == [50] * 4 * 30


def _flows(start_ns: int, replied: int = 100) -> Frame:
    keys = {"link": LINKS[:1] * 6, "probe": ["stamp"] * 5 + ["icmp"], "class": ["0"] * 4 + ["46", "0"]}
    columns = {"flow": list("012345"), "start_ns": [start_ns] * 6, "length_ns": [6 * WINDOW_NS] * 6}
    return Frame.of(FLOW, {**keys, **columns, "replied": [replied] * 6})


def test_memory_is_bounded(live: LiveState) -> None:
    for at in range(500):
        live.take(batch("j1", at + 1, windows(LINKS, NOW_NS + at * WINDOW_NS + at)), NOW_NS)
    assert len(live._recent.slots) <= 16
    assert live._recent.rows <= 32
    live.take(batch("j1", 999, windows(LINKS, NOW_NS)), NOW_NS)
    assert NOW_NS not in live._recent.slots


def test_what_is_kept_for_judging_is_what_the_judge_reads(live: LiveState) -> None:
    live.take(batch("j1", 1, windows(LINKS), _flows(NOW_NS - WINDOW_NS), throughput(LINKS[0], 1e6)), NOW_NS)
    past = live.period(NOW_NS - WINDOW_NS)
    specs = list(live._inventory().links.values())
    state = judge(past.windows, past.throughput, past.flows, specs, NOW_NS - WINDOW_NS, WINDOW_NS)
    told = dict(zip(state.text("link").tolist(), state.count("flows").tolist(), strict=True))
    assert told[LINKS[0]] == 4
    assert int(state.count("measured").sum()) == 2


def test_the_api_sees_numbers_words_and_none(live: LiveState) -> None:
    live.take(batch("j1", 1, windows(LINKS), throughput(LINKS[0], 9e6), health("j1")), NOW_NS)
    live.observe_state(_state(2))
    found = {link["link"]: link for link in live.links(NOW_NS + WINDOW_NS)}
    assert len(found) == 8
    link = found[LINKS[0]]
    assert (link["verdict"], link["received_bps"], link["rtt_p50_us"]) == ("missed", 9e6, 300.0)
    assert (link["loss_forward_ratio"], link["loss_backward_ratio"], link["delay_us"]) == (0.0, None, None)
    assert (link["age_s"], link["tags"]["tier"]) == (10.0, "metro")
    assert (link["flows_bad"], link["divergent"]) == (3, ["stamp", "tcp"])
    silent = found["g1>j1@private"]
    assert (silent["loss_forward_ratio"], silent["flows_bad"], silent["divergent"]) == (None, None, [])
    assert (silent["verdict"], silent["age_s"], silent["probes"]) == ("unknown", None, {})


def test_the_state_tells_a_loss_whose_direction_the_window_leaves_open(live: LiveState) -> None:
    live.take(batch("j1", 1, _with(windows(LINKS), loss_forward_ratio=[math.nan, 0.5])), NOW_NS)
    live.observe_state(_with(_state(2), loss_forward_ratio=[0.25, 0.75]))
    found = {link["link"]: link["loss_forward_ratio"] for link in live.links(NOW_NS)}
    assert [found[link] for link in LINKS] == [0.25, 0.5]


def test_agents_are_told_with_age_boot_and_health(live: LiveState) -> None:
    live.take(batch("j1", 1, health("j1")), NOW_NS)
    found = {agent["agent"]: agent for agent in live.agents(NOW_NS + WINDOW_NS)}
    assert (found["j1"]["last_seen_s"], found["j1"]["boot"]) == (10.0, "boot1")
    assert found["j1"]["health"]["fit"] == 1
    assert found["g1"] == {
        "agent": "g1",
        "site": "guiyang",
        "last_seen_s": None,
        "boot": None,
        "health": None,
    }


def test_rows_that_come_after_their_verdict_are_late(live: LiveState) -> None:
    first_ns, second_ns = NOW_NS, NOW_NS + WINDOW_NS
    live.take(batch("j1", 1, windows(LINKS, first_ns)), NOW_NS)
    live.period(first_ns)
    assert live.late() == []
    live.take(batch("g1", 1, windows(["g1>j1@backbone"], first_ns)), NOW_NS)
    live.take(batch("g1", 2, windows(["g1>j1@backbone"], second_ns)), NOW_NS)
    assert live.late() == [first_ns]
    assert live.period(first_ns).windows.rows == 3
    assert live.late() == []


def test_a_verdict_of_an_earlier_life_makes_rows_late_and_old_ones_are_forgotten(live: LiveState) -> None:
    live.replay(windows(LINKS, NOW_NS))
    live.replay(_state(1, NOW_NS))
    assert live.late() == []
    live.take(batch("g1", 1, windows(["g1>j1@backbone"], NOW_NS)), NOW_NS)
    assert live.late() == [NOW_NS]
    live.take(batch("g1", 2, windows(["g1>j1@backbone"], NOW_NS + 99 * WINDOW_NS)), NOW_NS)
    assert live.late() == []


def test_an_older_state_or_test_does_not_replace_a_newer(live: LiveState) -> None:
    live.observe_state(_state(2))
    live.observe_state(_state(1, NOW_NS - WINDOW_NS))
    live.take(batch("j1", 1, throughput(LINKS[0], 2e6, NOW_NS)), NOW_NS)
    live.take(batch("j1", 2, throughput(LINKS[0], 1e6, NOW_NS - WINDOW_NS)), NOW_NS)
    assert live.links(NOW_NS)[0]["verdict"] == "missed"
    assert live.last_judged_ns() == NOW_NS
    assert live.throughput(NOW_NS).real("received_bps").tolist() == [2e6]


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.MEASURED])
def test_a_test_that_did_not_measure_is_shown_but_not_judged(live: LiveState, outcome: Outcome) -> None:
    live.take(batch("j1", 1, throughput(LINKS[0], 2e6, NOW_NS - WINDOW_NS)), NOW_NS)
    live.take(batch("j1", 2, throughput(LINKS[0], math.nan, NOW_NS, outcome)), NOW_NS)
    assert live.throughput(NOW_NS).real("received_bps").tolist() == [2e6]
    link = live.links(NOW_NS)[0]
    assert (link["throughput"]["outcome"], link["received_bps"]) == (outcome.value, None)


@pytest.mark.parametrize(("cycle_ns", "valid_windows"), [(0, 12), (10 * WINDOW_NS, 20)])
def test_a_test_counts_for_two_cycles(tmp_path: Path, cycle_ns: int, valid_windows: int) -> None:
    found = inventory(tmp_path)
    live = LiveState(lambda: found, lambda: cycle_ns)
    live.take(batch("j1", 1, throughput(LINKS[0], 2e6, NOW_NS)), NOW_NS)
    assert live.throughput(NOW_NS + valid_windows * WINDOW_NS).rows == 1
    assert live.throughput(NOW_NS + (valid_windows + 1) * WINDOW_NS).rows == 0


def test_what_an_archive_has_is_taken_up_by_agent(live: LiveState, tmp_path: Path) -> None:
    both = windows([*LINKS, "g1>j1@backbone"])
    live.replay(both)
    live.take(batch("g1", 1, windows(["g1>j1@backbone"], rtt_p50_us=7)), NOW_NS)
    assert live.period(NOW_NS - WINDOW_NS).windows.rows == 3


def test_links_and_agents_that_left_are_forgotten(tmp_path: Path) -> None:
    found = inventory(tmp_path)
    now = [found]
    live = LiveState(lambda: now[0])
    live.take(batch("j1", 1, windows(LINKS), health("j1"), throughput(LINKS[0], 1e6)), NOW_NS)
    fewer = {name: node for name, node in found.nodes.items() if name == "g1"}
    now[0] = replace(found, nodes=fewer)
    live.take(batch("g1", 1, windows(["g1>j1@backbone"], NOW_NS)), NOW_NS)
    assert live.throughput(NOW_NS).rows == 0
    assert (live._health, set(live._seen)) == ({}, {"g1"})
