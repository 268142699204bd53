"""The same rules for Grafana 9.4 and later: a file for its alerting provisioning, InfluxQL on `link_state`.

Each rule becomes one Grafana rule for each direction; an alert of it is one set of link tags. The query gives
one value a window over the last windows; B is the smallest of them, C how many there are, D is B when there
are at least `hold_windows` of them and else 0, and E fires when D is above the bound. So it fires when all of
the last `hold_windows` windows breached, as the evaluation in process does, and `for` is 0.

Where both differ, by what Grafana 9.4 can express: it resolves with the first clear window and not after
`clear_windows`; an alert whose field is unknown goes away there as soon as fewer than `hold_windows` known
windows lie in the query's range, and nobody says why, while here it stays for `unknown_windows` and then says
that it is no longer judged; and a streak with unknown windows in it fires there only when enough of its
windows lie in the query's range.

`python -m alerts.grafana` rewrites the committed file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from alerts.rule import BASIS_DIRECTION, FORWARD, Rule, Watch, load_rules, watches
from linkgauge.schema import LINK_TAGS, STATE

RENDERED = Path(__file__).parent / "rendered" / "linkgauge-rules.yaml"
"""The committed file; a test fails when it is stale."""
DATA_SOURCE_UID = "linkgauge-influx"
FOLDER = "linkgauge alerts"
LAG_S = 5
"""How long after its end the state of a window may come: probe timeout, judging, writing."""
_GRAFANA_STEP_S = 10
"""Grafana evaluates at multiples of this."""

Json = dict[str, Any]


def rule_file(rules: Sequence[Rule], window_s: int = 10) -> str:
    """The provisioning file, YAML. window_s: length of a window, as in the inventory."""
    every_s = -(-window_s // _GRAFANA_STEP_S) * _GRAFANA_STEP_S
    group = {
        "orgId": 1,
        "name": f"linkgauge-{every_s}s",
        "folder": FOLDER,
        "interval": f"{every_s}s",
        "rules": [
            _rule(watch, part, window_s) for watch in watches(_of_links(rules)) for part in _parts(watch)
        ],
    }
    return yaml.safe_dump({"apiVersion": 1, "groups": [group]}, sort_keys=False, width=110)


def render(path: Path = RENDERED, window_s: int = 10) -> Path:
    """Write the program's own rules to `path`, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rule_file(load_rules(), window_s), encoding="utf-8")
    return path


def range_s(rule: Rule, window_s: int) -> int:
    """How far the query looks back: the last `hold_windows` windows are always inside, once they came."""
    return (rule.hold_windows + 1) * window_s + LAG_S


def query(watch: Watch, condition: str, window_s: int) -> str:
    """InfluxQL: one value a window, the field itself, a series for each link."""
    tags = ",".join(f'"{tag}"' for tag in LINK_TAGS)
    measurement = STATE.field(watch.field).measurement
    return (
        f'SELECT last("{watch.field}") AS "excess" FROM "{measurement}" WHERE $timeFilter{condition} '
        f"GROUP BY time({window_s}s),{tags} fill(none)"
    )


def _of_links(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if rule.table == "state" and rule.above is not None)


def _parts(watch: Watch) -> Iterator[tuple[str, str]]:
    """Direction and condition of each Grafana rule that a watch becomes."""
    if watch.direction:
        yield watch.direction, ""
        return
    for basis, direction in BASIS_DIRECTION.items():
        yield direction, f' AND "delay_basis" = {int(basis)}'


def _rule(watch: Watch, part: tuple[str, str], window_s: int) -> Json:
    rule, (direction, condition) = watch.rule, part
    back_s = range_s(rule, window_s)
    labels = {"severity": rule.severity, "rule": rule.name, "direction": direction}
    excess = (
        "{{ humanizePercentage $values.B.Value }}" if "_ratio" in watch.field else "{{ $values.B.Value }} us"
    )
    return {
        "uid": f"linkgauge-{rule.name}-{direction}".replace(" ", "-")[:40],
        "title": _literal(f"{rule.title} ({direction})"),
        "condition": "E",
        "data": [
            _query(query(watch, condition, window_s), back_s, window_s),
            _expression("B", back_s, _reduce("min")),
            _expression("C", back_s, _reduce("count")),
            _expression("D", back_s, {"type": "math", "expression": f"$B * ($C >= {rule.hold_windows})"}),
            _expression("E", back_s, _threshold("D", rule.bound)),
        ],
        # forward loss is known of every measured link: nothing at all means that nothing is measured;
        # backward loss and one of the two bases of delay may well be empty
        "noDataState": "NoData" if direction == FORWARD and not condition else "OK",
        "execErrState": "Error",
        "for": "0s",
        "annotations": {
            "summary": f"{rule.title}: {{{{ $labels.src }}}} to {{{{ $labels.dst }}}} on "
            f"{{{{ $labels.network }}}}, {direction}, {excess} above the objective of tier "
            "{{ $labels.tier }}",
            "first_steps": "\n".join(f"- {step}" for step in rule.first_steps),
            "runbook": rule.runbook,
        },
        "labels": {name: _literal(value) for name, value in labels.items()},
    }


def _literal(text: str) -> str:
    """Text in which file provisioning finds no variable of the environment."""
    return text.replace("$", "$$")


def _query(text: str, back_s: int, window_s: int) -> Json:
    model = {
        "refId": "A",
        "datasource": {"type": "influxdb", "uid": DATA_SOURCE_UID},
        "rawQuery": True,
        "resultFormat": "time_series",
        "policy": "default",
        "query": text,
        "intervalMs": window_s * 1_000,
        "maxDataPoints": 43_200,
    }
    return _data("A", DATA_SOURCE_UID, back_s, model)


def _expression(ref_id: str, back_s: int, what: Json) -> Json:
    source = {"datasource": {"type": "__expr__", "uid": "__expr__"}}
    model = {"refId": ref_id, **what, **source, "intervalMs": 1_000, "maxDataPoints": 43_200}
    return _data(ref_id, "__expr__", back_s, model)


def _reduce(reducer: str) -> Json:
    return {"type": "reduce", "expression": "A", "reducer": reducer, "settings": {"mode": "dropNN"}}


def _threshold(expression: str, above: float) -> Json:
    condition = {
        "type": "query",
        "evaluator": {"type": "gt", "params": [above]},
        "operator": {"type": "and"},
        "query": {"params": ["E"]},
        "reducer": {"type": "last", "params": []},
    }
    return {"type": "threshold", "expression": expression, "conditions": [condition]}


def _data(ref_id: str, source: str, back_s: int, model: Json) -> Json:
    return {
        "refId": ref_id,
        "queryType": "",
        "datasourceUid": source,
        "relativeTimeRange": {"from": back_s, "to": 0},
        "model": model,
    }


if __name__ == "__main__":
    print(render())
