"""Sections of the board "Private networks": what the network carries against what was promised, and how it
compares with another network between the same sites.
"""

from __future__ import annotations

from dashboards import colours, words
from dashboards.board import Section, even
from dashboards.links import cell, drill
from dashboards.panel import BITS, MICROSECONDS, RATIO, Line, excess, series
from dashboards.query import CHOSEN, STEP, by, columns, matches, range_and, split, target
from dashboards.table import Column, coloured, table
from dashboards.words import Json, Text

THIS, SITES = matches("network", "private"), f"{matches('src_site')} AND {matches('dst_site')}"
OTHER = matches("network", "other")
PRIVATE = Text("this network", "本网络")
COMPARED = Text("the other network", "对比网络")


def capacity() -> Section:
    """Promised, carried and what is between, now and over time."""
    return Section(Text("Capacity", "容量"), (even(9, _headroom(), _carried()),))


def _headroom() -> Json:
    fields = {
        "promised": 'last("promised_bps")',
        "received": 'last("received_bps")',
        "headroom": 'last("received_bps") - last("promised_bps")',
    }
    rest = f"{range_and(THIS, SITES)} {by('link')}"
    query = f'SELECT {columns(**fields)} FROM "link_state" {rest}'
    shortfall = split("link_state", rest, shortfall='last("throughput_shortfall_ratio")')
    return table(
        Text("Capacity and headroom", "容量与余量"),
        Text(
            "Of each link: what was promised, what the last test carried, and what that is above the "
            "promise. "
            "Below 0 the promise is not kept.",
            "各链路：承诺速率、最近测试承载的速率及其超出承诺的部分。小于 0 表示未达承诺。",
        ),
        [target(query, table=True), *shortfall],
        [
            Column("link", words.LINK, None, {"links": [drill("link", link=cell("link"))]}, 280),
            Column("promised", Text("promised", "承诺"), BITS),
            Column("received", Text("carried", "承载"), BITS),
            Column("headroom", Text("headroom", "余量"), BITS),
            Column(
                "shortfall", Text("missing", "缺口"), RATIO,
                coloured(thresholds=excess(colours.MET, colours.MISSED)),
            ),
        ],
        first=("headroom", False),
        last="15m",
    )  # fmt: skip


def _carried() -> Json:
    carried = columns(least='min("received_bps")', typical='median("received_bps")')
    trend = f'SELECT {carried} FROM "link_throughput" {range_and(THIS, SITES)} {STEP} fill(none)'
    return series(
        Text("Carried over time", "承载速率变化"),
        Text(
            "Throughput tests of all links of this network in each step: the least and the median.",
            "每个时间步内本网络全部链路吞吐测试的最小值与中位数。",
        ),
        [target(trend)],
        BITS,
        [
            Line("typical", Text("median", "中位数"), colours.P50, width=2),
            Line("least", Text("least", "最小"), colours.MISSED),
        ],
        custom={"showPoints": "always", "spanNulls": True},
    )


def compared() -> Section:
    """The same sites over two networks."""
    graphs = [
        series(
            title,
            description,
            [
                target(
                    f'SELECT {value} AS "{name}" FROM "{measurement}" '
                    f"{range_and(network, SITES, STAMP)} {STEP} fill(null)",
                    source=CHOSEN,
                )
                for name, network in (("here", THIS), ("there", OTHER))
            ],
            unit,
            [Line("here", PRIVATE, colours.P50, width=2), Line("there", COMPARED, colours.OBJECTIVE)],
        )
        for title, description, value, measurement, unit in _GRAPHS
    ]  # fmt: skip
    return Section(
        Text("Compared with another network", "与另一网络对比"), (even(9, _same_sites()), even(8, *graphs))
    )


def _same_sites() -> Json:
    fields = {"delay": 'median("delay_us")', "loss": 'mean("loss_forward_ratio")'}
    targets = [
        asked
        for which, network in (("here", THIS), ("there", OTHER))
        for asked in split(
            "link_state",
            f"{range_and(network, SITES)} {by('src_site', 'dst_site')}",
            **{f"{name}_{which}": value for name, value in fields.items()},
        )
    ]
    return table(
        Text("Between the same sites", "相同站点之间"),
        Text(
            "Median delay and mean loss of the links between two sites, on this network and on the "
            "other. A "
            "pair that only one of them has stands with one half empty.",
            "两站点间链路在本网络与对比网络上的时延中位数及平均丢包。仅一方具有的站点对另一半为空。",
        ),
        targets,
        [
            Column("src_site", words.FROM_SITE),
            Column("dst_site", words.TO_SITE),
            Column("delay_here", words.DELAY + Text(", ", "，") + PRIVATE, MICROSECONDS),
            Column("delay_there", words.DELAY + Text(", ", "，") + COMPARED, MICROSECONDS),
            Column("loss_here", words.LOSS + Text(", ", "，") + PRIVATE, RATIO),
            Column("loss_there", words.LOSS + Text(", ", "，") + COMPARED, RATIO),
        ],
        first=("delay_here", True),
        last="5m",
    )


STAMP = "\"probe\" = 'stamp'"
_GRAPHS = (
    (
        Text("Round trip, both networks", "往返时延，两个网络"),
        Text(
            "Median over the links between the chosen sites of their windows' median round trip.",
            "所选站点间各链路窗口往返时延中位数的中位数。",
        ),
        'median("rtt_p50_us")',
        "link_delay",
        MICROSECONDS,
    ),
    (
        Text("Loss out, both networks", "去程丢包，两个网络"),
        Text(
            "Mean over the links between the chosen sites of their loss on the way out.",
            "所选站点间各链路去程丢包的平均值。",
        ),
        'mean("loss_forward_ratio")',
        "link_loss",
        RATIO,
    ),
)
