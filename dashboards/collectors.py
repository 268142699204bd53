"""The section "Collectors and stores" of the board "Measuring system": what waits, and what was not kept."""

from __future__ import annotations

from dashboards import colours
from dashboards.board import Section, even
from dashboards.panel import COUNT, SECONDS, Line, series, states, thresholds
from dashboards.query import LATELY, STEP, by, columns, matches, range_and, target
from dashboards.table import Column, coloured, table
from dashboards.words import Json, Text

MINE = range_and(matches("collector"))
TAKES = states({0: (Text("takes", "接收中"), colours.MET), 1: (Text("held", "受阻"), colours.MISSED)})
SOME = coloured(thresholds=thresholds((0, colours.MET), (1, colours.MISSED)))
LOST = {
    "dead_letters": Text("dead letters", "死信"),
    "journal_dropped": Text("batches dropped", "丢弃批次"),
    "batches_refused": Text("batches refused", "拒收批次"),
    "rows_left_out": Text("rows left out", "略过行数"),
    "faults": Text("faults", "故障"),
}
"""Columns of collector_health that should be 0."""


def collectors() -> Section:
    """The section."""
    title = Text("Collectors and stores", "采集器与存储")
    return Section(title, (even(7, _sinks(), _lost()), even(7, _lag(), _waiting())))


def _sinks() -> Json:
    held = columns(held='last("held_ratio")', backlog='last("backlog_batches")', lag='last("lag_s")')
    return table(
        Text("Sinks", "存储出口"),
        Text(
            "Each store that the collector feeds: whether it takes what it is given, and what waits for it.",
            "采集器写入的各存储：是否接收，以及待写批次。",
        ),
        [target(f'SELECT {held} FROM "sink_state" {MINE} {by("collector", "sink")}', table=True)],
        [
            Column("collector", Text("collector", "采集器")),
            Column("sink", Text("sink", "出口")),
            Column("held", Text("state", "状态"), more=coloured(mappings=TAKES)),
            Column("backlog", Text("batches waiting", "待写批次"), COUNT),
            Column("lag", Text("oldest", "最早时龄"), SECONDS),
        ],
        first=("lag", True),
        last=LATELY,
    )


def _lost() -> Json:
    fields = columns(**{name: f'last("{name}")' for name in LOST})
    return table(
        Text("What was not kept", "未能保存的数据"),
        Text(
            "Dead letters: rows that a store refused, kept for you. Dropped: batches lost to the journal's "
            "bounds. Refused: batches not taken from agents. Faults: unexpected ones, the log has them. "
            "Anything but 0 wants a look.",
            "死信：被存储拒绝而保留的数据。丢弃：因日志上限丢失的批次。"
            "拒收：未接收的探针批次。故障：意外错误，见日志。非 0 均需查看。",
        ),
        [target(f'SELECT {fields} FROM "collector_health" {MINE} {by("collector")}', table=True)],
        [
            Column("collector", Text("collector", "采集器")),
            *(Column(name, text, COUNT, SOME) for name, text in LOST.items()),
        ],
        last=LATELY,
    )


def _lag() -> Json:
    query = f'SELECT max("lag_s") AS "lag" FROM "sink_state" {MINE} {STEP},"collector","sink" fill(null)'
    return series(
        Text("Age of what waits for each sink", "各出口待写数据时龄"),
        Text(
            "The archive gathers for a minute; more than some minutes is a backlog.",
            "归档会攒一分钟；数分钟以上即为积压。",
        ),
        [target(query, "$tag_collector $tag_sink")],
        SECONDS,
    )


def _waiting() -> Json:
    fields = columns(journal='max("journal_batches")', rollups='max("rollup_slots")')
    return series(
        Text("Journal, roll-ups due", "日志与待汇总"),
        Text(
            "Batches that some store lacks, and roll-ups that are over and not made.",
            "尚有存储未取走的批次，以及到期未生成的汇总。",
        ),
        [target(f'SELECT {fields} FROM "collector_health" {MINE} {STEP} fill(null)')],
        COUNT,
        [
            Line("journal", Text("batches in the journal", "日志批次"), colours.P50),
            Line("rollups", Text("roll-ups due", "待汇总"), colours.OBJECTIVE),
        ],
    )
