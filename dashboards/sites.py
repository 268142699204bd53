"""Panels of the overview that stand for pairs of sites, and for sites on a map."""

from __future__ import annotations

from typing import Any

from dashboards.colours import LAND, MET, MISSED, NEUTRAL, OBJECTIVE
from dashboards.filters import LINK_FILTERS
from dashboards.links import COLUMN, ROW, cell, drill
from dashboards.panel import COUNT, DEGREES, KEPT, MICROSECONDS, RATIO, excess, override, panel, thresholds
from dashboards.query import LATELY, by, target, where
from dashboards.table import matrix
from dashboards.words import SITE, Json, Text

LINKS = where(*LINK_FILTERS)
PAIR = ("src_site", "dst_site")


def _worst(field: str) -> str:
    """Of the links of each pair of sites the largest last value."""
    last = f'SELECT last("{field}") AS "v" FROM "link_state" {LINKS} {by("link", *PAIR)}'
    return f'SELECT max("v") AS "worst" FROM ({last}) WHERE $timeFilter {by(*PAIR)}'


def _pairs(title: Text, description: Text, field: str, unit: str, decimals: int) -> Json:
    way = drill("link", "network", "tier", src_site=ROW, dst_site=COLUMN)
    return matrix(
        title,
        description,
        target(_worst(field), table=True),
        PAIR,
        "worst",
        unit,
        color=excess(MET, MISSED),
        links=[way],
        mappings=KEPT,
        decimals=decimals,
        last=LATELY,
    )


def delay_matrix() -> Json:
    """Delay less objective of each pair of sites."""
    return _pairs(
        Text("Delay over the objective", "时延超出目标"),
        Text(
            "Rows send to columns: the last window of the worst link between two sites, delay less the "
            "objective of its tier: by how much it is broken. A tick: it is not. A dash: no link, or not "
            "known. A cell leads to the links of the pair.",
            "行为发送方，列为接收方：两站点间最差链路最近一个窗口的时延减去其等级目标，即超出量。对勾：没"
            "有超出。横线：没有链路或未知。点击单元格查看该站点对的链路。",
        ),
        "delay_excess_us",
        MICROSECONDS,
        decimals=0,
    )


def loss_matrix() -> Json:
    """Loss that is surely above the objective, for each pair of sites."""
    return _pairs(
        Text("Loss surely over the objective", "确定超出目标的丢包"),
        Text(
            "Rows send to columns: the last window of the worst link between two sites, lower bound of "
            "its loss "
            "less the objective of its tier. A tick: not surely above it. A dash: no link, or not known.",
            "行为发送方，列为接收方：两站点间最差链路最近一个窗口的丢包下界减去其等级目标。对勾：不能确"
            "定超出。"
            "横线：没有链路或未知。",
        ),
        "loss_forward_excess_ratio",
        RATIO,
        decimals=1,
    )


def throughput_matrix() -> Json:
    """What is missing of the promised throughput, for each pair of sites."""
    return _pairs(
        Text("Throughput missing", "吞吐缺口"),
        Text(
            "Rows send to columns: the share of the promised throughput that the last test of the worst "
            "link between "
            "two sites did not reach. A tick: nothing is missing. A dash: no link, no promise, or not "
            "tested.",
            "行为发送方，列为接收方：两站点间最差链路最近一次测试与承诺吞吐相差的比例。对勾：没有缺口。"
            "横线：没有链路、没有承诺或尚未测试。",
        ),
        "throughput_shortfall_ratio",
        RATIO,
        decimals=0,
    )


def site_map() -> Json:
    """A mark for each site that has coordinates."""
    values = {
        "latitude": 'mean("latitude")',
        "longitude": 'mean("longitude")',
        "nodes": 'count("latitude")',
        "links": 'sum("links")',
        "down": 'sum("down")',
        "share": 'sum("down") / sum("links")',
    }
    last = (
        'SELECT last("latitude_deg") AS "latitude", last("longitude_deg") AS "longitude", '
        'last("links_in") AS "links", last("links_in_down") AS "down" '
        f'FROM "node_state" WHERE $timeFilter {by("node", "site")}'
    )
    outer = ", ".join(f'{value} AS "{name}"' for name, value in values.items())
    return panel(
        "geomap",
        Text("Map of sites", "站点地图"),
        Text(
            "Sites at the coordinates of the inventory, coloured by the share of links to them that are "
            "down now: "
            "none, some, half and more. A site without coordinates, or whose nodes are not reported, is "
            "not drawn.",
            "站点按清单中的坐标绘制，颜色表示当前通往该站点的链路中断比例：无、部分、一半及以上。"
            "没有坐标或没有节点上报的站点不绘制。",
        ),
        [target(f"SELECT {outer} FROM ({last}) WHERE $timeFilter {by('site')}", table=True)],
        COUNT,
        defaults={
            "color": {"mode": "thresholds"},
            "thresholds": thresholds((0, MET), (1e-9, OBJECTIVE), (0.5, MISSED)),
        },
        overrides=_map_columns(),
        options=_map_options(),
        last=LATELY,
    )


def _map_columns() -> list[Json]:
    shown = {
        "site": (SITE, "string"),
        "latitude": (Text("latitude", "纬度"), DEGREES),
        "longitude": (Text("longitude", "经度"), DEGREES),
        "nodes": (Text("nodes", "节点数"), COUNT),
        "links": (Text("links to it", "入向链路"), COUNT),
        "down": (Text("of these down", "其中中断"), COUNT),
        "share": (Text("share down", "中断比例"), RATIO),
    }
    way = drill("overview", "network", "tier", "src_site", dst_site=cell("site"))
    return [
        override(name, displayName=text, unit=unit, **({"links": [way]} if name == "site" else {}))
        for name, (text, unit) in shown.items()
    ]


def _map_options() -> dict[str, Any]:
    mark = {
        "size": {"fixed": 9, "min": 4, "max": 16},
        "color": {"field": "share", "fixed": MET},
        "opacity": 0.9,
    }
    name = {
        "size": {"fixed": 1, "min": 1, "max": 1},
        "color": {"fixed": NEUTRAL},
        "opacity": 0,
        "text": {"mode": "field", "field": "site", "fixed": ""},
        "textConfig": {
            "fontSize": 13,
            "textAlign": "center",
            "textBaseline": "top",
            "offsetX": 0,
            "offsetY": 11,
        },
    }
    return {
        "view": {"id": "fit", "lat": 35.0, "lon": 105.0, "zoom": 6, "layer": "sites", "padding": 50},
        "basemap": _land(),
        "controls": {"showZoom": True, "mouseWheelZoom": False, "showAttribution": False, "showScale": False},
        "layers": [_marks("sites", mark, True), _marks("names", name, False)],
        "tooltip": {"mode": "details"},
    }


def _marks(name: str, style: dict[str, Any], tooltip: bool) -> dict[str, Any]:
    """A layer with a mark at each site; names have one of their own, because a mark's text has its colour."""
    return {
        "type": "markers",
        "name": name,
        "config": {
            "style": {"symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"}, **style},
            "showLegend": False,
        },
        "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
        "tooltip": tooltip,
    }


def _land() -> dict[str, Any]:
    """Land without borders, from a file that every Grafana has: a control room may lack the internet, and
    tiles would tell a stranger where the sites are."""
    style = {"color": {"fixed": LAND}, "opacity": 1, "lineWidth": 1}
    config = {"src": "public/maps/countries.geojson", "style": style, "rules": []}
    return {"type": "geojson", "name": "land", "config": config, "tooltip": False}
