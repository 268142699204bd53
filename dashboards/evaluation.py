"""The board "Evaluation": scores, ranking, error budget, months compared, and how much data is behind them.

What a score is, and of which rows it is made, stands in dashboards.scores. Windows of announced work and of
drills are in neither score nor coverage.
"""

from __future__ import annotations

from dashboards import colours, words
from dashboards.board import Section, board, even, hidden_variable, variable
from dashboards.links import cell, drill
from dashboards.panel import RATIO, Line, excess, series, stat, thresholds
from dashboards.query import HOURS, LATELY, by, columns, matches, range_and, split, target
from dashboards.ranking import ranking, worst_scores
from dashboards.scores import COVERAGE, DOWN, EXCUSED, FILTERS, HOW, LEAST_COVERAGE, SCORE, SUMS
from dashboards.table import Column, coloured, table
from dashboards.words import Json, Text

MONTH_D = 30


def evaluation() -> Json:
    """The board with `Text` in it."""
    return board(
        "evaluation",
        Text(
            "How well links kept to their objectives, by tier, region, operator and site, and how sure "
            "that is.",
            "链路对目标的符合程度：按等级、区域、运营商与站点，并给出可信程度。",
        ),
        _variables(),
        [_overall(), ranking(), _budget(), _months(), _over_time()],
        span="24h",
        hours=True,
    )


def _variables() -> list[Json]:
    labels = (words.NETWORK, words.TIER, words.REGION, words.OPERATOR)
    made = [
        variable(name, label, SUMS.measurement, FILTERS[:at])
        for at, (name, label) in enumerate(zip(FILTERS, labels, strict=True))
    ]
    return [*({**each, "datasource": HOURS} for each in made), _sites(), worst_scores()]


def _sites() -> Json:
    """The hidden variable `sites`: those of the regions and operators chosen. What stands now has no operator
    beside it."""
    listed = variable(
        "sites", words.SITE, "node_state", ("region=src_region", "operator=src_operator"), tag="site"
    )
    return hidden_variable("sites", listed["query"])


_NUMBERS = (
    (
        Text("Score", "得分"),
        SCORE,
        thresholds((0, colours.NEUTRAL)),
        Text("Of all windows of the chosen links.", "所选链路的全部窗口。"),
    ),
    (
        Text("Error budget used", "误差预算消耗"),
        SUMS.used,
        thresholds((0, colours.MET), (1, colours.MISSED)),
        Text("Bad windows against those that the tiers allow.", "不良窗口数与等级允许数之比。"),
    ),
    (
        Text("Coverage", "覆盖率"),
        COVERAGE,
        thresholds((0, colours.UNKNOWN), (LEAST_COVERAGE, colours.MET)),
        Text("Grey below 90 %: then the score stands on little.", "低于 90 % 为灰色：得分依据不足。"),
    ),
    (
        Text("Windows down", "中断窗口"),
        DOWN,
        thresholds((0, colours.MET), (1e-9, colours.DOWN)),
        Text("Share of windows at whose end nothing was answered.", "窗口结束时无任何应答的比例。"),
    ),
)


def _overall() -> Section:
    stats = [
        stat(
            title,
            description + HOW,
            [target(SUMS.asked(f'{value} AS "all"'), source=HOURS)],
            RATIO,
            color,
        )
        for title, value, color, description in _NUMBERS
    ]
    return Section(Text("All chosen links", "全部所选链路"), (even(4, *stats),))


