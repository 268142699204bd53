"""The files of Grafana's alerting provisioning and of Alertmanager, and those that are committed.

File provisioning replaces variables of the environment: a `$` that is none is written twice, but for
annotations and queries, which Grafana takes as they are. Policies of a file are all policies there are:
whoever has others publishes over the API (`linkgauge publish`), where ours are one route among them.

`python -m alerts.grafana.files` rewrites the committed files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alerts.grafana.alertmanager import Places, alertmanager_file, places_of
from alerts.grafana.muted import muted_of
from alerts.grafana.plain_yaml import plain_yaml
from alerts.grafana.policies import Contacts, route, timings
from alerts.grafana.rules import FOLDER, GrafanaRules, Times
from alerts.grafana.teams import Teams, teams_of
from alerts.grafana.things import things_of
from alerts.grafana.work import Work
from alerts.rule import Rule, load_rules
from linkgauge.inventory import Inventory

RENDERED = Path(__file__).parents[1] / "rendered"
"""The committed files; a test fails when one is stale."""
RULES_FILE, CONTACTS_FILE, ALERTMANAGER_FILE = (
    "linkgauge-rules.yaml",
    "linkgauge-contacts.yaml",
    "alertmanager.yml",
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alerting:
    """Everything of alerts for Grafana and Alertmanager, from rules, contacts and the inventory."""

    rules: Sequence[Rule]
    contacts: Contacts
    times: Times = field(default_factory=Times)
    teams: Teams = field(default_factory=Teams)
    work: Work = field(default_factory=Work)
    places: Places = field(default_factory=Places)

    @property
    def groups(self) -> dict[str, list[Json]]:
        """Rules by group, as the API has them."""
        return GrafanaRules(self.times, self.teams).groups(self.rules)

    @property
    def route(self) -> Json:
        """Our policies, as the API has them."""
        return route(self.contacts, self.work)

    @property
    def timings(self) -> list[Json]:
        """The mute timings that the policies name, as the API and files have them."""
        return timings(self.contacts, self.work)

    def files(self) -> dict[str, str]:
        """Name and text of each file."""
        return {
            RULES_FILE: rules_file(self),
            CONTACTS_FILE: contacts_file(self),
            ALERTMANAGER_FILE: alertmanager_file(self.rules, self.contacts.teams, self.places),
        }


def alerting_of(
    rules: Sequence[Rule], contacts: Contacts, times: Times, inventory: Inventory | None, now_ns: int
) -> Alerting:
    """With teams, announced work and places of the inventory, when there is one."""
    if inventory is None:
        return Alerting(rules, contacts, times)
    teams = teams_of(inventory)
    mine = replace(contacts, teams=teams.names)
    work = Work(muted_of(inventory, now_ns), things_of(inventory, teams), rules)
    return Alerting(rules, mine, times, teams, work, places_of(inventory))


def rules_file(alerting: Alerting) -> str:
    """provisioning/alerting: every group of rules."""
    groups = [
        {
            "orgId": 1,
            "name": name,
            "folder": FOLDER,
            "interval": f"{alerting.times.every_s}s",
            "rules": [_in_file(rule) for rule in rules],
        }
        for name, rules in alerting.groups.items()
    ]
    return plain_yaml({"apiVersion": 1, "groups": groups})


def contacts_file(alerting: Alerting) -> str:
    """provisioning/alerting: contact points, the whole tree of policies, mute timings."""
    points: dict[str, list[Json]] = {}
    for point in alerting.contacts.points:
        kept = ("uid", "type", "settings", "disableResolveMessage")
        points.setdefault(point["name"], []).append({key: point[key] for key in kept})
    ours = alerting.route
    root = {"orgId": 1, "receiver": ours["receiver"], "group_by": ours["group_by"], "routes": [ours]}
    file: Json = {
        "apiVersion": 1,
        "contactPoints": [
            {"orgId": 1, "name": name, "receivers": receivers} for name, receivers in points.items()
        ],
        "policies": [root],
    }
    if alerting.timings:
        file["muteTimes"] = [{"orgId": 1, **each} for each in alerting.timings]
    return plain_yaml(file)


def write(folder: Path, alerting: Alerting) -> list[Path]:
    """All of it into one folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in alerting.files().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def committed() -> Alerting:
    """What the committed files say: the program's own rules, no inventory."""
    return Alerting(load_rules(), Contacts({}))


def _in_file(rule: Json) -> Json:
    kept = {key: value for key, value in rule.items() if key not in ("orgID", "folderUID", "ruleGroup")}
    labels = {name: _literal(value) for name, value in rule["labels"].items()}
    return {**kept, "title": _literal(rule["title"]), "labels": labels}


def _literal(text: str) -> str:
    """Text in which file provisioning finds no variable of the environment."""
    return text.replace("$", "$$")


if __name__ == "__main__":
    for written in write(RENDERED, committed()):
        print(written)
