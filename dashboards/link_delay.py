"""Panels of the board "Link" about delay."""

from __future__ import annotations

from dashboards.colours import (
    BACKWARD,
    FORWARD,
    HIGHEST,
    LOWEST,
    NEUTRAL,
    OBJECTIVE,
    P50,
    P95,
    P99,
    P999,
)
from dashboards.panel import MICROSECONDS, Line, series
from dashboards.query import CHOSEN, STEP, columns, matches, target, where
from dashboards.words import BACKWARD as BACK
from dashboards.words import FORWARD as OUT
from dashboards.words import OBJECTIVE as OBJECTIVE_WORD
from dashboards.words import Json, Text, same

LINK = where("link")
STAMP = f"{LINK} AND \"probe\" = 'stamp' AND {matches('class')}"
PERIOD = Text("over the period", "评估期")
WINDOW = Text("window", "窗口")


def bands() -> Json:
    """Quantiles of the round trip, each filled down to the one below."""
    smallest, highest = Text("smallest", "最小"), Text("largest", "最大")
    lines = (
        Line("min", smallest, LOWEST),
        Line("p50", same("p50"), P50, width=2, above=smallest),
        Line("p95", same("p95"), P95, above=same("p50")),
        Line("p99", same("p99"), P99, above=same("p95")),
        Line("p999", same("p99.9"), P999, above=same("p99")),
        Line("max", highest, HIGHEST, above=same("p99.9")),
    )
    values = {
        "min": 'min("rtt_min_us")',
        "p50": 'percentile("rtt_p50_us", 50)',
        "p95": 'max("rtt_p95_us")',
        "p99": 'max("rtt_p99_us")',
        "p999": 'max("rtt_p999_us")',
        "max": 'max("rtt_max_us")',
    }
    query = f'SELECT {columns(**values)} FROM "link_delay" {STAMP} {STEP} fill(null)'
    return series(
        Text("Round trip", "往返时延"),
        Text(
            "Distribution of the round trip less the reflector's own time: of the windows of a step the "
            "middle median, "
            "the worst of the other quantiles. A quantile is there from enough packets on (p95: 59, "
            "p99: 299, p99.9: "
            "2 995), so upper bands may be missing.",
            "扣除反射端处理时间后的往返时延分布：每格取各窗口中位数的中位值，其余分位取最差窗口。"
            "分位数需要足够样本（p95：59，p99：299，p99.9：2995），因此较高的分位可能缺失。",
        ),
        [target(query, source=CHOSEN)],
        MICROSECONDS,
        lines,
        custom={"axisSoftMin": None},  # from 0 on, a long link's distribution would be a line
    )


def one_way() -> Json:
    """Medians of both directions, and between which values they surely are."""
    lines = []
    for name, shown, colour in (("forward", OUT, FORWARD), ("backward", BACK, BACKWARD)):
        least, most = shown + Text(" at least", "下限"), shown + Text(" at most", "上限")
        lines += [
            Line(f"{name}_least", least, colour, width=0),
            Line(f"{name}_most", most, colour, width=0, above=least),
            Line(name, shown, colour, width=2),
        ]
    values: dict[str, str] = {}
    for way in ("forward", "backward"):
        middle, error = f'mean("{way}_p50_us")', 'max("one_way_error_us")'
        values |= {way: middle, f"{way}_least": f"{middle} - {error}", f"{way}_most": f"{middle} + {error}"}
    query = f'SELECT {columns(**values)} FROM "link_delay" {STAMP} {STEP} fill(null)'
    return series(
        Text("One way, with its error", "单向时延及其误差"),
        Text(
            "Median delay out and back, mean of the windows of a step, between what the error of both "
            "clocks leaves "
            "possible. No line: the clocks do not allow it, and half of the round trip is judged "
            "instead.",
            "去程与回程的时延中位数（每格各窗口的平均），带状区域为两端时钟误差所允许的范围。"
            "没有线：时钟不满足要求，改用往返时延的一半判定。",
        ),
        [target(query, source=CHOSEN)],
        MICROSECONDS,
        lines,
        custom={"axisSoftMin": None},
    )


def judged() -> Json:
    """Delay as it is judged, with the objective."""
    values = {
        "delay": 'max("delay_us")',
        "period": 'max("period_delay_us")',
        "objective": 'max("delay_objective_us")',
    }
    query = f'SELECT {columns(**values)} FROM "link_state" {LINK} {STEP} fill(null)'
    return series(
        Text("Delay against the objective", "时延与目标"),
        Text(
            "Delay at the tier's quantile, one way where both clocks allow it, else half of the round "
            "trip: of the worst "
            "window in a step, and of the period that the verdict looks at. Dashed: the tier's "
            "objective.",
            "按等级分位数的时延；两端时钟允许时为单向，否则为往返的一半：每格最差窗口的值，以及判定所用"
            "评估期的值。虚线为等级目标。",
        ),
        [target(query)],
        MICROSECONDS,
        (
            Line("delay", WINDOW, NEUTRAL),
            Line("period", PERIOD, P50, width=2),
            Line("objective", OBJECTIVE_WORD, OBJECTIVE, dashed=True),
        ),
    )


def variation() -> Json:
    """Packet delay variation, with the objective."""
    values = {"variation": 'max("pdv_us")', "objective": 'mean("pdv_us") - mean("pdv_excess_us")'}
    query = f'SELECT {columns(**values)} FROM "link_state" {LINK} {STEP} fill(null)'
    return series(
        Text("Delay variation", "时延抖动"),
        Text(
            "Packet delay variation of the round trip (RFC 5481): high quantile less the smallest, of "
            "the worst window "
            "in a step. Dashed: the tier's objective. Windows with fewer than 59 packets have none.",
            "往返时延抖动（RFC 5481）：高分位减最小值，每格取最差窗口。虚线为等级目标。样本少于 59 的窗"
            "口没有该值。",
        ),
        [target(query)],
        MICROSECONDS,
        (
            Line("variation", Text("variation", "抖动"), P95),
            Line("objective", OBJECTIVE_WORD, OBJECTIVE, dashed=True),
        ),
    )
