"""The board "Network overview", for the wall: how many links keep their objectives, where they do not, what
fires, what changed. It obeys the variables network, tier, src_site and dst_site.

What stands now is that of the last minutes (LATELY) whatever range the board has; timelines have the range.
The first section fills a screen of 1080 lines.
"""

from __future__ import annotations

from dashboards.board import Section, band, board, even
from dashboards.colours import DOWN, MAINTENANCE, MET, MISSED, UNKNOWN
from dashboards.filters import link_filters
from dashboards.panel import COUNT, RATIO, stat, thresholds
from dashboards.query import LATELY, by, target
from dashboards.sites import LINKS, delay_matrix, loss_matrix, site_map, throughput_matrix
from dashboards.trouble import changes, firing, worst, worst_timeline
from dashboards.words import Json, Text
from linkgauge.judged_tables import DOWN_S
from linkgauge.model import DEFAULT_TIERS


def overview() -> Json:
    """The board with `Text` in it."""
    return board(
        "overview",
        Text(
            "Which links keep their objectives, where they do not, what fires and what changed.",
            "哪些链路达标、哪些没有、在哪里、正在触发的告警以及最近的变化。",
        ),
        [*link_filters(), worst()],
        [
            Section(
                Text("Now", "当前"),
                (
                    even(3, *_counts()),
                    band(7, (7, _coverage()), (17, firing())),
                    even(8, delay_matrix(), loss_matrix(), throughput_matrix()),
                    band(8, (14, worst_timeline()), (10, site_map())),
                ),
            ),
            Section(Text("What changed in the last hour", "最近一小时的变化"), (band(9, *changes()),)),
        ],
    )


def _counted(name: str, field: str, indicator: str) -> str:
    """For each tier, how many links have indicator(v) = 1, v being their last value of `field`.

    Counted by arithmetic because `WHERE v = 2` gives nothing, and not 0, when no link has missed.
    """
    last = f'SELECT last("{field}") AS "v" FROM "link_state" {LINKS} {by("link", "tier")}'
    each = f'SELECT {indicator} AS "is" FROM ({last}) WHERE $timeFilter {by("link", "tier")}'
    return f'SELECT sum("is") AS "{name}" FROM ({each}) WHERE $timeFilter {by("tier")}'


def _down() -> str:
    """The same of links that are not answered: those above the bound, and 0 for each tier that is known."""
    last = f'SELECT last("unanswered_s") AS "v" FROM "link_state" {LINKS} {by("link", "tier")}'
    above = f'SELECT count("v") AS "is" FROM ({last}) WHERE $timeFilter AND "v" > {DOWN_S} {by("tier")}'
    known = f'SELECT 0 * count("unanswered_s") AS "is" FROM "link_state" {LINKS} {by("tier")}'
    return f'SELECT sum("is") AS "down" FROM ({above}), ({known}) WHERE $timeFilter {by("tier")}'


def _counts() -> list[Json]:
    """How many links are in which state, by tier."""
    return [*_verdicts(), *_now()]


def _verdicts() -> list[Json]:
    met = _count(
        Text("Links met", "达标链路"),
        Text(
            "By tier: links whose last verdict is met. Delay and loss over the period keep to the tier, "
            "with enough "
            "packets to say so.",
            "按等级：最近判定为达标的链路。评估期内的时延和丢包符合等级要求，且样本量足以下此结论。",
        ),
        _counted("met", "verdict", '"v" * (2 - "v")'),
        MET,
        MET,
    )
    missed = _count(
        Text("Links missed", "未达标链路"),
        Text(
            "By tier: links whose last verdict is missed. Delay, loss or throughput does not keep to "
            "its objective.",
            "按等级：最近判定为未达标的链路。时延、丢包或吞吐没有达到目标。",
        ),
        _counted("missed", "verdict", '"v" * ("v" - 1) / 2'),
        MET,
        MISSED,
    )
    unknown = _count(
        Text("Links unknown", "未知链路"),
        Text(
            "By tier: links of which nothing can be said. Not measured, an unfit agent, or too few "
            "packets yet; "
            "neither good nor bad.",
            "按等级：无法判定的链路。未测量、探针不健康或样本不足；既不算好也不算坏。",
        ),
        _counted("unknown", "verdict", '("v" - 1) * ("v" - 2) / 2'),
        MET,
        UNKNOWN,
    )
    return [met, missed, unknown]


def _now() -> list[Json]:
    down = _count(
        Text("Links down", "中断链路"),
        Text(
            "By tier: links whose far end does not answer now. They also count as missed or unknown.",
            "按等级：对端当前没有应答的链路。它们同时计入未达标或未知。",
        ),
        _down(),
        MET,
        DOWN,
    )
    work = _count(
        Text("Links in maintenance", "维护中的链路"),
        Text(
            "By tier: links that announced work touches. They page nobody and do not count in scores.",
            "按等级：受已公告维护影响的链路。不会呼叫任何人，也不计入评分。",
        ),
        _counted("maintenance", "maintenance", '"v"'),
        MET,
        MAINTENANCE,
    )
    return [down, work]


def _count(title: Text, description: Text, query: str, none: str, some: str) -> Json:
    steps = thresholds((0, none), (1, some))
    made = stat(title, description, [target(query, "$tag_tier")], COUNT, steps, last=LATELY)
    made["options"]["text"] = {"titleSize": 16, "valueSize": 34}  # the tier must be read from across the room
    return made


def _coverage() -> Json:
    circles = sorted({tier.delay_us for tier in DEFAULT_TIERS.values()})
    return stat(
        Text("Latency circles", "时延圈覆盖"),
        Text(
            "Share of the pairs of sites whose best link is within 1, 5 and 20 ms one way, over the "
            "period that "
            "verdicts look at. Pairs of which the delay is not known do not count.",
            "站点对中，最优链路单向时延在 1、5、20 毫秒以内的比例，按判定所用的评估期计算。时延未知的站"
            "点对不计入。",
        ),
        [target(_within(delay_us), f"≤ {delay_us / 1000:g} ms") for delay_us in circles],
        RATIO,
        thresholds((0, MET)),
        last=LATELY,
    )


def _within(delay_us: int) -> str:
    """Share of pairs of sites; known pairs count as 0 first, so that none within is 0 and not nothing."""
    best = f'SELECT min("period_delay_us") AS "d" FROM "link_state" {LINKS} {by("src_site", "dst_site")}'
    within = f'SELECT count("d") AS "in", 0 * count("d") AS "all" FROM ({best})'
    known = f'SELECT 0 * count("d") AS "in", count("d") AS "all" FROM ({best}) WHERE $timeFilter'
    parts = f'({within} WHERE $timeFilter AND "d" <= {delay_us}), ({known})'
    return f'SELECT sum("in") / sum("all") AS "share" FROM {parts} WHERE $timeFilter'
