"""The rendered file in a real Alertmanager: who is told, and who is held back by whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from alerts.grafana.alertmanager import Places, alertmanager_file
from alerts.rule import load_rules
from tests.alerts.receivers.alertmanagers import PROGRAM, AlertmanagerProcess, alertmanager
from tests.alerts.server import eventually

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs prometheus-alertmanager (deploy/prepare.sh)")

Labels = dict[str, str]


@pytest.fixture
def real(tmp_path: Any) -> Iterator[AlertmanagerProcess]:
    places = Places(("jinan-1", "guiyang-1"), ("jinan", "guiyang"))
    config = yaml.safe_load(alertmanager_file(load_rules(), (), places))
    with alertmanager(tmp_path / "am", "http://127.0.0.1:9/", **config) as made:
        yield made


def link(rule: str, src: str, dst: str, **more: str) -> Labels:
    name = f"{src}>{dst}@backbone"
    ends = {"src": src, "dst": dst, "src_site": src[:-2], "dst_site": dst[:-2], "site": src[:-2]}
    made = {"alertname": rule, "rule": rule, "severity": "page", "link": name, "network": "backbone"}
    return {**made, **ends, "about": f"{rule} {name}", **more}


def held_back(real: AlertmanagerProcess, alerts: list[Labels], expected: set[str]) -> None:
    """Post them; these, and no others, come to be inhibited."""
    body = [{"labels": labels} for labels in alerts]
    httpx.post(f"{real.url}/api/v2/alerts", json=body, trust_env=False).raise_for_status()
    seen: list[set[str]] = []

    def holds() -> bool:
        told = real.alerts()
        seen.append({about for about, each in told.items() if each["status"]["inhibitedBy"]})
        return len(told) == len(alerts) and seen[-1] == expected

    eventually(holds)


def test_a_link_that_is_unreachable_explains_its_own_alerts_and_no_others(real: AlertmanagerProcess) -> None:
    alerts = [
        link("link-unreachable", "jinan-1", "qingdao-1", direction="-"),
        link("link-loss", "jinan-1", "qingdao-1", direction="forward"),
        link("link-loss", "qingdao-1", "jinan-1", direction="forward"),
        link("certificate-expiring", "jinan-1", "qingdao-1"),
    ]
    held_back(real, alerts, {"link-loss jinan-1>qingdao-1@backbone"})


def test_a_node_that_is_down_explains_links_by_either_end(real: AlertmanagerProcess) -> None:
    node = {
        "rule": "node-down",
        "severity": "page",
        "node": "guiyang-1",
        "site": "guiyang",
        "about": "guiyang-1",
    }
    alerts = [
        node,
        link("link-unreachable", "jinan-1", "guiyang-1"),
        link("link-loss", "guiyang-1", "jinan-1"),
        link("link-loss", "jinan-1", "guiyang-2"),
        link("link-loss", "jinan-1", "guiyang-1", drill="true", about="drill"),
    ]
    held_back(
        real, alerts, {"link-unreachable jinan-1>guiyang-1@backbone", "link-loss guiyang-1>jinan-1@backbone"}
    )
    receivers = {about: each["receivers"] for about, each in real.alerts().items()}
    assert receivers["drill"] == [{"name": "linkgauge-drill"}]
    assert receivers["guiyang-1"] == [{"name": "linkgauge-page"}]


def test_a_node_or_place_of_one_team_holds_back_no_links_of_another(real: AlertmanagerProcess) -> None:
    place = {"rule": "common-cause", "severity": "page", "kind": "site", "place": "jinan", "trouble": "dark"}
    alerts = [
        {"rule": "node-down", "severity": "page", "node": "guiyang-1", "about": "node", "team": "west"},
        {**place, "direction": "both", "network": "backbone", "about": "site", "team": "east"},
        link("link-unreachable", "qingdao-1", "guiyang-1", team="east"),
        link("link-unreachable", "qingdao-2", "guiyang-1", team="west"),
        link("link-unreachable", "qingdao-1", "jinan-1", team="east"),
        link("link-unreachable", "guiyang-2", "jinan-1", team="west"),
    ]
    held_back(
        real,
        alerts,
        {f"link-unreachable {name}@backbone" for name in ("qingdao-2>guiyang-1", "qingdao-1>jinan-1")},
    )


def test_a_common_cause_explains_links_in_its_direction_on_its_network(real: AlertmanagerProcess) -> None:
    place = {
        "rule": "common-cause",
        "severity": "page",
        "kind": "site",
        "place": "guiyang",
        "direction": "in",
        "trouble": "lossy",
    }
    alerts = [
        {**place, "network": "backbone", "site": "guiyang", "about": "site:guiyang"},
        link("link-loss", "jinan-1", "guiyang-1"),
        link("link-loss", "guiyang-1", "jinan-1"),
        link("link-loss", "jinan-1", "guiyang-1", network="private", about="elsewhere"),
        link("link-unreachable", "qingdao-1", "guiyang-1"),
    ]
    held_back(real, alerts, {"link-loss jinan-1>guiyang-1@backbone"})


def test_a_place_explains_nothing_graver_than_its_own_trouble(real: AlertmanagerProcess) -> None:
    place = {"rule": "common-cause", "severity": "page", "kind": "site", "direction": "both"}
    alerts = [
        {**place, "place": "guiyang", "network": "backbone", "about": "of Grafana"},
        {**place, "place": "jinan", "network": "backbone", "about": "dark", "trouble": "dark"},
        link("link-loss", "qingdao-1", "guiyang-1"),
        link("link-delay", "qingdao-1", "guiyang-1"),
        link("link-unreachable", "qingdao-1", "jinan-1"),
    ]
    held_back(
        real,
        alerts,
        {"link-delay qingdao-1>guiyang-1@backbone", "link-unreachable qingdao-1>jinan-1@backbone"},
    )


def test_a_place_of_several_teams_goes_to_each_and_what_is_of_no_known_team_to_the_home_team(
    tmp_path: Path,
) -> None:
    config = yaml.safe_load(alertmanager_file(load_rules(), ("core", "edge", "lab")))
    place = {"rule": "common-cause", "severity": "page", "place": "jinan guiyang"}
    alerts = [
        {**place, "about": "both", "team": "core", "teams": "core,edge"},
        {**place, "about": "one", "team": "edge"},
        {**place, "about": "none", "team": "network"},
        {**place, "about": "ticket", "team": "network", "severity": "ticket"},
    ]
    with alertmanager(tmp_path / "am", "http://127.0.0.1:9/", **config) as real:
        body = [{"labels": labels} for labels in alerts]
        httpx.post(f"{real.url}/api/v2/alerts", json=body, trust_env=False).raise_for_status()
        eventually(lambda: len(real.alerts()) == len(alerts))
        told = {about: {to["name"] for to in each["receivers"]} for about, each in real.alerts().items()}
    assert told == {
        "both": {"linkgauge-page-core", "linkgauge-page-edge"},
        "one": {"linkgauge-page-edge"},
        "none": {"linkgauge-page-core"},
        "ticket": {"linkgauge-ticket-core"},
    }


def test_a_place_that_alters_packets_holds_back_the_tickets_of_just_that(real: AlertmanagerProcess) -> None:
    place = {"severity": "ticket", "kind": "node", "place": "guiyang-1", "network": "backbone"}
    alerts = [
        {**place, "rule": "common-mtu", "direction": "both", "about": "mtu"},
        {**place, "rule": "common-remark", "direction": "in", "about": "dscp"},
        link("mtu-shrunk", "guiyang-1", "jinan-1"),
        link("mtu-shrunk", "qingdao-1", "jinan-1"),
        link("dscp-remarked", "jinan-1", "guiyang-1"),
        link("dscp-remarked", "guiyang-1", "jinan-1"),
        link("link-delay", "jinan-1", "guiyang-1"),
    ]
    held_back(
        real,
        alerts,
        {"mtu-shrunk guiyang-1>jinan-1@backbone", "dscp-remarked jinan-1>guiyang-1@backbone"},
    )
