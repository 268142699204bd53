"""Panels of the overview that tell trouble over time: the worst links, what fires, what changed."""

from __future__ import annotations

from dashboards.board import hidden_variable
from dashboards.colours import MAINTENANCE, MET, MISSED, UNKNOWN
from dashboards.filters import LINK_FILTERS
from dashboards.links import cell, drill
from dashboards.panel import COUNT, MICROSECONDS, SECONDS, states, timeline
from dashboards.query import LATELY, STEP, by, columns, matches, target, where
from dashboards.table import Column, coloured, table
from dashboards.words import LINK, Json, Text
from dashboards.words import MET as MET_WORD
from dashboards.words import MISSED as MISSED_WORD
from dashboards.words import UNKNOWN as UNKNOWN_WORD

VERDICTS = states({1: (MET_WORD, MET), 2: (MISSED_WORD, MISSED), 0: (UNKNOWN_WORD, UNKNOWN)})
WORST = 12
"""Links in the timeline: as many as can be told apart in its height."""
FIRING = states({1: (Text("firing", "触发中"), MISSED), 0: (Text("ended", "已结束"), MET)})
HELD = states({0: (Text("told", "已通知"), MISSED), 1: (Text("held back", "已抑制"), MAINTENANCE)})
_ORDER = '"held" * 100000000 + "since" AS "order"'
"""What was told before what was not, and the newest first: it is what people on duty wait for."""
_ALERT = ("rule", "severity", "about", "direction", "site")
_NETWORK = matches("network")
_ABOUT = [drill("link", link=cell("about")), drill("system", node=cell("about"))]
"""An alert is about a link, or about a node or site: Grafana offers both ways, it cannot choose."""


def worst() -> Json:
    """The hidden variable `worst`: links of which alerts told longest in the board's range."""
    windows = (
        'SELECT sum("firing") AS "windows" FROM "alert_state" '
        f'WHERE $timeFilter AND "about" =~ /@/ AND {_NETWORK} {by("about")}'
    )
    return hidden_variable(
        "worst", f'SELECT "about", "top" FROM (SELECT top("windows", "about", {WORST}) FROM ({windows}))'
    )


def worst_timeline() -> Json:
    """Verdicts of the worst links."""
    query = (
        f'SELECT max("verdict") AS "verdict" FROM "link_state" {where(*LINK_FILTERS)} '
        f'AND {matches("link", "worst")} {STEP},"link" fill(null)'
    )
    return timeline(
        Text("Worst links", "最差链路"),
        Text(
            f"Verdicts of the {WORST} links of which alerts told longest in this range, the worst of "
            "each step. "
            "No data: no alert told of a link. A gap: the collector wrote nothing.",
            f"本时段内告警时间最长的 {WORST} 条链路的判定，每格取最差值。无数据：没有针对链路的告警。空"
            "白：采集器没有写入。",
        ),
        [target(query, "$tag_link")],
        VERDICTS,
    )


def _alerts(also: str = "", **values: str) -> Json:
    """The last row of each alert in the range that has not ended then, with other columns of it, and `also`
    what is made of these."""
    last = (
        f'SELECT last("firing") AS "firing", {columns(**values)} FROM "alert_state" '
        f"WHERE $timeFilter AND ({_NETWORK} OR \"network\" = '') {by(*_ALERT)}"
    )
    names = ", ".join([*(f'"{name}"' for name in values), *([also] if also else [])])
    query = f'SELECT {names} FROM ({last}) WHERE $timeFilter AND "firing" = 1 {by(*_ALERT)}'
    return target(query, table=True)


def firing() -> Json:
    """Alerts that fire now."""
    shown = (
        Column("severity", Text("severity", "级别"), width=100),
        Column("rule", Text("rule", "规则"), width=140),
        Column("about", Text("about", "对象"), None, {"links": _ABOUT}, 250),
        Column("since", Text("since", "持续"), SECONDS, width=90),
        Column("held", Text("told", "通知"), None, coloured(mappings=HELD), 90),
        Column("summary", Text("what", "说明"), more={"custom_inspect": True}),
    )
    return table(
        Text("Firing alerts", "正在触发的告警"),
        Text(
            "Alerts of the last minutes that have not ended: first those that were told, the newest "
            "before the older, then those held back: another alert explains it, it is silenced, or it "
            "belongs to a drill. No data: nothing fires, or the collector is silent; the board "
            "Measuring system tells which.",
            "最近几分钟内尚未结束的告警：已通知的在前，最新的在先，其后为已抑制的。已抑制：由另一告警解释、被静默或属于演练。"
            "无数据：没有告警，或采集器没有上报；“测量系统”面板可以区分。",
        ),
        [_alerts(summary='"summary"'), _alerts(_ORDER, since='"since_s"', held='"held_back"')],
        shown,
        first=("order", False),
        last=LATELY,
    )


def changes() -> list[tuple[int, Json]]:
    """What changed in the last hour, as (width, panel): ways and delays, and alerts."""
    return [(12, _events()), (12, _ended())]


def _events() -> Json:
    values = columns(flows='"flows"', before='"before_us"', after='"after_us"')
    query = f'SELECT {values} FROM "link_event" {where(*LINK_FILTERS)} {by("link", "kind")}'
    shown = (
        Column("link", LINK, None, {"links": [drill("link", link=cell("link"))]}, 280),
        Column("kind", Text("what changed", "变化"), width=120),
        Column("flows", Text("flows", "流"), COUNT, width=70),
        Column("before", Text("delay before", "之前时延"), MICROSECONDS),
        Column("after", Text("delay after", "之后时延"), MICROSECONDS),
    )
    return table(
        Text("Changes of the last hour: ways", "最近一小时的变化：路径"),
        Text(
            "Changes of the way, of the smallest delay (reroute; below-ip: the hops stayed) and of the "
            "MTU, the "
            "latest first. No data: nothing changed.",
            "路径、最小时延（reroute：改道；below-ip：逐跳不变）和 MTU 的变化，最新的在前。无数据：没有"
            "变化。",
        ),
        [target(query, table=True)],
        shown,
        first=("Time", True),
        time=True,
        last="1h",
    )


def _ended() -> Json:
    query = (
        'SELECT last("firing") AS "firing", "since_s" AS "since" FROM "alert_state" '
        f"WHERE $timeFilter AND ({_NETWORK} OR \"network\" = '') {by(*_ALERT)}"
    )
    shown = (
        Column("firing", Text("state", "状态"), None, coloured(mappings=FIRING), 80),
        Column("rule", Text("rule", "规则"), width=170),
        Column("about", Text("about", "对象"), more={"links": _ABOUT}),
        Column("since", Text("for", "时长"), SECONDS, width=90),
    )
    return table(
        Text("Changes of the last hour: alerts", "最近一小时的变化：告警"),
        Text(
            "Alerts that fired in the last hour, with their last state and how long they had been "
            "firing then, the "
            "latest first. No data: none fired.",
            "最近一小时内触发过的告警、其最后状态以及到那时持续的时长，最新的在前。无数据：没有触发。",
        ),
        [target(query, table=True)],
        shown,
        first=("Time", True),
        time=True,
        last="1h",
    )
