"""Panels of the board "Link" about the ways that its packets take, and what they carry."""

from __future__ import annotations

from dashboards.board import Section, even
from dashboards.colours import BACKWARD, FORWARD, MET, MISSED, NEUTRAL, OBJECTIVE, P50, P95
from dashboards.link_delay import LINK, STAMP
from dashboards.panel import BITS, COUNT, MICROSECONDS, PLAIN, RATIO, Line, override, series, states, timeline
from dashboards.query import STEP, by, columns, target
from dashboards.table import Column, coloured, table
from dashboards.words import BACKWARD as BACK
from dashboards.words import FORWARD as OUT
from dashboards.words import Json, Text, same

_FLOW = Column("flow", Text("flow", "流"), width=80)
_CLASS = Column("class", Text("class", "类别"), width=80)
_PROBES = ((1, "stamp"), (2, "icmp"), (4, "tcp"))
"""The bits of the field `divergent`."""


def ways() -> Json:
    """The last sweep of each flow, hop by hop."""
    values = '"reached", "mtu_bytes" AS "mtu", "path", "hop_rtt_us" AS "delays", "silent"'
    query = f'SELECT last("hops") AS "hops", {values} FROM "link_path" {LINK} {by("class", "flow")}'
    reached = states({1: (Text("yes", "是"), MET), 0: (Text("no", "否"), MISSED)})
    return table(
        Text("Ways of the flows", "各流的路径"),
        Text(
            "The last sweep of each flow in this range: the addresses of the hops in order (* did not "
            "answer) and the "
            "round trip to each in µs; the largest packet that arrived unfragmented.",
            "本时段内每条流最近一次逐跳探测：按顺序的各跳地址（* 为无应答）及到每跳的往返时延（微秒）；"
            "不分片可达的最大包长。",
        ),
        [target(query, table=True)],
        (
            _CLASS,
            _FLOW,
            Column("reached", Text("far end reached", "到达对端"), None, coloured(mappings=reached), 150),
            Column("hops", Text("hops", "跳数"), COUNT, width=80),
            Column("silent", Text("silent", "无应答跳"), COUNT, width=100),
            Column("mtu", same("MTU"), PLAIN, width=90),
            Column("path", Text("way", "路径"), more={"custom_inspect": True}),
            Column("delays", Text("round trips, µs", "各跳往返，微秒"), more={"custom_inspect": True}),
        ),
        first=("flow", False),
    )


def throughput() -> Json:
    """Tests and the promise."""
    measured = columns(received='last("received_bps")', sent='last("sent_bps")')
    tests = f'SELECT {measured} FROM "link_throughput" {LINK} {STEP} fill(none)'
    promise = f'SELECT max("promised_bps") AS "promised" FROM "link_state" {LINK} {STEP} fill(null)'
    return series(
        Text("Throughput against the promise", "吞吐与承诺"),
        Text(
            "Goodput at the receiver and rate at the sender of each test; points are tests, lines only "
            "join them. "
            "Dashed: what was promised for this link. No points: not tested in this range.",
            "每次测试的接收端有效吞吐和发送端速率；点为测试，连线仅作衔接。虚线为该链路的承诺值。没有点："
            "本时段未测试。",
        ),
        [target(tests), target(promise)],
        BITS,
        (
            Line("received", Text("received", "接收"), P50, width=2),
            Line("sent", Text("sent", "发送"), NEUTRAL),
            Line("promised", Text("promised", "承诺"), OBJECTIVE, dashed=True),
        ),
        custom={"showPoints": "always", "pointSize": 6, "spanNulls": True},
    )


def more() -> tuple[Section, ...]:
    """What is asked for only when somebody opens it."""
    return (
        Section(
            Text("Ways in detail", "路径详情"),
            (even(7, _changes()), even(7, _hops(), _marked())),
            collapsed=True,
        ),
        Section(
            Text("Throughput and probes in detail", "吞吐与探测详情"),
            (even(7, _loaded(), _divergent(), _classes()),),
            collapsed=True,
        ),
    )


def _changes() -> Json:
    query = (
        f'SELECT "path_before" AS "before", "path" AS "after" FROM "link_path" {LINK} AND "changed" = 1 '
        f"{by('class', 'flow')}"
    )
    return table(
        Text("Changes of the way", "路径变化"),
        Text(
            "Sweeps that found another way than the sweep before, the latest first. No data: the way "
            "did not change, "
            "or it is not traced.",
            "发现路径与上一次不同的探测，最新的在前。无数据：路径没有变化或未做逐跳探测。",
        ),
        [target(query, table=True)],
        (
            _CLASS,
            _FLOW,
            Column("before", Text("before", "之前"), more={"custom_inspect": True}),
            Column("after", Text("after", "之后"), more={"custom_inspect": True}),
        ),
        first=("Time", True),
        time=True,
    )


