"""The rules for Grafana 9.4 and later, as its API has them: InfluxQL on what the collector writes.

Each rule becomes one Grafana rule for each of its directions; an alert of it is one set of tags. A finds the
windows that breach, B counts them, C fires when there are at least `hold_windows` of them in the range, which
holds just the last hold_windows + clear_windows - 1 windows whose rows are there for sure. That is what
alerts.evaluate does, so `for` is 0. D is the last of the values, for the text.

A series without a breach is not in the answer at all. Grafana ends an alert of such a series with the second
evaluation without it; a rule with hold_windows 1 therefore looks back one evaluation less, so that it ends
when it does in process. Rules with more see their count fall first.

Where both differ, by what Grafana can say: a window that is unknown is no window in process where `unknown`
is `holds`, so an alert goes on while nothing is known; here it is a clear one. Windows in which a fault was
played on purpose (`drill`) count in process and alert a receiver of their own; here they do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.grafana.teams import Teams
from alerts.rule import TABLES, Rule, Watch, watches
from linkgauge.schema import LINK_TAGS

DATA_SOURCE_UID = "linkgauge-influx"
FOLDER, FOLDER_UID = "linkgauge alerts", "linkgauge-alerts"
LAG_S = 5
"""How long after its end the row of a window may come: probe timeout, judging, writing."""
EVALUATION_STEP_S = 10
"""Grafana evaluates at multiples of this."""
LONGEST_UID = 40
COLLECTOR_SILENT = "collector-silent"
"""The one rule that the collector cannot evaluate itself."""

GROUPS = {"state": "links", "node": "nodes", "sink": "system", "collector": "system", "place": "places"}
_KNOWN = {"state": (("fit", 1), ("drill", 0)), "node": (("drill", 0),)}
"""What a row must say for its window to count."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """From so long ago to so long ago, both inclusive, seconds."""

    from_s: int
    to_s: int


_SILENT_FROM_S = 6 * 3_600


@dataclass(frozen=True, slots=True)
class Times:
    """window_s: length of a window, as in the inventory."""

    window_s: int = 10

    @property
    def every_s(self) -> int:
        """How often Grafana evaluates: at each window, as far as it can."""
        return -(-self.window_s // EVALUATION_STEP_S) * EVALUATION_STEP_S

    def span(self, rule: Rule) -> Span:
        """Which time a query looks at: just as many windows as the rule has, whenever it is asked."""
        to_s = self.window_s + LAG_S
        from_s = to_s + rule.windows * self.window_s - 1
        if rule.hold_windows > 1:
            return Span(from_s, to_s)
        least_s = to_s + self.every_s - 1  # windows are short: what passes between evaluations is seen once
        return Span(max(from_s - self.every_s, least_s), to_s)

    def silent_span(self) -> Span:
        """Which time the rule of a silent collector looks at: until a row has to be there."""
        return Span(_SILENT_FROM_S, self.window_s + LAG_S)


@dataclass(frozen=True, slots=True)
class GrafanaRules:
    """Makes them. teams: of the inventory, where there is one."""

    times: Times = field(default_factory=Times)
    teams: Teams = field(default_factory=Teams)

    def groups(self, rules: Sequence[Rule]) -> dict[str, list[Json]]:
        """Rules by the name of their group."""
        made: dict[str, list[Json]] = {}
        for watch in watches(tuple(rules)):
            made.setdefault(f"linkgauge-{GROUPS[watch.table]}", []).append(self.rule(watch))
        made.setdefault("linkgauge-system", []).append(self.collector_silent())
        for name, group in made.items():
            for rule in group:
                rule["ruleGroup"] = name
        return made

    def rule(self, watch: Watch) -> Json:
        """One rule, in the form of POST /api/v1/provisioning/alert-rules but for its group."""
        rule, span = watch.rule, self.times.span(watch.rule)
        direction = f" ({watch.direction})" if watch.direction else ""
        labels = {"rule": rule.name, "severity": rule.severity, **_labels(watch)}
        labels["team"] = self.teams.label(watch.table)
        if watch.table == "place" and (of_trunk := self.teams.of_trunk()):
            labels["teams"] = of_trunk
        return {
            **_frame(
                f"linkgauge-{rule.name}{'-' if direction else ''}{watch.direction}",
                f"{rule.title}{direction}",
            ),
            "condition": "C",
            "data": [
                _query(query(watch), span, self.times.window_s),
                _expression("B", span, _reduce("A", "count")),
                _expression("C", span, _threshold("B", "gt", rule.hold_windows - 0.5, "C")),
                _expression("D", span, _reduce("A", "last")),
            ],
            "for": "0s",
            "labels": labels,
            "annotations": {
                "summary": _summary(watch),
                "first_steps": "\n".join(f"- {step}" for step in rule.first_steps),
                "runbook": rule.runbook,
            },
        }

    def collector_silent(self) -> Json:
        """No rows of a collector for two minutes, or none of any: it is dead, or InfluxDB does not answer."""
        window_s = self.times.window_s
        step_s = -(-60 // window_s) * window_s  # a step begins with a window, so none is empty at first
        span = self.times.silent_span()
        text = (
            'SELECT count("batches_accepted") AS "v" FROM "collector_health" WHERE $timeFilter '
            f'GROUP BY time({step_s}s),"collector" fill(0)'
        )
        return {
            **_frame(f"linkgauge-{COLLECTOR_SILENT}", "Collector silent"),
            "condition": "C",
            "data": [
                _query(text, span, step_s),
                _expression("B", span, _reduce("A", "last")),
                _expression("C", span, _threshold("B", "lt", 0.5, "C")),
            ],
            "noDataState": "Alerting",
            "execErrState": "Alerting",
            "for": f"{step_s}s" if step_s % 60 else f"{step_s // 60}m",
            "labels": {
                "rule": COLLECTOR_SILENT,
                "severity": "page",
                "direction": "-",
                "team": self.teams.label("collector"),
            },
            "annotations": {
                "summary": 'no report of the collector {{ index $labels "collector" }} has reached InfluxDB '
                "for two minutes: nobody judges links, and no other alert can be trusted",
                "first_steps": "- Look whether the collector runs: systemctl status linkgauge-collector.\n"
                "- Look whether InfluxDB answers; the collector keeps what it cannot hand over.\n"
                "- Look at the collector's /v1/status and its log.",
                "runbook": f"docs/runbooks/{COLLECTOR_SILENT}.md",
            },
        }


def query(watch: Watch) -> str:
    """InfluxQL: the values beyond the bound, a series for each thing that has one."""
    rule = watch.rule
    sign = ">" if rule.above is not None else "<"
    known = "".join(f' AND "{name}" = {value}' for name, value in _KNOWN.get(watch.table, ()))
    by = ",".join(f'"{tag}"' for tag in tags(watch.table))
    return (
        f'SELECT "{watch.field}" AS "v" FROM "{watch.measurement}" '
        f'WHERE $timeFilter AND "{watch.field}" {sign} {rule.bound:.15g}{known} GROUP BY {by}'
    )


def tags(table: str) -> tuple[str, ...]:
    """The tags of a table's rows in InfluxDB: the labels of its alerts."""
    return LINK_TAGS if table == "state" else TABLES[table].keys


