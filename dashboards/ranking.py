"""The section "Ranking" of the board "Evaluation": scores by tier, region, operator and site, and the links
that broke their objectives most.

Links are asked for in two steps, as there may be many thousands: a hidden variable finds those with the most
bad windows, then the table asks for the numbers of these alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import colours, words
from dashboards.board import Section, even, hidden_variable
from dashboards.links import cell, drill
from dashboards.panel import COUNT, RATIO, thresholds
from dashboards.query import HOURS, by, columns, matches, target
from dashboards.scores import HOW, LEAST_COVERAGE, LINKS, SUMS
from dashboards.table import Column, coloured, table
from dashboards.words import Json, Text

WORST = 50
"""Links that are listed."""
_COLUMNS = (
    Column(
        "score", Text("score", "得分"), RATIO, {"decimals": 3},
    ),
    Column("objective", words.OBJECTIVE, RATIO, {"decimals": 2}),
    Column(
        "used", Text("budget used", "预算消耗"), RATIO,
        coloured(thresholds=thresholds((0, colours.MET), (1, colours.MISSED))),
    ),
    Column(
        "coverage", Text("coverage", "覆盖率"), RATIO,
        coloured(thresholds=thresholds((0, colours.UNKNOWN), (LEAST_COVERAGE, colours.MET))),
    ),
    Column("windows", Text("windows", "窗口数"), COUNT),
    Column("down", Text("of these down", "其中中断"), COUNT),
)  # fmt: skip


def ranking() -> Section:
    """The section."""
    by_tier, by_region, by_operator, by_site = (
        _ranked(
            Text("By ", "按") + heading.shown,
            Text("Worst first.", "最差在前。"),
            heading,
            SUMS.asked(columns(**SUMS.fields()), by(heading.name)),
        )
        for heading in (
            Column("tier", words.TIER),
            Column("src_region", words.REGION),
            Column("src_operator", words.OPERATOR),
            Column("src_site", words.FROM_SITE),
        )
    )
    return Section(
        Text("Ranking", "排名"),
        (even(7, by_tier, by_region), even(7, by_operator, by_site), even(10, _links())),
    )


def worst_scores() -> Json:
    """The hidden variable `lowest`: links with the most bad windows in the board's range."""
    bad = LINKS.asked('sum("windows_bad") AS "bad"', by("link"))
    worst = f'SELECT top("bad", "link", {WORST}) FROM ({bad}) WHERE "bad" > 0'
    return {**hidden_variable("lowest", f'SELECT "link", "top" FROM ({worst})'), "datasource": HOURS}


def _links() -> Json:
    return _ranked(
        Text("Links that broke their objectives most", "未达目标最多的链路"),
        Text(
            f"The {WORST} of the chosen links with the most bad windows, lowest score first; open one for "
            "everything about it. No data: no window was bad.",
            f"所选链路中不良窗口最多的 {WORST} 条，得分最低者在前；点击查看详情。无数据：没有不良窗口。",
        ),
        Column("link", words.LINK, None, {"links": [drill("link", link=cell("link"))]}, 280),
        LINKS.asked(columns(**LINKS.fields()), f"AND {matches('link', 'lowest')} {by('link')}"),
    )


def _ranked(title: Text, description: Text, heading: Column, query: str) -> Json:
    """Scores by one tag, worst first."""
    headings: Sequence[Column] = (heading, *_COLUMNS)
    asked = [target(query, table=True, source=HOURS)]
    return table(title, description + HOW, asked, headings, first=("score", False))