def _hops() -> Json:
    values = columns(hops='max("hops")', silent='max("silent")', mtu='min("mtu_bytes")')
    right = override(
        "mtu",
        displayName=same("MTU"),
        unit=PLAIN,
        color={"mode": "fixed", "fixedColor": NEUTRAL},
        custom_axisPlacement="right",
        custom_lineStyle={"fill": "dash", "dash": [8, 8]},
    )
    query = f'SELECT {values} FROM "link_path" {LINK} {STEP} fill(null)'
    return series(
        Text("Hops and MTU", "跳数与 MTU"),
        Text(
            "Most hops of any flow in a step, how many of them did not answer, and (dashed, right) the "
            "smallest path MTU in octets.",
            "每格内各流的最大跳数、其中无应答的跳数，以及最小的路径 MTU（字节，虚线，右轴）。",
        ),
        [target(query)],
        COUNT,
        (
            Line("hops", Text("hops", "跳数"), P50),
            Line("silent", Text("silent", "无应答"), P95),
        ),
        custom={"spanNulls": True},
        overrides=[right],
    )


def _marked() -> Json:
    hops, dscp = (
        columns(**{f"{what}_{way}": f'max("{what}_{way}")' for way in ("forward", "backward")})
        for what in ("hops", "dscp")
    )
    return series(
        Text("Hops and DSCP as packets arrive", "到达时的跳数与 DSCP"),
        Text(
            "Hops out and back by the hop limit of the packets as they arrived, and (dashed) the DSCP "
            "of most of them. "
            "Full resolution only.",
            "由到达时的跳数限制推算的去程与回程跳数；虚线为多数包到达时的 DSCP。仅原始分辨率提供。",
        ),
        [
            target(f'SELECT {hops} FROM "link_delay" {STAMP} {STEP} fill(null)'),
            target(f'SELECT {dscp} FROM "link_loss" {STAMP} {STEP} fill(null)'),
        ],
        COUNT,
        (
            Line("hops_forward", OUT + Text(" hops", "跳数"), FORWARD),
            Line("hops_backward", BACK + Text(" hops", "跳数"), BACKWARD),
            Line("dscp_forward", OUT + same(" DSCP"), FORWARD, dashed=True),
            Line("dscp_backward", BACK + same(" DSCP"), BACKWARD, dashed=True),
        ),
    )


def _loaded() -> Json:
    query = f'SELECT last("loaded_rtt_us") AS "loaded" FROM "link_throughput" {LINK} {STEP} fill(none)'
    return series(
        Text("Round trip under load", "负载下的往返时延"),
        Text(
            "Mean round trip of the throughput test's own connection while it sends as fast as it can: "
            "how deep the "
            "buffers on the way are.",
            "吞吐测试全速发送时其自身连接的平均往返时延，反映途中缓冲的深度。",
        ),
        [target(query)],
        MICROSECONDS,
        (Line("loaded", Text("under load", "负载下"), P50),),
        custom={"showPoints": "always", "pointSize": 6, "spanNulls": True},
    )


def _divergent() -> Json:
    seen = {
        bits: (same(" ".join(name for bit, name in _PROBES if bits & bit)), MISSED) for bits in range(1, 8)
    }
    mappings = states({0: (Text("none", "无"), MET), **seen})
    query = f'SELECT max("divergent") AS "probes" FROM "link_state" {LINK} {STEP} fill(null)'
    return timeline(
        Text("Probes that disagree", "结论不一致的探测"),
        Text(
            "Probes that see loss or delay where another probe to the same address sees none: a filter, "
            "a rate limit or "
            "an ill reflector rather than the network.",
            "某些探测看到丢包或时延，而到同一地址的其他探测没有：多为过滤、限速或反射端异常，而不是网络。",
        ),
        [target(query)],
        mappings,
    )


def _classes() -> Json:
    query = f'SELECT mean("loss_ratio") AS "loss" FROM "link_loss" {LINK} {STEP},"probe","class" fill(null)'
    return series(
        Text("Loss by probe and class", "各探测与类别的丢包"),
        Text(
            "Everything lost, both directions together, mean of the windows of a step, for each probe "
            "and class (DSCP): "
            "what one class alone loses is lost by a queue and not by the line.",
            "两个方向合计的丢包率（每格各窗口的平均），按探测和类别（DSCP）：只有单个类别丢包，说明是队"
            "列而不是线路的问题。",
        ),
        [target(query, "$tag_probe $tag_class")],
        RATIO,
    )
