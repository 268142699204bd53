"""The committed files are fresh; what file provisioning would replace is written so that it does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.grafana.alertmanager import Places, alertmanager_file
from alerts.grafana.files import ALERTMANAGER_FILE, CONTACTS_FILE, RENDERED, RULES_FILE, committed, rules_file
from alerts.rule import load_rules


@pytest.mark.parametrize("name", [RULES_FILE, CONTACTS_FILE, ALERTMANAGER_FILE])
def test_the_committed_file_is_fresh(name: str) -> None:
    text = (RENDERED / name).read_text(encoding="utf-8")
    assert text == committed().files()[name], "run python -m alerts.grafana.files and commit"


def test_nothing_else_is_committed() -> None:
    assert {path.name for path in RENDERED.iterdir()} == set(committed().files())


def test_a_label_is_no_variable_of_the_environment() -> None:
    file = yaml.safe_load(rules_file(committed()))
    for rule in (rule for group in file["groups"] for rule in group["rules"]):
        taken_apart = "".join([rule["title"], *rule["labels"].values()]).replace("$$", "")
        assert "$" not in taken_apart
        assert "$$" not in rule["annotations"]["summary"], "annotations are taken as they are"
        assert "$timeFilter" in rule["data"][0]["model"]["query"]
        assert not {"orgID", "folderUID", "ruleGroup"} & set(rule)


def test_policies_of_the_file_are_a_whole_tree() -> None:
    file = yaml.safe_load(committed().files()[CONTACTS_FILE])
    (root,) = file["policies"]
    names = {point["name"] for point in file["contactPoints"]}
    assert root["receiver"] in names
    assert "object_matchers" not in root
    assert root["routes"][0]["object_matchers"] == [["grafana_folder", "=", "linkgauge alerts"]]


def checked(path: Path) -> str:
    program = shutil.which("amtool")
    if program is None:
        pytest.skip("needs amtool; install prometheus-alertmanager (deploy/prepare.sh does, as root)")
    done = subprocess.run([program, "check-config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def routed(path: Path, **labels: str) -> str:
    given = [f"{name}={value}" for name, value in labels.items()]
    done = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={path}", *given],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_alertmanager_takes_the_file_and_routes_by_drill_severity_and_team(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    places = Places(("jinan-1", "guiyang-1"), ("jinan", "guiyang"))
    path.write_text(alertmanager_file(load_rules(), ("east", "west"), places), encoding="utf-8")
    assert "5 receivers" in checked(path)
    assert routed(path, severity="page", team="east", link="a>b@n") == "linkgauge-page-east"
    assert routed(path, severity="ticket", team="west", node="a") == "linkgauge-ticket-west"
    assert routed(path, severity="page", team="east", drill="true") == "linkgauge-drill"


@pytest.mark.parametrize(("teams", "home"), [(("core", "network", "west"), "-network"), (("network",), "")])
def test_alertmanager_tells_the_home_team_by_severity_of_what_no_team_is_known_of(
    tmp_path: Path, teams: tuple[str, ...], home: str
) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_file(load_rules(), teams), encoding="utf-8")
    checked(path)
    for labels in (
        {},
        {"team": "new"},
        {"team": "new", "link": "a>b@n"},
        {"team": "new", "teams": "new,newer"},
    ):
        assert routed(path, severity="page", **labels) == f"linkgauge-page{home}"
        assert routed(path, severity="ticket", **labels) == f"linkgauge-ticket{home}"
        assert routed(path, **labels) == f"linkgauge-ticket{home}"
    if home:
        both = routed(path, severity="page", team="west", teams="core,west")
        assert both == "linkgauge-page-core,linkgauge-page-west", "and not the home team"


def test_what_the_rules_explain_is_inhibited() -> None:
    file = yaml.safe_load(alertmanager_file(load_rules(), (), Places(("n1",), ("s1",))))
    by_target = {
        rule["target_matchers"][0]: rule["source_matchers"][0]
        for rule in file["inhibit_rules"]
        if "link" in rule["equal"]
    }
    for rule in load_rules():
        if rule.explained_by and rule.table != "place":
            assert by_target[f'rule="{rule.name}"'] == f'rule=~"{"|".join(rule.explained_by)}"'
    assert any('dst="n1"' in rule["target_matchers"] for rule in file["inhibit_rules"])
    assert any('src_site="s1"' in rule["target_matchers"] for rule in file["inhibit_rules"])
    assert all('drill!="true"' in rule["target_matchers"] for rule in file["inhibit_rules"])
