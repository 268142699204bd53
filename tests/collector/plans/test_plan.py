"""Plans and the timetable: nobody in two tests at once, the same inventory the same plan."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.plans.plan import COVERAGE, etag, flows_for, plan_for
from collector.plans.plan_book import PlanBook
from collector.plans.timetable import timetable
from linkgauge.clock import SystemClock, seconds
from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory, build, load
from linkgauge.inventory_file import InventoryFile
from linkgauge.plan import MAX_FLOWS, decode_plan, encode_plan
from tests.collector.world import INVENTORY, StillClock, inventory, until, write_inventory

S = 10**9
patient = partial(PlanBook, patience_s=60.0)  # however late its reading thread is


def _mesh(members: list[list[int]], throughput: dict[str, float] | None) -> Inventory:
    """Networks with the given node numbers."""
    numbers = sorted({number for nodes in members for number in nodes})
    file = {
        "version": 1,
        "sites": [{"name": "s", "region": "r", "operator": "o"}],
        "networks": [{"name": f"n{at}", "kind": "private"} for at in range(len(members))],
        "nodes": [
            {
                "name": f"h{number}",
                "site": "s",
                "addresses": {
                    f"n{at}": f"10.{at}.0.{number + 1}" for at, nodes in enumerate(members) if number in nodes
                },
            }
            for number in numbers
        ],
        "probing": {"throughput": throughput},
    }
    return build(InventoryFile.model_validate(file), "test")


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, unique=True), min_size=1, max_size=3),
    st.floats(1, 5000),
    st.floats(0.1, 60),
)
def test_no_node_is_in_two_tests_at_once(members: list[list[int]], every_s: float, duration_s: float) -> None:
    inventory = _mesh(members, {"every_s": every_s, "duration_s": duration_s})
    times = timetable(inventory)
    assert set(times.offset_ns) == set(inventory.links)
    busy: set[tuple[int, str]] = set()
    for link, offset_ns in times.offset_ns.items():
        assert offset_ns % times.slot_ns == 0
        assert offset_ns + times.slot_ns <= times.cycle_ns
        for node in (link.src, link.dst):
            assert (offset_ns, node) not in busy
            busy.add((offset_ns, node))
    assert times.slot_ns >= times.duration_ns + max(S, int(0.2 * times.duration_ns))
    assert times.cycle_ns % (inventory.window_s * S) == 0
    assert times.cycle_ns >= every_s * S - 1


def test_the_timetable_is_not_much_longer_than_it_must_be() -> None:
    times = timetable(_mesh([list(range(10))], {"every_s": 1, "duration_s": 4}))
    slots = max(times.offset_ns.values()) // times.slot_ns + 1
    assert slots <= 2 * 18  # each node has 18 links; greedy needs less than twice that
    assert times.slot_ns == 5 * S


def test_a_plan_names_links_peers_and_turns(tmp_path: Path) -> None:
    plan = plan_for(inventory(tmp_path), "j1")
    assert [(p.link, p.local, p.peer) for p in plan.links] == [
        ("j1>j2@backbone", "10.0.0.1", "10.0.0.2"),
        ("j1>g1@backbone", "10.0.0.1", "10.0.0.3"),
        ("j1>g1@private", "10.1.0.1", "10.1.0.3"),
    ]
    assert plan.peers == ["10.0.0.2", "10.0.0.3", "10.1.0.3"]
    assert plan.locals == ["10.0.0.1", "10.1.0.1"]
    assert plan.stamp_interval_ns == S // 10
    by_link = {turn.link: turn for turn in plan.turns}
    assert len(by_link) == 6
    assert (by_link["j1>g1@private"].role, by_link["j1>g1@private"].peer) == ("send", "10.1.0.3")
    serve = by_link["g1>j1@private"]
    assert (serve.role, serve.local, serve.peer) == ("serve", "10.1.0.1", "10.1.0.3")


def test_both_ends_of_a_turn_agree(tmp_path: Path) -> None:
    found = inventory(tmp_path)
    ends: dict[tuple[str, int], set[str]] = {}
    for node in found.nodes:
        for turn in plan_for(found, node).turns:
            ends.setdefault((turn.link, turn.offset_ns), set()).add(turn.role)
    assert len(ends) == len(found.links)
    assert all(roles == {"send", "serve"} for roles in ends.values())


def test_a_probe_that_is_off_has_no_interval_and_no_turns(tmp_path: Path) -> None:
    text = INVENTORY + "probing: {icmp: null, tcp: null, throughput: null}\n"
    plan = patient(write_inventory(tmp_path, text)).plan("j1")[0]
    decoded = decode_plan(plan)
    assert (decoded.icmp_interval_ns, decoded.tcp_interval_ns, decoded.cycle_ns) == (0, 0, 0)
    assert decoded.turns == []


@pytest.mark.parametrize(("paths", "flows"), [(1, 1), (2, 6), (4, 16), (8, 38), (16, 90), (32, 203)])
def test_flows_cover_the_paths(paths: int, flows: int) -> None:
    """Against a draw: flows that each take a path at random use all of them as often as promised."""
    assert flows_for(paths) == flows <= MAX_FLOWS
    taken = np.random.default_rng(paths).integers(0, paths, (20_000, flows))
    covered = (np.diff(np.sort(taken, axis=1), axis=1) > 0).sum(axis=1) + 1 == paths
    assert covered.mean() >= COVERAGE - 0.005


def test_what_the_inventory_says_of_probing_stands_in_the_plan(tmp_path: Path) -> None:
    text = INVENTORY.replace("{backbone: 10.0.0.2}", "{backbone: 10.0.0.2}, reflector: stateless") + (
        "probing: {stamp: {classes: [46, 0], paths: 4, spacing: poisson, authenticated: true,"
        " size_bytes: 200, transmit_stamps: 'on'}, path: {interval_s: 30, flows: 2, max_hops: 12},"
        " tls: {port: 8443}}\n"
    )
    book = patient(write_inventory(tmp_path, text))
    plan = decode_plan(book.plan("j1")[0])
    assert (plan.classes, book.inventory().judged_class, plan.flows) == ([46, 0], "46", 16)
    assert (plan.poisson, plan.authenticated, plan.size_bytes) == (True, True, 200)
    assert plan.transmit_stamps == "on"
    assert (plan.path_interval_ns, plan.path_flows, plan.path_max_hops) == (30 * S, 2, 12)
    assert (plan.tls_interval_ns, plan.tls_timeout_ns, plan.tls_port) == (60 * S, 2 * S, 8443)
    assert [link.reflector for link in plan.links] == ["stateless", "stateful", "stateful"]
    plain = plan_for(inventory(tmp_path), "j1")
    assert (plain.classes, plain.flows, plain.poisson, plain.tls_interval_ns) == ([0], 1, False, 0)


def test_a_node_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="node x1 is not in the inventory"):
        plan_for(inventory(tmp_path), "x1")


def test_the_tag_changes_with_the_plan(tmp_path: Path) -> None:
    found = inventory(tmp_path)
    one, two = (encode_plan(plan_for(found, node)) for node in ("j1", "j2"))
    assert etag(one) == etag(encode_plan(plan_for(inventory(tmp_path), "j1")))
    assert etag(one) != etag(two)
    assert etag(one)[0] == etag(one)[-1] == '"'


def test_the_book_takes_up_a_changed_file(tmp_path: Path) -> None:
    path = write_inventory(tmp_path)
    book = patient(path)
    before = book.plan("j1")
    write_inventory(tmp_path, INVENTORY.replace("10.0.0.2", "10.0.0.22"))
    after = book.plan("j1")
    assert after[1] != before[1]
    assert b"10.0.0.22" in after[0]


def test_windows_of_a_link_that_has_left_are_still_known(tmp_path: Path) -> None:
    book = patient(write_inventory(tmp_path))
    assert "j1>g1@private" in book.links()
    write_inventory(tmp_path, INVENTORY.replace(", private: 10.1.0.3", ""))
    assert all(str(spec.link) != "j1>g1@private" for spec in book.specs())
    assert "j1>g1@private" in book.links()
    assert "j1>x9@private" not in book.links()


def test_a_changed_plan_says_when_it_takes_over_and_its_tag_does_not_depend_on_it(tmp_path: Path) -> None:
    path, clock = write_inventory(tmp_path), StillClock()
    book = patient(path, 50, clock)
    before = book.plan("j1")
    assert book.takes_over_in_s() is None
    assert decode_plan(before[0]).takes_over_ns == clock.wall_ns + 50 * S
    clock.wall_ns += 100 * S
    write_inventory(tmp_path, INVENTORY + "\n")
    body, tag = book.plan("j1")
    assert (decode_plan(body).takes_over_ns, tag) == (clock.wall_ns + 50 * S, before[1])
    assert book.takes_over_in_s() == 50


def test_the_first_plans_of_all_take_over_at_once(tmp_path: Path) -> None:
    path, clock = write_inventory(tmp_path), StillClock()
    book = patient(path, 50, clock, fresh=True)
    assert decode_plan(book.plan("j1")[0]).takes_over_ns == clock.wall_ns
    write_inventory(tmp_path, INVENTORY + "\n")
    assert decode_plan(book.plan("j1")[0]).takes_over_ns == clock.wall_ns + 50 * S


def test_a_clock_that_is_set_right_moves_the_take_over(tmp_path: Path) -> None:
    ahead_s, right = 3600.0, SystemClock()
    clock = SystemClock(wall_ns=lambda: time.time_ns() + seconds(ahead_s))
    book = patient(write_inventory(tmp_path), 50, clock)
    assert decode_plan(book.plan("j1")[0]).takes_over_ns > right.now().wall_ns + 3600 * S
    ahead_s = 0
    assert decode_plan(book.plan("j1")[0]).takes_over_ns <= right.now().wall_ns + 50 * S
    assert book.plan("j1") == book.plan("j1")


def test_a_file_that_takes_long_to_read_is_served_in_its_former_edition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, go_on, began = write_inventory(tmp_path), threading.Event(), threading.Event()
    book = PlanBook(path, patience_s=0)
    before = book.plan("j1")

    def slow(path: Path) -> Inventory:
        began.set()
        assert go_on.wait(60)
        return load(path)

    monkeypatch.setattr("collector.plans.plan_book.load", slow)
    write_inventory(tmp_path, INVENTORY.replace("10.0.0.2", "10.0.0.22"))
    assert book.plan("j1") == before
    assert began.wait(60)
    assert book.plan("j1") == before
    go_on.set()
    until(lambda: book.plan("j1") != before)
    assert b"10.0.0.22" in book.plan("j1")[0]


def test_whether_the_file_is_another_one_is_told_without_reading_it(tmp_path: Path) -> None:
    book = patient(write_inventory(tmp_path))
    assert not book.stale
    write_inventory(tmp_path, INVENTORY.replace("10.0.0.2", "10.0.0.22"))
    assert book.stale
    book.refresh()
    assert not book.stale
    assert b"10.0.0.22" in book.plan("j1")[0]


def test_a_broken_new_file_keeps_the_old_plan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_inventory(tmp_path)
    book = patient(path)
    before = book.plan("j1")
    path.write_text("version: 2\n")
    assert book.plan("j1") == before
    assert book.plan("j1") == before
    assert book.failures == 1
    assert book.fault is not None
    assert str(path) in book.fault
    assert sum("file_refused" in line.getMessage() for line in caplog.records) == 1
    write_inventory(tmp_path)
    assert book.plan("j1")[1] == before[1]
    assert book.fault is None


def test_a_fault_of_ours_in_reading_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = patient(write_inventory(tmp_path))
    before = book.plan("j1")

    def broken(_path: Path) -> Inventory:
        raise OverflowError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("collector.plans.plan_book.load", broken)
        write_inventory(tmp_path, INVENTORY + "\n")
        assert book.plan("j1") == before
    assert book.failures == 1
    assert "OverflowError('a bug')" in str(book.fault)


@pytest.mark.parametrize("value", [".inf", "1e300", "1e-300", ".nan", "-.inf"])
@pytest.mark.parametrize(
    "key", ["stamp: {rate_pps", "stamp: {timeout_s", "throughput: {every_s", "icmp: {timeout_s"]
)
def test_numbers_that_no_plan_can_hold_are_faults_of_the_file(tmp_path: Path, key: str, value: str) -> None:
    path = write_inventory(tmp_path, INVENTORY + f"probing: {{{key}: {value}}}}}\n")
    with pytest.raises(ConfigError, match="probing"):
        patient(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("window_s: 10", "window_s: 20", "window_s has changed from 10 to 20"),
        ("period_s: 60", "period_s: 120", "period_s has changed from 60 to 120"),
        (
            "sites:",
            "probing: {stamp: {timeout_s: 1.5}}\nsites:",
            "probing.stamp.timeout_s has changed from 2 to 1.5",
        ),
    ],
)
def test_lengths_that_the_judging_was_built_for_do_not_change(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = write_inventory(tmp_path)
    book = patient(path)
    before = book.plan("j1"), book.inventory()
    write_inventory(tmp_path, INVENTORY.replace(old, new))
    assert (book.plan("j1"), book.inventory()) == before
    assert book.fault == f"{path}: {words}; restart the collector to use it"
    assert book.failures == 1
    write_inventory(tmp_path, INVENTORY + "\n")
    assert book.inventory() == before[1]
    assert book.fault is None
    write_inventory(tmp_path, INVENTORY.replace(old, new))
    assert patient(path).fault is None
