"""The board "Measuring system": agents, collectors, stores and what they could not keep, so that a bad
measurement is seen as one.

How agents stand is `node_state`, which the collector writes for every node, silent ones too; the details come
from `agent_health`, which an agent writes itself, and are asked for when their section is opened.
"""

from __future__ import annotations

from dashboards import colours, words
from dashboards.agents import details
from dashboards.board import Section, board, even, variable
from dashboards.collectors import collectors
from dashboards.counted import counted
from dashboards.links import cell, drill
from dashboards.panel import (
    COUNT,
    MICROSECONDS,
    SECONDS,
    series,
    states,
    thresholds,
    timeline,
)
from dashboards.query import LATELY, STEP, by, columns, matches, range_and, target
from dashboards.table import Column, coloured, table
from dashboards.trouble import FIRING, HELD
from dashboards.words import Json, Text
from linkgauge.judged_tables import SILENT_S

SITES, NODES = matches("site"), matches("node")
PLAN_OLD_S, WAITING_S = 600, 120
"""Bounds of the rules plan-stale and agent-backlog; a test holds them to the rules."""
OWN_RULES = "/^(agent-.*|clock-.*|plan-.*|collector-.*|sink-.*|dead-letters|certificate-.*)$/"
FIT = states({0: (Text("fit", "合格"), colours.MET), 1: (Text("unfit", "不合格"), colours.MISSED)})
STEERED = states({0: (Text("steered", "已同步"), colours.MET), 1: (Text("free", "未同步"), colours.MISSED)})
WORK = states(
    {0: (Text("in service", "在用"), colours.MET), 1: (words.MAINTENANCE, colours.MAINTENANCE)},
)


def system() -> Json:
    """The board with `Text` in it."""
    variables = [
        variable("site", words.SITE, "node_state"),
        variable("node", words.NODE, "node_state", ("site",)),
        variable("collector", Text("Collector", "采集器"), "collector_health"),
    ]
    return board(
        "system",
        Text(
            "Whether the measuring itself is well: agents, collectors, stores, dead letters.",
            "测量系统自身是否正常：探针、采集器、存储与死信。",
        ),
        variables,
        [_agents(), collectors(), _alerts(), details()],
    )


def _agents() -> Section:
    return Section(Text("Agents", "探针"), (even(4, *_counts()), even(11, _listed()), even(10, *_graphs())))


_COUNTS = (
    (
        Text("Nodes", "节点"),
        'last("links_in")',
        "count",
        thresholds((0, colours.NEUTRAL)),
        Text("Nodes of the inventory, each with an agent.", "清单中的节点数，每个节点一个探针。"),
    ),
    (
        Text("Agents fit", "合格探针"),
        '1 - last("unfit_ratio")',
        "sum",
        thresholds((0, colours.UNKNOWN), (1, colours.MET)),
        Text(
            "Agents that are heard and were fit to measure in their last window; fewer than nodes: "
            "look below.",
            "有上报且最近窗口合格的探针数；少于节点数时请查看下表。",
        ),
    ),
    (
        Text("Agents unfit", "不合格探针"),
        'last("unfit_ratio")',
        "sum",
        thresholds((0, colours.MET), (1, colours.MISSED)),
        Text(
            "Agents that say themselves that they could not measure: what they found judges nothing.",
            "自报无法合格测量的探针数：其结果不参与判定。",
        ),
    ),
    (
        Text("Clocks not steered", "时钟未同步"),
        'last("clock_unsynchronised_ratio")',
        "sum",
        thresholds((0, colours.MET), (1, colours.OBJECTIVE)),
        Text(
            "Agents whose clock nothing steers: their links are judged on half the round trip.",
            "时钟无外部同步的探针数：其链路按往返时延的一半判定。",
        ),
    ),
    (
        Text("Nodes down", "节点中断"),
        'last("down_ratio")',
        "sum",
        thresholds((0, colours.MET), (1, colours.DOWN)),
        Text("Nodes that answer on none of their links.", "所有链路均无应答的节点数。"),
    ),
)


def _counts() -> list[Json]:
    return [
        counted(title, description, color, each, "node_state", SITES, NODES, total=total)
        for title, each, total, color, description in _COUNTS
    ]


