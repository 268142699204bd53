"""The live state: last rows, the windows of a period, duplicates replaced, memory bounded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.live.live import LiveState
from collector.live.recent import SLACK_WINDOWS, Past
from linkgauge.clock import AHEAD_NS, NS_PER_S
from linkgauge.code import Outcome
from linkgauge.frame import Frame, concat
from linkgauge.inventory import load
from linkgauge.schema import CERTIFICATE, EVENT, FLOW, STATE
from quality.ledger import Ledger
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


def _links(live: LiveState, now_ns: int) -> list[dict[str, Any]]:
    return list(live.links(now_ns))


def _windows(past: Past) -> Frame:
    return concat(past.windows[0].table, past.windows)


def _judged(live: LiveState, ledger: Ledger, start_ns: int) -> dict[str, dict[str, Any]]:
    """STATE rows by link, judged as the collector does."""
    past, specs = live.period(start_ns), list(live._inventory().links.values())
    if past.anew:
        ledger.begin_anew()
    ledger.absorb(past.windows, past.flows, specs, live._inventory().judged_class)
    state = ledger.judge(past.throughput, start_ns)
    rows = zip(*(column.tolist() for column in state.columns.values()), strict=True)  # type: ignore[union-attr]  # no histograms
    return {row[0]: dict(zip(state.columns, row, strict=True)) for row in rows}


def test_rows_are_handed_over_once(live: LiveState) -> None:
    for at in range(12):
        start_ns = NOW_NS + at * WINDOW_NS
        live.take(batch("j1", at + 1, windows(LINKS, start_ns)), start_ns)
    news = _windows(live.period(NOW_NS + 10 * WINDOW_NS))
    assert sorted(set(news.count("start_ns"))) == [NOW_NS + at * WINDOW_NS for at in range(12)]
    assert news.rows == 24
    assert live.news().windows == ()
    live.take(batch("j1", 99, windows(LINKS, NOW_NS)), NOW_NS)
    assert _windows(live.news()).rows == 2


def test_a_period_ends_with_the_window_asked_for(live: LiveState) -> None:
    ledger = Ledger(WINDOW_NS, 6 * WINDOW_NS)
    for at in range(12):
        start_ns = NOW_NS + at * WINDOW_NS
        lost = _with(windows(LINKS, start_ns), lost_forward=[60 * (at < 5)] * 2, replied=[40] * 2)
        live.take(batch("j1", at + 1, lost), start_ns)
    told = [_judged(live, ledger, NOW_NS + at * WINDOW_NS)[LINKS[0]] for at in (9, 10, 9)]
    assert [each["availability_ratio"] for each in told] == [5 / 6, 1.0, 5 / 6]


def _with(frame: Frame, **columns: list[Any]) -> Frame:
    given = {name: np.array(each, frame.columns[name].dtype) for name, each in columns.items()}  # type: ignore[union-attr]  # no histograms here
    return Frame(frame.table, {**frame.columns, **given}, frame.rows)


def test_after_the_clock_was_set_back_rows_of_now_count_again(live: LiveState) -> None:
    ledger, hour = Ledger(WINDOW_NS, 6 * WINDOW_NS), 360
    live.take(batch("j1", 1, windows(LINKS, NOW_NS + hour * WINDOW_NS)), NOW_NS + hour * WINDOW_NS)
    live.observe_state(_state(1, NOW_NS + hour * WINDOW_NS))
    assert _judged(live, ledger, NOW_NS + hour * WINDOW_NS)[LINKS[0]]["measured"] == 1
    live.set_back(NOW_NS, NOW_NS + 2 * WINDOW_NS)
    assert live.last_judged_ns() is None
    assert _links(live, NOW_NS)[0]["probes"] == {}
    assert live.agents(NOW_NS + 2 * WINDOW_NS)[0]["last_seen_s"] == 0
    for at in range(6):
        live.take(batch("j1", at + 2, windows(LINKS, NOW_NS + at * WINDOW_NS)), NOW_NS + at * WINDOW_NS)
        found = _judged(live, ledger, NOW_NS + at * WINDOW_NS)
        assert found[LINKS[0]]["measured"] == 1
        assert live.late() == []
    assert ledger.starts == [NOW_NS + at * WINDOW_NS for at in range(6)]


def test_a_clock_that_is_as_far_ahead_as_is_taken_moves_nobody_out_of_a_short_period(tmp_path: Path) -> None:
    found = load(write_inventory(tmp_path, INVENTORY.replace("window_s: 10", "window_s: 1")))
    live, ledger = LiveState(lambda: found), Ledger(NS_PER_S, 60 * NS_PER_S)
    ahead = windows(["g1>j1@backbone"], NOW_NS + AHEAD_NS - NS_PER_S)
    live.take(batch("g1", 1, ahead), NOW_NS)
    for at in range(60):
        lost = _with(windows(LINKS[:1], NOW_NS - at * NS_PER_S), lost_forward=[at >= 30], replied=[99])
        live.take(batch("j1", at + 2, lost), NOW_NS)
    assert _judged(live, ledger, NOW_NS)[LINKS[0]]["availability_ratio"] == 1.0
    assert min(ledger.starts) == NOW_NS - 59 * NS_PER_S


def test_events_and_certificates_are_handed_over_once_and_bounded(live: LiveState) -> None:
    for at in range(200):
        keys = {"link": LINKS[:1] * 2, "class": ["0", "46"], "kind": ["path"] * 2}
        starts = {"start_ns": [NOW_NS + at * WINDOW_NS] * 2}
        events = Frame.of(EVENT, {**keys, **starts})
        shown = Frame.of(CERTIFICATE, {"link": LINKS[:2], **starts, "presented": [1] * 2})
        live.take(batch("j1", at + 1, events, shown), NOW_NS)
    past = live.news()
    assert sum(frame.rows for frame in past.events) <= 90 + SLACK_WINDOWS + 1
    assert {word for frame in past.events for word in frame.text("class")} == {"0"}
    assert sum(frame.rows for frame in past.certificates) <= 2 * (90 + SLACK_WINDOWS + 1)
    again = live.news()
    assert (again.events, again.certificates) == ((), ())


def test_rows_of_stamp_icmp_and_tcp_are_judged_but_all_are_shown(live: LiveState) -> None:
    probes = ["stamp", "tls", "icmp", "tcp"]
    live.take(batch("j1", 1, _with(windows(LINKS[:1] * 4), probe=probes)), NOW_NS)
    period = _windows(live.period(NOW_NS - WINDOW_NS))
    assert period.text("probe").tolist() == ["stamp", "icmp", "tcp"]
    assert period.histograms("rtt_ns")[1].total == 100
    assert set(_links(live, NOW_NS)[0]["probes"]) == set(probes)


def test_the_first_class_of_the_inventory_is_judged_and_shown(tmp_path: Path) -> None:
    found = load(write_inventory(tmp_path, INVENTORY + "probing: {stamp: {classes: [46, 0]}}\n"))
    live = LiveState(lambda: found)
    classes: dict[str, list[Any]] = {"class": ["46", "0", "34"], "sent": [7, 8, 9]}
    mixed = _with(windows(LINKS[:1] * 3), **classes)
    live.take(batch("j1", 1, mixed), NOW_NS)
    assert _windows(live.period(NOW_NS - WINDOW_NS)).count("sent").tolist() == [7]
    shown = {link["link"]: link["probes"] for link in live.links(NOW_NS)}
    assert shown[LINKS[0]]["stamp"]["sent"] == 7


def test_a_second_copy_replaces(live: LiveState) -> None:
    ledger = Ledger(WINDOW_NS, 6 * WINDOW_NS)
    live.take(batch("j1", 1, windows(LINKS)), NOW_NS)
    lossy = _with(windows(LINKS[:1]), lost_forward=[50], replied=[50])
    live.take(batch("j1", 2, lossy), NOW_NS)
    found = _judged(live, ledger, NOW_NS - WINDOW_NS)
    assert [found[link]["loss_forward_ratio"] for link in LINKS] == [0.5, 0.0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_corrected_windows_the_highest_revision_stays(live: LiveState, order: tuple[int, ...]) -> None:
    ledger = Ledger(WINDOW_NS, 6 * WINDOW_NS)
    for at, revision in enumerate(order):
        lost = {"lost_forward": [10 * revision], "replied": [100 - 10 * revision]}
        corrected = _with(windows(LINKS[:1], sent=100 + revision), revision=[revision], **lost)
        live.take(batch("j1", at + 1, corrected), NOW_NS)
    assert _judged(live, ledger, NOW_NS - WINDOW_NS)[LINKS[0]]["loss_forward_ratio"] == 20 / 102
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
    ledger = Ledger(WINDOW_NS, 6 * WINDOW_NS)
    for at in range(100):
        start_ns = NOW_NS + at * WINDOW_NS
        live.take(batch("j1", at + 1, _flows(start_ns + at % 7)), NOW_NS)
        live.take(batch("j1", 1_000 + at, _flows(start_ns, replied=50)), NOW_NS)
    assert live._recent.rows <= 8 * (30 + SLACK_WINDOWS + 1)
    state = _judged(live, ledger, NOW_NS + 99 * WINDOW_NS)[LINKS[0]]
    assert state["flows"] == 4
    kept = ledger._flows.between(NOW_NS, NOW_NS + 99 * WINDOW_NS, np.zeros(8, np.bool_))
    assert kept.sent.tolist() == [50 * (30 + SLACK_WINDOWS + 1)] * 4


def _flows(start_ns: int, replied: int = 100) -> Frame:
    keys = {"link": LINKS[:1] * 6, "probe": ["stamp"] * 5 + ["icmp"], "class": ["0"] * 4 + ["46", "0"]}
    columns = {"flow": list("012345"), "start_ns": [start_ns] * 6, "length_ns": [6 * WINDOW_NS] * 6}
    return Frame.of(FLOW, {**keys, **columns, "replied": [replied] * 6})


@pytest.mark.parametrize("every", [1, 7, 1_000])
def test_memory_is_bounded(live: LiveState, every: int) -> None:
    """However seldom a judge comes."""
    ledger = Ledger(WINDOW_NS, 6 * WINDOW_NS)
    for at in range(100):
        start_ns = NOW_NS + at * WINDOW_NS
        live.take(batch("j1", at + 1, windows(LINKS, start_ns + at), _flows(start_ns)), start_ns)
        if at % every == 0:
            _judged(live, ledger, start_ns)
    assert live._recent.rows <= 2 * 16 + 4 * 40
    assert len(ledger.starts) <= 40
    assert len(ledger._facts.starts) <= 16
    live.take(batch("j1", 999, windows(LINKS, NOW_NS)), NOW_NS)
    _judged(live, ledger, NOW_NS + 99 * WINDOW_NS)
    assert NOW_NS not in ledger.starts


def test_what_is_handed_over_is_what_the_judge_reads(live: LiveState) -> None:
    live.take(batch("j1", 1, windows(LINKS), _flows(NOW_NS - WINDOW_NS), throughput(LINKS[0], 1e6)), NOW_NS)
    told = _judged(live, Ledger(WINDOW_NS, 6 * WINDOW_NS), NOW_NS - WINDOW_NS)
    assert (told[LINKS[0]]["flows"], told[LINKS[0]]["received_bps"]) == (4, 1e6)
    assert sum(row["measured"] for row in told.values()) == 2


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
    assert _windows(live.period(first_ns)).rows == 2
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
    assert _links(live, NOW_NS)[0]["verdict"] == "missed"
    assert live.last_judged_ns() == NOW_NS
    assert live.throughput(NOW_NS).real("received_bps").tolist() == [2e6, 1e6], "the last, and the one before"


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.MEASURED])
def test_a_test_that_did_not_measure_is_shown_but_not_judged(live: LiveState, outcome: Outcome) -> None:
    live.take(batch("j1", 1, throughput(LINKS[0], 2e6, NOW_NS - WINDOW_NS)), NOW_NS)
    live.take(batch("j1", 2, throughput(LINKS[0], math.nan, NOW_NS, outcome)), NOW_NS)
    assert live.throughput(NOW_NS).real("received_bps").tolist() == [2e6]
    link = _links(live, NOW_NS)[0]
    assert (link["throughput"]["outcome"], link["received_bps"]) == (outcome.value, None)


@pytest.mark.parametrize(("cycle_ns", "valid_windows"), [(0, 12), (10 * WINDOW_NS, 20)])
def test_a_test_counts_for_two_cycles(tmp_path: Path, cycle_ns: int, valid_windows: int) -> None:
    found = inventory(tmp_path)
    live = LiveState(lambda: found, lambda: cycle_ns)
    live.take(batch("j1", 1, throughput(LINKS[0], 2e6, NOW_NS)), NOW_NS)
    assert live.throughput(NOW_NS + valid_windows * WINDOW_NS).rows == 1
    assert live.throughput(NOW_NS + (valid_windows + 1) * WINDOW_NS).rows == 0


def test_what_an_archive_has_is_taken_up(live: LiveState) -> None:
    live.replay(windows([*LINKS, "g1>j1@backbone"]))
    live.take(batch("g1", 1, windows(["g1>j1@backbone"], rtt_p50_us=7)), NOW_NS)
    told = _judged(live, Ledger(WINDOW_NS, 6 * WINDOW_NS), NOW_NS - WINDOW_NS)
    assert sum(row["measured"] for row in told.values()) == 3


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
    assert _links(live, NOW_NS) == []
    now[0] = found
    assert [link["probes"] for link in live.links(NOW_NS)] == [{}] * 8


def test_links_are_told_behind_one_and_as_wanted(live: LiveState) -> None:
    live.take(batch("j1", 1, windows(LINKS[:1])), NOW_NS)
    names = [link["link"] for link in live.links(NOW_NS)]
    assert [link["link"] for link in live.links(NOW_NS, names[2])] == names[3:]
    assert [link["link"] for link in live.links(NOW_NS, "who>knows@n")] == names
    found = live.links(NOW_NS, wanted=lambda spec: spec.link.network == "private")
    assert [link["tags"]["network"] for link in found] == ["private"] * 2
    one = live.link(LINKS[0], NOW_NS)
    assert one is not None
    assert one["probes"]["stamp"]["sent"] == 100
    assert live.link("who>knows@n", NOW_NS) is None


def test_a_link_that_comes_into_the_inventory_keeps_the_others_rows(tmp_path: Path) -> None:
    whole = inventory(tmp_path)
    fewer = replace(whole, nodes={name: node for name, node in whole.nodes.items() if name != "j2"})
    now = [fewer]
    live = LiveState(lambda: now[0])
    live.take(batch("j1", 1, windows(LINKS), throughput(LINKS[1], 1e6)), NOW_NS)
    live.observe_state(_state(1))
    now[0] = whole
    found = {link["link"]: link for link in live.links(NOW_NS)}
    assert (found[LINKS[0]]["probes"], found[LINKS[0]]["verdict"]) == ({}, "unknown")
    assert found[LINKS[1]]["probes"]["stamp"]["sent"] == 100
    assert (found[LINKS[1]]["verdict"], found[LINKS[1]]["received_bps"]) == ("met", 1e6)
    assert live.throughput(NOW_NS).text("link").tolist() == [LINKS[1]]


def test_a_link_that_nobody_measures_any_more_is_unknown(live: LiveState) -> None:
    live.take(batch("j1", 1, windows(LINKS, NOW_NS)), NOW_NS + WINDOW_NS)
    live.observe_state(_state(1))
    assert _links(live, NOW_NS + WINDOW_NS + 60 * NS_PER_S)[0]["verdict"] == "met"
    told = _links(live, NOW_NS + WINDOW_NS + 61 * NS_PER_S)[0]
    assert [told[name] for name in ("verdict", "verdict_loss", "loss_forward_ratio")] == [
        "unknown",
        "unknown",
        None,
    ]
    assert told["age_s"] == 61
    assert told["state"]["verdict"] == 1
