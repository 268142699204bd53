"""The board "Private networks": one network, its members and gateways, its mesh, what it carries, and how it
compares with another network between the same sites.

The network is the variable `private`, and not `network` as elsewhere: of that the other boards hand over All,
and here it is exactly one. It begins with the last name, what it is compared with with the first.

Members are rows of `member_state`, so a network of a thousand links is counted from its nodes.
"""

from __future__ import annotations

from dashboards import colours, words
from dashboards.board import Section, board, even, variable
from dashboards.carrying import SITES, THIS, capacity, compared
from dashboards.counted import counted
from dashboards.links import COLUMN, ROW, drill
from dashboards.panel import BITS, COUNT, KEPT, MICROSECONDS, RATIO, excess, states, thresholds
from dashboards.query import LATELY, by, columns, range_and, target
from dashboards.table import Column, coloured, matrix, table
from dashboards.words import Json, Text

KINDS = '"kind" =~ /^(gateway|hop|site|node)$/'
YES_NO = states({1: (Text("gateway", "网关"), colours.FORWARD), 0: (Text("member", "成员"), colours.NEUTRAL)})
VERDICTS = states(
    {
        1: (words.MET, colours.MET),
        2: (words.MISSED, colours.MISSED),
        0: (words.UNKNOWN, colours.UNKNOWN),
    }
)


def private() -> Json:
    """The board with `Text` in it."""
    variables = [
        {**variable("private", Text("Network", "网络"), "member_state", tag="network", one=True), "sort": 2},
        variable("other", Text("Compared with", "对比网络"), "member_state", tag="network", one=True),
        variable("src_site", words.FROM_SITE, "link_state", ("network=private",)),
        variable("dst_site", words.TO_SITE, "link_state", ("network=private", "src_site")),
    ]
    return board(
        "private",
        Text(
            "One private network: members, gateways, mesh, capacity, and the same sites over another "
            "network.",
            "单个专用网络：成员、网关、网格、容量，以及相同站点经另一网络的对比。",
        ),
        variables,
        [_members(), _mesh(), capacity(), compared()],
    )


def _members() -> Section:
    counts = (
        counted(title, description, color, f'last("{field}")', "member_state", THIS)
        for field, title, color, description in _COUNTS
    )
    return Section(
        Text("Members now", "当前成员"),
        (even(4, *counts), even(9, _member_table())),
    )


_COUNTS = (
    (
        "links_met",
        Text("Links met", "达标链路"),
        thresholds((0, colours.UNKNOWN), (1, colours.MET)),
        Text(
            "Links of this network whose loss and delay keep to their tier, with enough packets to say so.",
            "本网络中丢包与时延均符合等级目标、且样本足以判定的链路数。",
        ),
    ),
    (
        "links_missed",
        Text("Links missed", "未达标链路"),
        thresholds((0, colours.MET), (1, colours.MISSED)),
        Text(
            "Links of this network that surely do not keep to their tier.",
            "本网络中确定不符合等级目标的链路数。",
        ),
    ),
    (
        "links_unknown",
        Text("Links unknown", "未知链路"),
        thresholds((0, colours.MET), (1, colours.UNKNOWN)),
        Text(
            "Links of this network of which nothing can be said yet: this is neither good nor bad.",
            "本网络中尚无法判定的链路数：既非好也非坏。",
        ),
    ),
    (
        "links_down",
        Text("Links down", "中断链路"),
        thresholds((0, colours.MET), (1, colours.DOWN)),
        Text(
            "Links of this network of which nothing was answered when the last window ended.",
            "本网络中上一窗口结束时无任何应答的链路数。",
        ),
    ),
)