def _budget() -> Section:
    chosen = range_and(matches("network"), matches("tier"), matches("src_site", "sites"))
    fields = {
        "fast": 'last("burn_fast_ratio")',
        "slow": 'last("burn_slow_ratio")',
        "left": 'last("budget_left_ratio")',
    }
    asked = split("link_state", f"{chosen} {by('link', 'tier')}", **fields)
    burning = table(
        Text("Budgets burning now", "当前预算消耗速度"),
        Text(
            "How fast each link uses its error budget, against a pace that would use it up exactly: "
            "over an hour "
            "(and the last 5 minutes), over 6 hours (and the last 30 minutes), and what is left of "
            "three days.",
            "各链路误差预算的消耗速度（相对于恰好用尽的速度）：1 小时（及最近 5 分钟）、6 小时（及最近 "
            "30 分钟），以及三天预算的剩余。",
        ),
        asked,
        [
            Column("link", words.LINK, None, {"links": [drill("link", link=cell("link"))]}, 280),
            Column("tier", words.TIER),
            Column("fast", Text("1 hour", "1 小时"), "short", {"decimals": 1}),
            Column("slow", Text("6 hours", "6 小时"), "short", {"decimals": 1}),
            Column(
                "left", Text("left of 3 days", "三天剩余"), RATIO,
                coloured(thresholds=excess(colours.MISSED, colours.MET)),
            ),
        ],
        first=("slow", True),
        last=LATELY,
    )  # fmt: skip
    return Section(Text("Error budget", "误差预算"), (even(9, burning),))


def _months() -> Section:
    """Thirty days against the thirty before: as numbers side by side, and as points over a year."""
    parts = (even(9, _months_compared()), even(8, _months_of_a_year()))
    return Section(Text("Months compared", "月度对比"), parts, collapsed=True)


def _months_compared() -> Json:
    spans = {
        "these": f"time > now() - {MONTH_D}d",
        "before": f"time > now() - {2 * MONTH_D}d AND time <= now() - {MONTH_D}d",
    }
    targets = [
        target(
            SUMS.asked(
                columns(**{f"score_{name}": SCORE, f"coverage_{name}": COVERAGE}),
                by("tier", "src_region", "src_operator"),
                span,
            ),
            table=True,
            source=HOURS,
        )
        for name, span in spans.items()
    ]
    these, before = Text("these 30 days", "近 30 天"), Text("30 days before", "前 30 天")
    return table(
        Text("These 30 days and the 30 before", "近 30 天与前 30 天"),
        Text("Whatever the board's range is." + HOW.en, "与所选时间范围无关。" + HOW.zh),
        targets,
        [
            Column("tier", words.TIER),
            Column("src_region", words.REGION),
            Column("src_operator", words.OPERATOR),
            Column("score_these", Text("score, ", "得分，") + these, RATIO, {"decimals": 3}),
            Column("score_before", Text("score, ", "得分，") + before, RATIO, {"decimals": 3}),
            Column("coverage_these", Text("coverage, ", "覆盖率，") + these, RATIO),
            Column("coverage_before", Text("coverage, ", "覆盖率，") + before, RATIO),
        ],
        first=("score_these", False),
    )


def _months_of_a_year() -> Json:
    query = SUMS.asked(f'{SCORE} AS "score"', f'GROUP BY time({MONTH_D}d),"tier" fill(none)')
    return series(
        Text("Score of each 30 days", "每 30 天得分"),
        Text(
            "A point for each tier; 30 days are counted from 1970 on.",
            "每个等级一个点；以 1970 年起每 30 天为一段。",
        ),
        [target(query, "$tag_tier", source=HOURS)],
        RATIO,
        custom={"showPoints": "always", "pointSize": 8, "spanNulls": True, "axisSoftMin": None},
        last="365d",
    )


def _over_time() -> Section:
    step = 'GROUP BY time(1h),"tier" fill(none)'
    score = series(
        Text("Score of each hour", "每小时得分"),
        Text("A line for each tier.", "每个等级一条线。") + HOW,
        [target(SUMS.asked(f'{SCORE} AS "score"', step), "$tag_tier", source=HOURS)],
        RATIO,
        custom={"axisSoftMin": None},
    )
    share = columns(coverage=COVERAGE, excused=EXCUSED)
    coverage = series(
        Text("Coverage of each hour", "每小时覆盖率"),
        Text(
            "Share of windows of which a verdict can be told, and share that announced work or drills "
            "excuse.",
            "可判定窗口的比例，以及因公告维护或演练而豁免的比例。",
        ),
        [target(SUMS.asked(share, "GROUP BY time(1h) fill(none)"), source=HOURS)],
        RATIO,
        [
            Line("coverage", Text("coverage", "覆盖率"), colours.MET, width=2),
            Line("excused", Text("excused", "豁免"), colours.MAINTENANCE),
        ],
    )
    return Section(Text("Over time", "随时间变化"), (even(8, score, coverage),), collapsed=True)
