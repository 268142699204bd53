"""Against a real Grafana: published twice, provisioned by files, and its alerts compared with the reference.

Runs where LINKGAUGE_GRAFANA_HOME names one, on InfluxDB 1 and 2; takes about five minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from alerts.grafana.alertmanager import alertmanager_file
from alerts.grafana.rules import FOLDER_UID
from alerts.rule import load_rules, watches
from console import publish
from console.main import app
from dashboards.boards import boards
from dashboards.render import SECRETS
from linkgauge.errors import LinkgaugeError
from tests.alerts.grafana import recording
from tests.alerts.grafana.engine import Engine, Labels
from tests.alerts.grafana.test_two_engines import EVERY_S, asker, write
from tests.alerts.receivers.alertmanagers import PROGRAM, AlertmanagerProcess, alertmanager
from tests.console.test_grafana import INVENTORY
from tests.dashboards.world import WINDOW_NS
from tests.influxd import Influxd
from tests.real.grafana_server import RealGrafana, running

API = "/api/v1/provisioning"
DATABASE = "linkgauge"
NOW_WINDOW = 13
"""The window of the recording that ends when the engines begin to look; the first faults come two later."""
EVALUATIONS = 12


def told(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def ours(found: list[dict[str, Any]], key: str = "uid") -> set[str]:
    return {each[key] for each in found or () if str(each[key]).startswith("linkgauge-")}


def test_published_twice_changed_and_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    monkeypatch.setenv("LINKGAUGE_INFLUX_PASSWORD", "x")
    for team in ("NETWORK", "WEST"):
        for name in ("WEBHOOK_URL", "DINGTALK_URL", "WECOM_URL"):
            monkeypatch.setenv(f"LINKGAUGE_PAGE_{team}_{name}", "http://127.0.0.1:9/x")
        monkeypatch.setenv(f"LINKGAUGE_PAGE_{team}_EMAIL_ADDRESSES", "noc@example.org")
    kinds = [word for kind in ("webhook", "email", "dingtalk", "wecom") for word in ("--page", kind)]
    with running(tmp_path) as grafana:
        monkeypatch.setenv(publish.TOKEN, grafana.token)
        root = grafana.get(f"{API}/policies")["receiver"]
        words = ["publish", "--grafana", grafana.url, "--influxdb", "http://127.0.0.1:8086"]
        full = [*words, "--inventory", str(inventory), *kinds]
        assert told(*full, "--dry-run").endswith("changes; nothing was changed\n")
        assert ours(grafana.get(f"{API}/alert-rules")) == set()
        assert told(*full).endswith("changes made\n")
        assert told(*full).startswith("nothing to do")
        rules = grafana.get(f"{API}/alert-rules")
        assert len(ours(rules)) == len(watches(load_rules())) + 1
        for group in {rule["ruleGroup"] for rule in rules}:
            found = grafana.get(f"{API}/folder/{FOLDER_UID}/rule-groups/{group}")
            assert found["interval"] == 20
        assert ours(grafana.get(f"{API}/mute-timings"), "name") == {"linkgauge-work-20990101-0000"}
        assert len(ours(grafana.get(f"{API}/contact-points"))) == 2 * 4 + 2
        found = grafana.get("/api/search?tag=linkgauge")
        assert ours(found) == {board["uid"] for board in boards().values()}
        told(*words)
        assert told(*words).startswith("nothing to do")
        assert not grafana.get(f"{API}/mute-timings")
        assert len(ours(grafana.get(f"{API}/contact-points"))) == 2
        assert grafana.get(f"{API}/policies")["receiver"] == root
        told(*words, "--quiet")
        assert told(*words, "--quiet").startswith("nothing to do")


@pytest.fixture
def told_by_grafana(tmp_path: Path) -> Iterator[AlertmanagerProcess]:
    """A real Alertmanager with the rendered file for two teams."""
    if PROGRAM is None:
        pytest.skip("needs prometheus-alertmanager (deploy/prepare.sh)")
    config = yaml.safe_load(alertmanager_file(load_rules(), ("network", "west")))
    with alertmanager(tmp_path / "alertmanager", "http://127.0.0.1:9/", **config) as made:
        yield made


@pytest.mark.influx
def test_provisioned_by_files_its_alerts_are_those_of_the_reference(
    tmp_path: Path,
    either_influxd: Influxd,
    told_by_grafana: AlertmanagerProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    influxd = either_influxd
    made = tmp_path / "made"
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY.replace("window_s: 20", "window_s: 10"))
    words = ["--influxdb", influxd.url, "--influx-version", str(influxd.version), "--database", DATABASE]
    words += ["--inventory", str(inventory), "--alertmanager", told_by_grafana.url]
    told("render", str(made), *words)
    provider = made / "provisioning/dashboards/linkgauge.yaml"
    text = provider.read_text().replace("/var/lib/grafana/dashboards/linkgauge", str(made / "dashboards"))
    provider.write_text(text)
    influxd.create(DATABASE)
    with running(tmp_path):
        pass  # on its very first start 9.4.0-pre forgets the database of a data source that it provisioned
    secret = {SECRETS[influxd.version]: influxd.token or "x"}
    with running(tmp_path, made / "provisioning", **secret) as grafana:
        found = grafana.get("/api/search?tag=linkgauge")
        assert ours(found) == {board["uid"] for board in boards().values()}
        assert grafana.get(f"{API}/policies")["routes"][0]["receiver"] == "linkgauge-ticket-network"
        rules = grafana.get(f"{API}/alert-rules")
        assert len(ours(rules)) == len(watches(load_rules())) + 1
        files_are_not_published_over(grafana, monkeypatch)
        now_ns = time.time_ns()
        first_ns = now_ns - now_ns % WINDOW_NS - NOW_WINDOW * WINDOW_NS
        write(influxd, list(recording.frames(first_ns)), DATABASE)
        checked = _watched(grafana, influxd, [rule for rule in rules if rule["for"] == "0s"])
        texts_are_filled_in(grafana)
        arrived_and_held_back(told_by_grafana)
    assert checked >= 100, "of some thirty rules in ten evaluations"
    assert "Failed to evaluate rule" not in (tmp_path / "grafana.log").read_text()


def files_are_not_published_over(grafana: RealGrafana, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came by files stays theirs, but for boards there is nothing to do."""
    monkeypatch.setenv(publish.TOKEN, grafana.token)
    with pytest.raises(LinkgaugeError, match="from provisioned files already"):
        told("publish", "--grafana", grafana.url)
    assert told("publish", "--grafana", grafana.url, "--boards-only").startswith("nothing to do")