def _member_table() -> Json:
    fields = {
        name: f'last("{name}")'
        for name in (
            "gateway", "links_met", "links_missed", "links_unknown", "links_down", "promised_bps",
            "received_least_bps", "received_most_bps",
        )
    }  # fmt: skip
    query = f'SELECT {columns(**fields)} FROM "member_state" {range_and(THIS)} {by("node", "site")}'
    down = coloured(thresholds=thresholds((0, colours.MET), (1, colours.DOWN)))
    missed = coloured(thresholds=thresholds((0, colours.MET), (1, colours.MISSED)))
    return table(
        Text("Members of the network", "网络成员"),
        Text(
            "Every node on this network with the links that begin there. Least and most are those of "
            "the last "
            "throughput tests: so much its access carries for sure.",
            "本网络的每个节点及由其发起的链路。最小与最大为最近吞吐测试的结果：即接入确定可承载的速率。",
        ),
        [target(query, table=True)],
        [
            Column("node", words.NODE, more={"links": [drill("overview", network="${private}")]}),
            Column("site", words.SITE),
            Column("gateway", Text("role", "角色"), more={"mappings": YES_NO}),
            Column("links_met", words.MET, COUNT),
            Column("links_missed", words.MISSED, COUNT, missed),
            Column("links_unknown", words.UNKNOWN, COUNT),
            Column("links_down", words.DOWN, COUNT, down),
            Column("promised_bps", Text("promised a link", "每链路承诺"), BITS),
            Column("received_least_bps", Text("least carried", "最小承载"), BITS),
            Column("received_most_bps", Text("most carried", "最大承载"), BITS),
        ],
        first=("links_missed", True),
        last=LATELY,
    )


def _gateways() -> Json:
    fields = {
        "bad": 'max("links_bad")',
        "judged": 'max("links_judged")',
        "explained": 'max("explained_ratio")',
        "small": 'max("links_small")',
        "remarked": 'max("links_remarked")',
    }
    query = (
        f'SELECT {columns(**fields)} FROM "place_state" '
        f"{range_and(THIS, KINDS)} {by('place', 'kind', 'direction', 'site')}"
    )
    return table(
        Text("Gateways and other places that explained trouble", "解释了故障的网关及其他位置"),
        Text(
            "Places of this network that explained the trouble of several links in the range of time, or "
            "that cut their MTU or rewrote their DSCP. No row: none was found.",
            "在所选时间内解释了多条链路故障、或降低其 MTU、改写其 DSCP 的位置。无行：未发现。",
        ),
        [target(query, table=True)],
        [
            Column("place", Text("place", "位置")),
            Column("kind", Text("kind", "类别")),
            Column("direction", Text("direction", "方向")),
            Column("site", words.SITE),
            Column("bad", Text("links in trouble", "故障链路"), COUNT),
            Column("judged", Text("links over it", "经过的链路"), COUNT),
            Column("explained", Text("share explained", "可解释比例"), RATIO),
            Column("small", Text("links with smaller MTU", "MTU 降低的链路"), COUNT),
            Column("remarked", Text("links with DSCP rewritten", "DSCP 被改写的链路"), COUNT),
        ],
        first=("bad", True),
        missing=Text("none", "无"),
    )


def _mesh() -> Section:
    way = [drill("link", network="${private}", link=f"{ROW}%3E{COLUMN}%40${{private}}")]
    delay = matrix(
        Text("Delay over the objective", "时延超出目标"),
        Text(
            "From row to column: mean of the windows. Above 0 the tier's delay is not kept.",
            "由行至列：各窗口均值。大于 0 表示未达等级时延目标。",
        ),
        _pairs("delay_excess_us", "mean"),
        ("src", "dst"), "each", MICROSECONDS,
        color=excess(colours.MET, colours.MISSED), links=way, last="15m",
    )  # fmt: skip
    loss = matrix(
        Text("Loss over the objective, for sure", "确定超出目标的丢包"),
        Text(
            "From row to column: the worst window's lower bound (99 %) less the objective. Above 0 a "
            "window surely lost more; a tick: none did.",
            "由行至列：最差窗口的下界（99 %）减去目标。大于 0 表示确有窗口丢包超标；对勾：没有。",
        ),
        _pairs("loss_forward_excess_ratio", "max"),
        ("src", "dst"), "each", RATIO,
        color=excess(colours.MET, colours.MISSED), links=way, mappings=KEPT, decimals=1, last="15m",
    )  # fmt: skip
    verdict = matrix(
        Text("Verdict", "判定"),
        Text("From row to column: the last verdict.", "由行至列：最近判定。"),
        _pairs("verdict", "last"),
        ("src", "dst"), "each", COUNT,
        color=thresholds((0, colours.UNKNOWN)), links=way, mappings=VERDICTS[:1], last="15m",
    )  # fmt: skip
    return Section(
        Text("Mesh, last 15 minutes", "网格，最近 15 分钟"),
        (even(10, verdict), even(10, delay), even(10, loss), even(6, _gateways())),
    )


def _pairs(field: str, function: str) -> Json:
    here = range_and(THIS, SITES)
    query = f'SELECT {function}("{field}") AS "each" FROM "link_state" {here} {by("src", "dst")}'
    return target(query, table=True)
