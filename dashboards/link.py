"""The board "Link": everything about one link on one page, with the agents that measured it below.

It shows the link of the variable `link`, in the class of the variable `class`; the variable `ends`, which is
not shown, is its two nodes. What agents measured (`link_delay`, `link_loss`) comes at the resolution that is
chosen, what was judged of it from the raw database. Of each step the worst window is drawn unless a panel
says otherwise.
"""

from __future__ import annotations

from dashboards import link_delay, link_ends, link_loss, link_path
from dashboards.board import Section, annotation, band, board, even, hidden_variable, variable
from dashboards.colours import DOWN, MET, MISSED, NEUTRAL, OBJECTIVE
from dashboards.filters import link_choice, link_filters
from dashboards.panel import COUNT, RATIO, SECONDS, override, stat, thresholds
from dashboards.query import columns, matches, target, where
from dashboards.trouble import VERDICTS
from dashboards.words import DELAY, LOSS, THROUGHPUT, VERDICT, Json, Text
from linkgauge.judged_tables import DOWN_S

EXPIRING_S = 1_209_600
"""Bound of the rule certificate-expiring; a test holds it to the rule."""
NOW = "5m"


def link() -> Json:
    """The board with `Text` in it."""
    return board(
        "link",
        Text(
            "Everything about one link: delay, loss, order, marks, flows, ways, throughput, and its "
            "agents.",
            "单条链路的全部信息：时延、丢包、乱序、标记、流、路径、吞吐以及测量它的探针。",
        ),
        [*link_filters(), link_choice(), _class(), _ends()],
        [
            Section(Text("Now", "当前"), (band(4, (10, _verdicts()), (14, _figures())),)),
            Section(
                Text("Delay", "时延"),
                (
                    even(9, link_delay.bands(), link_delay.one_way()),
                    even(8, link_delay.judged(), link_delay.variation()),
                ),
            ),
            Section(
                Text("Loss", "丢包"),
                (even(8, *link_loss.directions()), even(8, link_loss.order(), link_loss.marks())),
            ),
            Section(
                Text("Flows, ways, throughput", "流、路径与吞吐"),
                (even(8, link_loss.flows(), link_path.throughput()), even(6, link_path.ways())),
            ),
            Section(
                Text("Alerts and agents", "告警与探针"),
                (even(6, link_ends.alerts(), link_ends.fitness()),),
            ),
            *link_path.more(),
            *link_ends.more(),
        ],
        annotations=[_changes()],
        span="3h",
    )  # fmt: skip


def _class() -> Json:
    made = variable("class", Text("class (DSCP)", "类别（DSCP）"), "link_delay", ("link",), one=True)
    return {**made, "sort": 3}


def _ends() -> Json:
    narrowed = f"{matches('link')} AND time > now() - 30d"
    return hidden_variable(
        "ends", f'SHOW TAG VALUES FROM "link_state" WITH KEY IN ("src", "dst") WHERE {narrowed}'
    )


def _changes() -> Json:
    """A mark for each change: the ways before and since, and the kind. (Grouped by the kind, newer Grafana
    takes the way for a tag and the time for the text; without a third column, for the title.)"""
    return annotation(
        Text("changes", "变化"),
        f'SELECT "before", "after", "kind" FROM "link_event" {where("link")}',
        OBJECTIVE,
        text="after",
        tags="kind",
    )


def _verdicts() -> Json:
    names = {"verdict": VERDICT, "delay": DELAY, "loss": LOSS, "throughput": THROUGHPUT}
    values = {name: f'last("verdict_{name}")' for name in names} | {"verdict": 'last("verdict")'}
    return stat(
        Text("Verdicts", "判定"),
        Text(
            "The last verdict over the period, and of what it is made: missed if one of them is missed, "
            "met if delay "
            "and loss are. Unknown: not measured, an unfit agent, or too few packets yet.",
            "评估期的最近判定及其组成：任一项未达标即未达标，时延和丢包都达标才算达标。未知：未测量、探"
            "针不健康或样本不足。",
        ),
        [target(f'SELECT {columns(**values)} FROM "link_state" {where("link")}')],
        COUNT,
        thresholds((0, NEUTRAL)),
        overrides=[override(name, displayName=text, mappings=VERDICTS) for name, text in names.items()],
        last=NOW,
    )


def _figures() -> Json:
    shown = {
        "silent": (Text("unanswered for", "无应答时长"), SECONDS, thresholds((0, MET), (DOWN_S, DOWN))),
        "loss": (Text("loss at most", "丢包上界"), RATIO, thresholds((0, NEUTRAL))),
        "available": (Text("available", "可用率"), RATIO, thresholds((0, NEUTRAL))),
        "left": (Text("error budget left", "剩余误差预算"), RATIO, thresholds((-1e18, MISSED), (0, MET))),
        "certificate": (
            Text("certificate left", "证书剩余"),
            SECONDS,
            thresholds((-1e18, MISSED), (EXPIRING_S, MET)),
        ),
    }
    values = {
        "silent": 'last("unanswered_s")',
        "loss": 'last("period_loss_upper_ratio")',
        "available": 'last("availability_ratio")',
        "left": 'last("budget_left_ratio")',
        "certificate": 'last("certificate_left_s")',
    }
    return stat(
        Text("Figures", "数值"),
        Text(
            "How long the far end has not answered; upper bound of the period's loss in the worse "
            "direction; share of "
            "the period's windows with loss below 50 %; what is left of the error budget of three days; "
            "time until the far end's certificate expires, vermilion when the rule certificate-expiring "
            "fires. Missing: not known.",
            "对端无应答的时长；评估期内较差方向丢包率的上界；丢包低于 50% 的窗口比例；三天误差预算的剩余；"
            "对端证书的剩余时间，规则 certificate-expiring 触发时为朱红色。"
            "缺失：未知。",
        ),
        [target(f'SELECT {columns(**values)} FROM "link_state" {where("link")}')],
        COUNT,
        thresholds((0, NEUTRAL)),
        overrides=[
            override(name, displayName=text, unit=unit, thresholds=color)
            for name, (text, unit, color) in shown.items()
        ],
        last=NOW,
    )
