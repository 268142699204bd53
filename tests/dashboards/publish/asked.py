"""A small set of what is to be published, and publishing it to the server of these tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dashboards.publish.grafana import Client, Grafana
from dashboards.publish.publisher import carry_out, changes
from dashboards.publish.wanted import Alerting, Group, Wanted
from tests.dashboards.publish.server import TOKEN, FakeGrafana

Json = dict[str, Any]
ROUTE: Json = {
    "receiver": "linkgauge-page",
    "object_matchers": [["grafana_folder", "=", "linkgauge alerts"]],
    "routes": [
        {
            "receiver": "linkgauge-page",
            "object_matchers": [["severity", "=", "page"], ["link", "=~", ".+"]],
            "mute_time_intervals": ["linkgauge-work"],
        }
    ],
}
POINT: Json = {
    "uid": "linkgauge-page-webhook",
    "name": "linkgauge-page",
    "type": "webhook",
    "settings": {"url": "http://127.0.0.1:9/", "password": "of-the-webhook"},
}
TIMING: Json = {
    "name": "linkgauge-work",
    "time_intervals": [{"times": [{"start_time": "18:00", "end_time": "24:00"}]}],
}
OTHERS: Json = {"receiver": "grafana-default-email", "object_matchers": [["team", "=", "web"]]}


def board(title: str = "Network overview", uid: str = "linkgauge-overview") -> Json:
    return {
        "uid": uid,
        "title": title,
        "tags": ["linkgauge"],
        "schemaVersion": 36,
        "version": 1,
        "panels": [],
    }


def rule(name: str = "loss", bound: float = 2.5) -> Json:
    return {
        "uid": f"linkgauge-{name}",
        "folderUID": "linkgauge-alerts",
        "ruleGroup": "linkgauge-links",
        "title": name,
        "condition": "C",
        "data": [
            {"refId": "A", "datasourceUid": "linkgauge-influx", "model": {"query": "SELECT 1"}},
            {"refId": "C", "datasourceUid": "__expr__", "model": {"conditions": [{"params": [bound]}]}},
        ],
        "noDataState": "OK",
        "execErrState": "OK",
        "for": "0s",
    }


def alerting(
    *rules: Json, points: Sequence[Json] = (POINT,), timings: Sequence[Json] = (TIMING,)
) -> Alerting:
    group = Group("linkgauge-alerts", "linkgauge-links", 10, rules or (rule(), rule("delay")))
    return Alerting([group], points, ROUTE, timings)


def wanted(**changed: Any) -> Wanted:
    source = {
        "uid": "linkgauge-influx",
        "name": "linkgauge",
        "url": "http://x",
        "secureJsonData": {"password": "p"},
    }
    made = Wanted(
        folders={"linkgauge": "linkgauge", "linkgauge-alerts": "linkgauge alerts"},
        board_folder="linkgauge",
        boards={"overview": board()},
        spared=frozenset({"linkgauge-overview-zh"}),
        data_sources={"linkgauge-influx": source},
        alerting=alerting(),
    )
    return replace(made, **changed)


def client(fake: FakeGrafana, **changed: Any) -> Client:
    return Client(replace(Grafana(fake.url, TOKEN), **changed), pause=lambda _: None)


def published(fake: FakeGrafana, asked: Wanted) -> list[str]:
    """Publish; the first line of each change that was made."""
    with client(fake) as calls:
        todo = changes(calls, asked)
        carry_out(todo)
    return [f"{change.sign} {change.what}" for change in todo]
