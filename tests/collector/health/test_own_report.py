"""The collector's own report: a window's frames journalled like any batch, waiting while nothing can be."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from collector.health.metrics import Metrics
from collector.health.own_report import AGENT, WAITING, OwnReport
from collector.health.window_rows import WindowRows
from collector.intake import Intake
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.packing import unpack
from linkgauge.schema import ALERT, MEMBER, NODE, STATE
from linkgauge.wire import MAX_BODY_BYTES, Batch, decode, encode
from tests.collector.world import NOW_NS, WINDOW_NS, StillClock

HEALTH: dict[str, float | int | str] = {
    "batches_accepted": 7,
    "archive_lag_s": 7.0,
    "influx_lag_s": math.nan,
    "archive_head": "ab12",
}
ARCHIVE = {"backlog_batches": 3, "lag_s": 7.0, "held_ratio": 1.0}


def state(start_ns: int) -> Frame:
    columns = {"link": ["a>b@n"], "start_ns": [start_ns], "length_ns": [WINDOW_NS], "verdict": [1]}
    return Frame.of(STATE, columns)


def node(state: Frame) -> Frame:
    return Frame.of(NODE, {"node": ["a"], "site": ["s"], "region": ["r"], "operator": ["o"], **at(state)})


def member(state: Frame) -> Frame:
    return Frame.of(MEMBER, {"node": ["a"], "network": ["n"], "site": ["s"], **at(state)})


def at(state: Frame) -> dict[str, list[int]]:
    return {name: state.count(name)[:1].tolist() for name in ("start_ns", "length_ns")}


def alerts(rows: int) -> Frame:
    columns = {name: ["x"] * rows for name in ALERT.keys}
    about = [f"some-node-{number}>another-node@backbone" for number in range(rows)]
    told = [
        f"{name}: " + "what was told of it, with its numbers and how sure they are; " * 4 for name in about
    ]
    times = {"start_ns": [NOW_NS] * rows, "length_ns": [WINDOW_NS] * rows}
    return Frame.of(ALERT, {**columns, "about": about, **times, "summary": told})


class Shelf:
    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.full = False

    def append(
        self,
        agent: str,
        boot: str,
        number: int,
        created_ns: int,
        received_ns: int,
        body: bytes,
        via: str = "",
    ) -> bool:
        if self.full:
            raise StoreError("full")
        self.kept.append(body)
        return True

    def batches(self) -> list[Batch]:
        return [decode(unpack(body, MAX_BODY_BYTES)) for body in self.kept]


class World:
    def __init__(self, on_duty: Callable[[], bool] = lambda: True) -> None:
        self.shelf, self.metrics, self.broken = Shelf(), Metrics(), False
        intake = Intake(self.shelf, frozenset, StillClock(), self.metrics)
        self.own = OwnReport(intake, StillClock(), self.metrics, on_duty)
        self.rows = WindowRows("here", node, member, lambda: {"archive": ARCHIVE}, self.health)

    def health(self) -> dict[str, float | int | str]:
        if self.broken:
            raise StoreError("the journal cannot be read")
        return dict(HEALTH)

    def publish(self, state: Frame, **more: Frame) -> None:
        judged = {"state": state}
        self.own.publish({**judged, **self.rows(judged), **more})


def test_the_own_report_has_verdicts_nodes_sinks_and_health() -> None:
    world = World()
    world.publish(state(NOW_NS))
    world.own.publish({"state": state(NOW_NS)})
    first, again = world.shelf.batches()
    assert (first.agent, first.number) == (AGENT, 1)
    assert set(first.frames) == {"state", "node", "member", "sink", "collector"}
    sink = first.frames["sink"]
    assert (sink.text("collector").tolist(), sink.text("sink").tolist()) == (["here"], ["archive"])
    assert (sink.count("backlog_batches")[0], sink.real("lag_s")[0], sink.real("held_ratio")[0]) == (3, 7, 1)
    assert sink.count("start_ns").tolist() == [NOW_NS]
    (row,) = world.rows.nodes()
    assert (row["node"], row["site"], row["start_ns"], row["silent_s"]) == ("a", "s", NOW_NS, None)
    health = first.frames["collector"]
    assert health.text("collector").tolist() == ["here"]
    assert health.count("batches_accepted").tolist() == [7]
    assert health.real("archive_lag_s").tolist() == [7.0]
    assert math.isnan(health.real("influx_lag_s")[0])
    assert health.text("archive_head").tolist() == ["ab12"]
    assert set(again.frames) == {"state"}


def test_verdicts_of_more_links_than_a_batch_holds_are_journalled_in_parts() -> None:
    world, links = World(), [f"a-node-of-a-name-of-some-length-{at}>b@backbone" for at in range(100_000)]
    columns = {"link": links, "start_ns": [NOW_NS] * len(links), "length_ns": [WINDOW_NS] * len(links)}
    world.publish(Frame.of(STATE, columns))
    batches = world.shelf.batches()
    assert [link for batch in batches for link in batch.frames["state"].text("link").tolist()] == links
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert ["collector" in batch.frames for batch in batches] == [True] + [False] * (len(batches) - 1)
    world.own.publish({"state": Frame.of(STATE, columns)})
    assert len(world.shelf.batches()) == 2 * len(batches) > 2


def test_off_duty_there_is_what_is_of_this_collector_but_no_verdict_and_no_node() -> None:
    world = World(lambda: False)
    world.publish(state(NOW_NS), alert=alerts(1))
    world.own.publish({"state": state(NOW_NS)})
    assert [set(batch.frames) for batch in world.shelf.batches()] == [{"sink", "collector", "alert"}]


def test_while_the_journal_cannot_be_read_verdicts_and_nodes_are_journalled_all_the_same() -> None:
    world = World()
    world.broken = True
    world.publish(state(NOW_NS))
    assert [set(batch.frames) for batch in world.shelf.batches()] == [{"state", "node", "member", "sink"}]


def test_a_crowd_of_alerts_is_journalled_in_batches_that_can_be_read() -> None:
    world = World()
    world.publish(state(NOW_NS), alert=alerts(60_000))
    batches = world.shelf.batches()
    assert sum(batch.frames["alert"].rows for batch in batches) == 60_000
    assert set(batches[0].frames) == {"state", "node", "member", "sink", "collector", "alert"}
    assert max(len(encode(batch)) for batch in batches) <= MAX_BODY_BYTES


def test_a_window_without_links_has_no_rows() -> None:
    world = World()
    world.publish(state(NOW_NS).take(np.zeros(1, np.bool_)))
    assert world.shelf.batches() == []
    assert world.rows.nodes() == []


def test_own_reports_wait_while_the_journal_is_full_and_the_loss_is_counted() -> None:
    world = World()
    world.shelf.full = True
    for at in range(WAITING + 5):
        world.publish(state(NOW_NS + at * WINDOW_NS))
    world.shelf.full = False
    world.publish(state(NOW_NS + 999 * WINDOW_NS))
    assert [batch.number for batch in world.shelf.batches()] == list(range(7, WAITING + 7))
    assert world.metrics.values()["faults_total:own_report_dropped"] == 6
