"""Details that agents tell of themselves, for the board "Measuring system": why they were not fit, how their
hosts held them back, what they did not answer and could not use. A collapsed section.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import colours
from dashboards.board import Section, even
from dashboards.panel import COUNT, MICROSECONDS, RATIO, SECONDS, Line, series
from dashboards.query import STEP, columns, matches, range_and, target
from dashboards.words import Json, Text
from linkgauge.code import Unfit
from linkgauge.schema import HEALTH

MINE = range_and(matches("agent", "node"))
REASONS = {
    Unfit.LOOP_LAG: Text("its loop was late", "循环延误"),
    Unfit.CLOCK_STEP: Text("its clock stepped", "时钟跳变"),
    Unfit.RECEIVE_DROPPED: Text("its host dropped packets", "主机丢包"),
    Unfit.SUSPENDED: Text("its host was suspended", "主机挂起"),
    Unfit.CPU_STARVED: Text("its host had no time for it", "处理器不足"),
    Unfit.SELF_PROBE: Text("its probe to itself was late", "自测延误"),
}
"""Every reason, in the order of the bits."""
AT_ONCE = 3
"""Columns of one query: InfluxDB reads each by itself, and answers several queries side by side."""


def details() -> Section:
    """The section."""
    return Section(
        Text("Agents in detail", "探针详情"),
        (even(8, _unfit(), _steal(), _throttled()), even(8, _self(), _unused(), _missed())),
        collapsed=True,
    )


def _by_agent(value: str, name: str) -> Json:
    query = f'SELECT {value} AS "{name}" FROM "agent_health" {MINE} {STEP},"agent" fill(null)'
    return target(query, f"$tag_agent {name}")


def _sums(names: Sequence[str]) -> Json:
    fields = columns(**{name: f'sum("{name}")' for name in names})
    return target(f'SELECT {fields} FROM "agent_health" {MINE} {STEP} fill(null)')


def _unfit() -> Json:
    """How many windows have the bit of each reason."""
    targets = []
    for reason in REASONS:
        each = f'SELECT ("unfit" & {reason.value}) / {reason.value} AS "is" FROM "agent_health" {MINE}'
        query = f'SELECT sum("is") AS "{_name(reason)}" FROM ({each}) WHERE $timeFilter {STEP} fill(null)'
        targets.append(target(query))
    shades = (colours.MISSED, colours.P50, colours.OBJECTIVE, colours.DOWN, colours.FORWARD, colours.BACKWARD)
    return series(
        Text("Windows not fit, by reason", "不合格窗口（按原因）"),
        Text(
            "Windows of the chosen agents in each step that judge nothing; one may have several reasons.",
            "每个时间步内不参与判定的窗口数；一个窗口可有多个原因。",
        ),
        targets,
        COUNT,
        [Line(_name(reason), REASONS[reason], shade) for reason, shade in zip(REASONS, shades, strict=True)],
    )


def _name(reason: Unfit) -> str:
    return reason.name.lower()


def _steal() -> Json:
    return series(
        Text("Processor time stolen from the hosts", "主机被抢占的处理器时间"),
        Text(
            "Share that the hypervisor gave to others: packets wait meanwhile.",
            "虚拟机管理程序分给他人的比例：期间数据包需等待。",
        ),
        [_by_agent('max("cpu_steal_ratio")', "stolen")],
        RATIO,
    )


def _throttled() -> Json:
    return series(
        Text("Agents held back by their control group", "探针被控制组限制的时间"),
        Text(
            "Time in a window in which the agent was not let run. Raise its CPUQuota when this is not zero.",
            "窗口内探针被禁止运行的时间。不为零时请提高 CPUQuota。",
        ),
        [_by_agent('max("cpu_throttled_s")', "throttled")],
        SECONDS,
    )


def _self() -> Json:
    return series(
        Text("Agents' probe to themselves", "探针自测"),
        Text(
            "Round trip over loopback, the worst window's median: what the host itself adds to every delay.",
            "环回往返时延（最差窗口的中位数）：即主机自身带来的时延。",
        ),
        [_by_agent('max("self_rtt_p50_us")', "p50")],
        MICROSECONDS,
    )


def _batched(names: Sequence[str], most: int) -> list[Sequence[str]]:
    """The names in order, so many at a time."""
    return [names[at : at + most] for at in range(0, len(names), most)]


def _unused() -> Json:
    names = [field.name for field in HEALTH.fields if field.name.startswith(("refused_", "echo_", "path_"))]
    return series(
        Text("Not answered, and answers not used", "未应答及未采用的应答"),
        Text(
            "By reason. peer: not in the plan; replay: seen before; rate: more than the peer may send; "
            "table: no "
            "room. echo, path: answers that belonged to nothing; postponed: sweeps put off.",
            "按原因。peer：不在计划内；replay：重复；rate：超出速率；table：表满。echo、path："
            "无归属的应答；postponed：推迟的路径探测。",
        ),
        [_sums(some) for some in _batched(names, AT_ONCE)],
        COUNT,
        custom={"axisSoftMin": 0},
    )


def _missed() -> Json:
    return series(
        Text("Slots missed, own probes lost", "错过的发送时隙与丢失的自测"),
        Text(
            "Slots in which the agent came too late to send, and probes to itself that did not come back.",
            "探针来不及发送的时隙，以及未返回的自测报文。",
        ),
        [_sums(["missed", "self_lost"])],
        COUNT,
        [
            Line("missed", Text("slots missed", "错过的时隙"), colours.MISSED),
            Line("self_lost", Text("own probes lost", "丢失的自测"), colours.DOWN),
        ],
    )