def _listed() -> Json:
    names = (
        "silent_s", "unfit_ratio", "clock_unsynchronised_ratio", "clock_error_us", "plan_age_s",
        "outbox_oldest_s", "outbox_dropped", "links_in", "links_in_down", "maintenance",
    )  # fmt: skip
    fields = columns(**{name: f'last("{name}")' for name in names})
    query = f'SELECT {fields} FROM "node_state" {range_and(SITES, NODES)} {by("node", "site")}'

    def above(bound: float) -> Json:
        return coloured(thresholds=thresholds((0, colours.MET), (bound, colours.MISSED)))

    return table(
        Text("Every agent", "全部探针"),
        Text(
            "Longest silent first. Silent: since when the collector has not heard it. Plan age: since "
            "when it "
            "could not confirm its plan. Waiting: age of the oldest batch that it could not hand over. "
            "Colours "
            "change at the bounds of the alert rules.",
            "静默最久者在前。静默：采集器未收到其上报的时长。计划时龄：未能确认计划的时长。滞留："
            "未能上交的最早批次时龄。颜色按告警规则阈值变化。",
        ),
        [target(query, table=True)],
        [
            Column("node", words.NODE, more={"links": [drill("system", "site", node=cell("node"))]}),
            Column("site", words.SITE),
            Column("silent_s", Text("silent", "静默"), SECONDS, above(SILENT_S)),
            Column("unfit_ratio", Text("fitness", "合格性"), more=coloured(mappings=FIT)),
            Column("clock_unsynchronised_ratio", Text("clock", "时钟"), more=coloured(mappings=STEERED)),
            Column("clock_error_us", Text("clock's error", "时钟误差"), MICROSECONDS),
            Column("plan_age_s", Text("plan age", "计划时龄"), SECONDS, above(PLAN_OLD_S)),
            Column("outbox_oldest_s", Text("waiting", "滞留"), SECONDS, above(WAITING_S)),
            Column("outbox_dropped", Text("batches lost", "丢失批次"), COUNT, above(1)),
            Column("links_in", Text("links to it", "到达链路"), COUNT),
            Column("links_in_down", Text("of these down", "其中中断"), COUNT, above(1)),
            Column("maintenance", Text("work", "维护"), more=coloured(mappings=WORK)),
        ],
        first=("silent_s", True),
        last=LATELY,
    )


def _graphs() -> list[Json]:
    heard = timeline(
        Text("Agents fit to measure", "探针合格性"),
        Text(
            "The worst window of each step. A gap: the agent was silent.",
            "每个时间步内的最差窗口。空缺：探针静默。",
        ),
        [target(f'SELECT max("unfit_ratio") AS "unfit" FROM "node_state" {range_and(SITES, NODES)} '
                f'{STEP},"node" fill(null)', "$tag_node")],
        FIT,
    )  # fmt: skip
    clock = series(
        Text("Error bound of the clocks", "时钟误差上界"),
        Text(
            "What each kernel guarantees. One-way delay is withheld above a tenth of the tier.",
            "各内核保证的误差上界。超过等级时延的十分之一时不给出单向时延。",
        ),
        [target(f'SELECT max("clock_error_us") AS "error" FROM "node_state" {range_and(SITES, NODES)} '
                f'{STEP},"node" fill(null)', "$tag_node")],
        MICROSECONDS,
    )  # fmt: skip
    return [heard, clock]


def _alerts() -> Section:
    fields = columns(firing='last("firing")', held='last("held_back")', since='last("since_s")')
    condition = f'"rule" =~ {OWN_RULES}'
    query = f'SELECT {fields} FROM "alert_state" {range_and(condition)} {by("rule", "about", "severity")}'
    firing = table(
        Text("Alerts of the measuring system", "测量系统告警"),
        Text(
            "Alerts of agents, clocks, plans, collectors and stores in the last minutes; one that has "
            "ended says so for a short while. Held back: another alert explains it, or it is silenced.",
            "近几分钟内探针、时钟、计划、采集器与存储的告警；已结束者短暂显示。已抑制：由另一告警解释或被静默。",
        ),
        [target(query, table=True)],
        [
            Column("rule", Text("rule", "规则")),
            Column("about", Text("about", "对象")),
            Column("severity", Text("severity", "级别")),
            Column("firing", Text("state", "状态"), more=coloured(mappings=FIRING)),
            Column("held", Text("told", "通知"), more=coloured(mappings=HELD)),
            Column("since", Text("for", "持续"), SECONDS),
        ],
        first=("since", True),
        missing=Text("none", "无"),
        last=LATELY,
    )
    return Section(Text("Alerts", "告警"), (even(6, firing),))
