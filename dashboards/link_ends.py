"""Panels of the board "Link" about its alerts, its error budget and the agents at its two ends."""

from __future__ import annotations

from dashboards.board import Section, even
from dashboards.colours import MAINTENANCE, MET, MISSED, P50, P95, P999
from dashboards.link_delay import LINK
from dashboards.panel import COUNT, MICROSECONDS, RATIO, Line, override, series, states, timeline
from dashboards.query import STEP, columns, matches, target
from dashboards.words import MAINTENANCE as WORK
from dashboards.words import Json, Text

AGENTS = f"WHERE $timeFilter AND {matches('agent', 'ends')}"
FITNESS = states({1: (Text("fit", "健康"), MET), 0: (Text("unfit", "不健康"), MISSED)})


def alerts() -> Json:
    """When which alert of this link fired."""
    about = f"WHERE $timeFilter AND {matches('about', 'link')}"
    query = (
        f'SELECT max("firing") AS "firing" FROM "alert_state" {about} {STEP},"rule","direction" fill(null)'
    )
    return timeline(
        Text("Alerts of this link", "本链路的告警"),
        Text(
            "A bar for each rule and direction that fired in this range. No data: none fired, or the "
            "collector was "
            "silent. Alerts of the nodes and sites that explain it stand on the overview.",
            "本时段内触发过的每条规则和方向。无数据：没有触发或采集器没有上报。能解释它的节点和站点告警"
            "见总览。",
        ),
        [target(query, "$tag_rule $tag_direction")],
        states({1: (Text("firing", "触发中"), MISSED), 0: (Text("ended", "已结束"), MET)}),
    )


def fitness() -> Json:
    """Whether the agents at both ends were fit to measure."""
    query = f'SELECT min("fit") AS "fit" FROM "agent_health" {AGENTS} {STEP},"agent" fill(null)'
    return timeline(
        Text("Agents at both ends", "两端的探针"),
        Text(
            "Unfit: the agent itself was late, dropped packets or saw its clock step, so its windows "
            "judge nothing; look "
            "here before blaming the network. A gap: the agent did not report.",
            "不健康：探针自身延迟、丢包或时钟跳变，其窗口不参与判定；归咎网络之前先看这里。空白：探针没"
            "有上报。",
        ),
        [target(query, "$tag_agent")],
        FITNESS,
    )


def more() -> tuple[Section, ...]:
    """What is asked for only when somebody opens it."""
    return (
        Section(
            Text("Error budget and work", "误差预算与维护"),
            (even(7, _burn(), _budget(), _excused()),),
            collapsed=True,
        ),
        Section(
            Text("Agents in detail", "探针详情"),
            (even(7, _self_probe(), _clock(), _missed()),),
            collapsed=True,
        ),
    )


def _burn() -> Json:
    values = columns(fast='max("burn_fast_ratio")', slow='max("burn_slow_ratio")')
    return series(
        Text("Budget burn", "预算消耗速度"),
        Text(
            "How many times faster than its pace the error budget is used, as the rules see it: over 5 "
            "minutes and an "
            "hour (fast), over 30 minutes and 6 hours (slow). 1 uses it up exactly in its time.",
            "误差预算的消耗速度是其应有速度的几倍，与规则所见一致：5 分钟与 1 小时（快）、30 分钟与 6 小"
            "时（慢）。1 表示恰好按期用完。",
        ),
        [target(f'SELECT {values} FROM "link_state" {LINK} {STEP} fill(null)')],
        COUNT,
        (Line("fast", Text("fast", "快"), P50), Line("slow", Text("slow", "慢"), P999)),
    )


def _budget() -> Json:
    query = f'SELECT min("budget_left_ratio") AS "left" FROM "link_state" {LINK} {STEP} fill(null)'
    return series(
        Text("Budget left", "剩余预算"),
        Text(
            "Share of the error budget of the last three days that is left; below zero it is used up.",
            "最近三天误差预算的剩余比例；小于零表示已用尽。",
        ),
        [target(query)],
        RATIO,
        (Line("left", Text("left", "剩余"), P50),),
    )


def _excused() -> Json:
    values = columns(maintenance='max("maintenance")', drill='max("drill")')
    return timeline(
        Text("Work and drills", "维护与演练"),
        Text(
            "When announced work touched this link, and when a reflector played a fault on purpose: "
            "these windows do not "
            "count in scores and page nobody.",
            "已公告的维护影响本链路，或反射端有意模拟故障的时段：这些窗口不计入评分，也不呼叫任何人。",
        ),
        [target(f'SELECT {values} FROM "link_state" {LINK} {STEP} fill(null)')],
        states({1: (WORK, MAINTENANCE), 0: (Text("none", "无"), MET)}),
        overrides=[
            override("maintenance", displayName=WORK),
            override("drill", displayName=Text("drill", "演练")),
        ],
    )


def _self_probe() -> Json:
    query = (
        f'SELECT max("self_rtt_max_us") AS "slowest" FROM "agent_health" {AGENTS} {STEP},"agent" fill(null)'
    )
    return series(
        Text("Agents' probe to themselves", "探针自测"),
        Text(
            "Slowest round trip over the host's own loopback: what the host itself adds to every delay.",
            "经本机回环的最慢往返时延：主机自身给每个时延附加的部分。",
        ),
        [target(query, "$tag_agent")],
        MICROSECONDS,
    )


def _clock() -> Json:
    query = f'SELECT max("clock_error_us") AS "error" FROM "agent_health" {AGENTS} {STEP},"agent" fill(null)'
    return series(
        Text("Error of the agents' clocks", "探针时钟误差"),
        Text(
            "Bound on the error of the wall clock, as the kernel tells it. One-way delay is withheld "
            "where both together "
            "are above a tenth of the tier's delay.",
            "内核给出的系统时钟误差上界。两端之和超过等级时延的十分之一时不提供单向时延。",
        ),
        [target(query, "$tag_agent")],
        MICROSECONDS,
    )


def _missed() -> Json:
    values = columns(missed='sum("missed")', lost='sum("self_lost")', dropped='sum("receive_dropped")')
    query = f'SELECT {values} FROM "agent_health" {AGENTS} {STEP} fill(null)'
    return series(
        Text("What the agents did not manage", "探针未完成的工作"),
        Text(
            "Of both agents in each step: slots in which they came too late to send, probes to "
            "themselves that did not "
            "come back, datagrams dropped by full receive queues.",
            "两端探针每格合计：来不及发送的时隙、未返回的自测包、因接收队列满而丢弃的报文。",
        ),
        [target(query)],
        COUNT,
        (
            Line("missed", Text("slots missed", "错过的时隙"), P50),
            Line("lost", Text("own probes lost", "自测丢失"), P95),
            Line("dropped", Text("dropped by queues", "队列丢弃"), P999),
        ),
    )