def _labels(watch: Watch) -> dict[str, str]:
    """about, direction and site, made of tags; those that are tags already are labels by themselves."""
    made = {
        "state": {"about": '{{ index $labels "link" }}', "site": '{{ index $labels "src_site" }}'},
        "node": {"about": '{{ index $labels "node" }}'},
        "sink": {"about": '{{ index $labels "collector" }}/{{ index $labels "sink" }}'},
        "collector": {"about": '{{ index $labels "collector" }}'},
        "place": {"about": '{{ index $labels "place" }}'},
    }[watch.table]
    return made if watch.table == "place" else {**made, "direction": watch.direction or "-"}


_NAMES = {
    "state": '{{ index $labels "src" }} to {{ index $labels "dst" }} on {{ index $labels "network" }}',
    "node": '{{ index $labels "node" }} at {{ index $labels "site" }}',
    "sink": 'sink {{ index $labels "sink" }} of collector {{ index $labels "collector" }}',
    "collector": 'collector {{ index $labels "collector" }}',
    "place": '{{ index $labels "kind" }} {{ index $labels "place" }} on {{ index $labels "network" }}',
}


def _summary(watch: Watch) -> str:
    rule = watch.rule
    direction = f", {watch.direction}" if watch.direction else ""
    bound = f"{'above' if rule.above is not None else 'below'} {watch.bound}"
    value = '{{ printf "%.4g" $values.D.Value }}'
    count = '{{ printf "%.0f" $values.B.Value }}'
    return (
        f"{rule.title}: {_NAMES[watch.table]}{direction}: {watch.field} {bound} in {count} of the last "
        f"{rule.windows} windows, last {value}"
    )


def _frame(uid: str, title: str) -> Json:
    return {
        "uid": uid[:LONGEST_UID],
        "orgID": 1,
        "folderUID": FOLDER_UID,
        "title": title,
        "noDataState": "OK",
        # an InfluxDB that does not answer is told once, by collector-silent
        "execErrState": "OK",
    }


def _query(text: str, span: Span, step_s: int) -> Json:
    model = {
        "refId": "A",
        "datasource": {"type": "influxdb", "uid": DATA_SOURCE_UID},
        "rawQuery": True,
        "resultFormat": "time_series",
        "policy": "default",
        "query": text,
        "intervalMs": step_s * 1_000,
        "maxDataPoints": 43_200,
    }
    return _data("A", DATA_SOURCE_UID, span, model)


def _expression(ref_id: str, span: Span, what: Json) -> Json:
    source = {"datasource": {"type": "__expr__", "uid": "__expr__"}}
    model = {"refId": ref_id, **what, **source, "intervalMs": 1_000, "maxDataPoints": 43_200}
    return _data(ref_id, "__expr__", span, model)


def _reduce(of: str, reducer: str) -> Json:
    return {"type": "reduce", "expression": of, "reducer": reducer, "settings": {"mode": "dropNN"}}


def _threshold(of: str, kind: str, bound: float, ref_id: str) -> Json:
    condition = {
        "type": "query",
        "evaluator": {"type": kind, "params": [bound]},
        "operator": {"type": "and"},
        "query": {"params": [ref_id]},
        "reducer": {"type": "last", "params": []},
    }
    return {"type": "threshold", "expression": of, "conditions": [condition]}


def _data(ref_id: str, source: str, span: Span, model: Json) -> Json:
    return {
        "refId": ref_id,
        "queryType": "",
        "datasourceUid": source,
        "relativeTimeRange": {"from": span.from_s, "to": span.to_s},
        "model": model,
    }