def arrived_and_held_back(real: AlertmanagerProcess) -> None:
    """What Grafana told the Alertmanager; alerts of one link explain each other by the rendered file."""
    found = httpx.get(f"{real.url}/api/v2/alerts", trust_env=False).json()
    arrived = {each["labels"]["rule"] for each in found}
    assert {"link-loss", "link-unreachable", "common-cause"} <= arrived
    receivers = {each["receivers"][0]["name"] for each in found}
    assert receivers >= {"linkgauge-page-network", "linkgauge-page-west", "linkgauge-ticket-west"}
    firing = {(each["labels"]["rule"], each["labels"]["about"]) for each in found}
    explained = {name: rule.explained_by for rule in load_rules() for name in (rule.name,)}
    held_back = [each for each in found if each["status"]["inhibitedBy"]]
    assert held_back
    for each in held_back:
        rule, about = each["labels"]["rule"], each["labels"]["about"]
        assert any((other, about) in firing for other in explained[rule])


def texts_are_filled_in(grafana: RealGrafana) -> None:
    """Labels and sentences of what fires now: no template is left, and each says what it is about."""
    groups = grafana.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
    alerts = [alert for group in groups for rule in group["rules"] for alert in rule["alerts"]]
    firing = [each for each in alerts if each["state"].startswith("Alerting") and "rule" in each["labels"]]
    assert firing
    for alert in firing:
        labels, summary = alert["labels"], alert["annotations"]["summary"]
        assert "{{" not in summary + "".join(labels.values())
        assert "<no value>" not in summary
        if "link" in labels:
            assert labels["about"] == labels["link"]
            assert labels["site"] == labels["src_site"]
            assert labels["team"] == ("west" if labels["src_site"] == "guiyang" else "network")
            assert f"{labels['src']} to {labels['dst']} on {labels['network']}" in summary


def _watched(grafana: RealGrafana, influxd: Influxd, rules: list[dict[str, Any]]) -> int:
    """Compare what fires after each evaluation; how many rules were compared with something firing."""
    engines = {rule["title"]: Engine(rule, EVERY_S) for rule in rules}
    ask, compared = asker(influxd, DATABASE), 0
    first_s = int(time.time()) // EVERY_S * EVERY_S + EVERY_S
    for at_s in range(first_s, first_s + EVALUATIONS * EVERY_S, EVERY_S):
        time.sleep(max(0.0, at_s - time.time()))  # Grafana's clock ticks at whole tens of seconds
        answers = ask("; ".join(engine.query(at_s) for engine in engines.values()))
        for engine, answer in zip(engines.values(), answers, strict=True):
            engine.evaluate(answer, at_s)
        expected = {title: _firing(engine) for title, engine in engines.items()}
        told_there: dict[str, set[Labels]] = {}
        while told_there != expected and time.time() < at_s + EVERY_S - 1:  # its rules take their time
            told_there = _of_grafana(grafana, engines, at_s)
        if at_s > first_s + EVERY_S:  # it may have begun in the midst of the first
            assert told_there == {title: expected[title] for title in told_there}, f"evaluation {at_s}"
            compared += sum(bool(expected[title]) for title in told_there)
    return compared


def _firing(engine: Engine) -> set[Labels]:
    return {labels for labels, each in engine.instances.items() if each.state == "Alerting"}


def _of_grafana(grafana: RealGrafana, engines: dict[str, Engine], at_s: int) -> dict[str, set[Labels]]:
    """What fires by rule, of the rules whose last evaluation was at this time."""
    found: dict[str, set[Labels]] = {}
    for group in grafana.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]:
        for rule in group["rules"]:
            seen_s = datetime.fromisoformat(rule["lastEvaluation"]).timestamp()
            if rule["name"] in engines and seen_s == at_s:
                alerts = (each for each in rule["alerts"] if each["state"].startswith("Alerting"))
                found[rule["name"]] = {_labels(engines[rule["name"]], each["labels"]) for each in alerts}
    time.sleep(0.2)
    return found


def _labels(engine: Engine, labels: dict[str, str]) -> Labels:
    """Of an alert's labels those that are tags of the row."""
    return tuple(sorted((name, value) for name, value in labels.items() if name in _tags(engine)))


def _tags(engine: Engine) -> set[str]:
    """The tags by which the rule's query groups."""
    text: str = engine.rule["data"][0]["model"]["query"]
    return {tag.strip('"') for tag in text.partition("GROUP BY ")[2].split(",")}
