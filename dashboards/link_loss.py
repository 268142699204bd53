"""Panels of the board "Link" about what does not arrive, or not as it was sent."""

from __future__ import annotations

from dashboards.colours import BACKWARD, FORWARD, HIGHEST, MISSED, NEUTRAL, OBJECTIVE, P50, P95, P999
from dashboards.link_delay import LINK, STAMP
from dashboards.panel import COUNT, RATIO, Line, override, series
from dashboards.query import CHOSEN, STEP, columns, target
from dashboards.words import BACKWARD as BACK
from dashboards.words import FORWARD as OUT
from dashboards.words import OBJECTIVE as OBJECTIVE_WORD
from dashboards.words import Json, Text


def directions() -> tuple[Json, Json]:
    """Loss out, and back, with their bounds."""
    return _loss("forward", OUT, FORWARD), _loss("backward", BACK, BACKWARD)


def _loss(way: str, shown: Text, colour: str) -> Json:
    lower, upper = Text("surely at least", "下界"), Text("surely at most", "上界")
    values = {
        "lower": f'max("loss_{way}_lower_ratio")',
        "upper": f'max("loss_{way}_upper_ratio")',
        "loss": f'max("loss_{way}_ratio")',
        "objective": 'max("loss_objective_ratio")',
    }
    query = f'SELECT {columns(**values)} FROM "link_state" {LINK} {STEP} fill(null)'
    return series(
        Text("Loss ", "丢包：") + shown,
        Text(
            "Share of packets lost in this direction, the worst window of each step, between its bounds "
            "(Clopper-Pearson, "
            "99 % one-sided). Dashed: the tier's objective; only a lower bound above it breaks it for "
            "sure. No line: the "
            "direction is not known, or the agent was not fit.",
            "该方向的丢包率，每格取最差窗口，带状区域为其上下界（Clopper-Pearson，单侧 99%）。虚线为等级"
            "目标；"
            "只有下界超过目标才确定未达标。没有线：方向未知或探针不健康。",
        ),
        [target(query)],
        RATIO,
        (
            Line("lower", lower, colour, width=0),
            Line("upper", upper, colour, width=0, above=lower),
            Line("loss", shown, colour, width=2),
            Line("objective", OBJECTIVE_WORD, OBJECTIVE, dashed=True),
        ),
    )


def order() -> Json:
    """Reordering, duplicates and late replies."""
    values = {
        "reordered": 'sum("reordered")',
        "duplicate": 'sum("duplicate")',
        "late": 'sum("late")',
        "extent": 'max("reorder_extent_max")',
    }
    query = f'SELECT {columns(**values)} FROM "link_loss" {STAMP} {STEP} fill(null)'
    return series(
        Text("Out of order, doubled, late", "乱序、重复、迟到"),
        Text(
            "Packets in each step: replies overtaken by a later packet's (RFC 4737), replies beyond the "
            "first to one "
            "packet, replies after the timeout; and the largest reordering extent in packets.",
            "每格的包数：被后发包超越的应答（RFC 4737）、同一包的多余应答、超时后到达的应答；以及最大乱"
            "序幅度（包）。",
        ),
        [target(query, source=CHOSEN)],
        COUNT,
        (
            Line("reordered", Text("out of order", "乱序"), P50),
            Line("duplicate", Text("doubled", "重复"), P95),
            Line("late", Text("late", "迟到"), P999),
            Line("extent", Text("largest extent", "最大乱序幅度"), HIGHEST, dashed=True),
        ),
    )


def marks() -> Json:
    """Shares of packets whose DSCP or ECN field was changed on the way."""
    shown = {
        "ce_forward": (OUT + Text(", CE", "，CE"), FORWARD, False),
        "ce_backward": (BACK + Text(", CE", "，CE"), BACKWARD, False),
        "remarked_forward": (OUT + Text(", other DSCP", "，DSCP 改写"), FORWARD, True),
        "remarked_backward": (BACK + Text(", other DSCP", "，DSCP 改写"), BACKWARD, True),
    }
    told = {"forward": "marks", "backward": "replied"}
    values = {
        name: f'sum("{name}") / sum("{told[name.partition("_")[2]]}")' for name in shown
    }  # of nothing that told InfluxDB would say 0: rows without marks are left out
    query = f'SELECT {columns(**values)} FROM "link_loss" {STAMP} AND "marks" > 0 {STEP} fill(null)'
    return series(
        Text("Marks changed on the way", "途中被改写的标记"),
        Text(
            "Share of packets that arrived marked Congestion Experienced, or (dashed) with another DSCP "
            "than they were "
            "sent with. No line: the far end does not tell how packets arrive (RFC 8972).",
            "到达时带有 CE（拥塞）标记的包的比例；虚线为 DSCP 与发送时不同的比例。没有线：对端不报告到达"
            "时的标记（RFC 8972）。",
        ),
        [target(query, source=CHOSEN)],
        RATIO,
        [Line(name, text, colour, dashed) for name, (text, colour, dashed) in shown.items()],
    )


def flows() -> Json:
    """How many flows of the link lose more than the others."""
    values = {"all": 'max("flows")', "bad": 'max("flows_bad")', "loss": 'max("flows_bad_loss_ratio")'}
    query = f'SELECT {columns(**values)} FROM "link_state" {LINK} {STEP} fill(null)'
    right = override(
        "loss",
        displayName=Text("their loss", "其丢包率"),
        unit=RATIO,
        custom_axisPlacement="right",
        custom_lineStyle={"fill": "dash", "dash": [8, 8]},
        color={"mode": "fixed", "fixedColor": MISSED},
    )
    return series(
        Text("Bad flows", "异常流"),
        Text(
            "Flows (source ports) whose loss was compared over the period, and those that lose "
            "significantly more than "
            "the others: one of several equal paths is ill. Dashed, right: the loss of the bad ones "
            "together.",
            "评估期内比较过丢包的流（源端口），以及丢包显著高于其他流的数量：等价路径中有一条异常。虚线"
            "（右轴）：异常流合计的丢包率。",
        ),
        [target(query)],
        COUNT,
        (
            Line("all", Text("flows", "流"), NEUTRAL),
            Line("bad", Text("bad flows", "异常流"), MISSED, width=2),
        ),
        overrides=[right],
    )
