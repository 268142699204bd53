"""`linkgauge check-config`: each kind of file is known by its keys; faults are whole sentences, exit 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.http.tokens import issue
from console.check_config import check
from console.main import app
from console.token import write_secret

INVENTORY = """
version: 1
sites: [{name: s, region: r, operator: o}]
networks: [{name: n, kind: backbone}]
nodes:
  - {name: a, site: s, addresses: {n: 10.0.0.1}}
  - {name: b, site: s, addresses: {n: 10.0.0.2}}
"""
AGENT = "node: a\ncollectors: ['http://127.0.0.1:8440']\ntoken_file: token\ndata_dir: data\n"
COLLECTOR = "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "agent.yaml").write_text(AGENT)
    (tmp_path / "collector.yaml").write_text(COLLECTOR)
    write_secret(tmp_path / "token", issue(tmp_path / "tokens.yaml", "a"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inventory.yaml", "inventory with 1 sites, 2 nodes, 1 networks, 2 links"),
        ("agent.yaml", "settings of agent a, reports to http://127.0.0.1:8440"),
        ("collector.yaml", "settings of collector collector at 127.0.0.1:8440, inventory with 1 sites"),
    ],
)
def test_good_files(folder: Path, name: str, said: str) -> None:
    result = CliRunner().invoke(app, ["check-config", str(folder / name)])
    assert result.exit_code == 0
    assert said in result.output


def test_all_faults_of_all_files(folder: Path) -> None:
    (folder / "inventory.yaml").write_text(INVENTORY.replace("name: b", "name: a") + "colour: red\n")
    (folder / "token").chmod(0o644)
    names = [str(folder / "inventory.yaml"), str(folder / "agent.yaml")]
    result = CliRunner().invoke(app, ["check-config", "--json", *names])
    assert result.exit_code == 1
    first, second = json.loads(result.output)["files"]
    assert any("colour: there is no such key" in fault for fault in first["faults"])
    assert any("others can read this token file; run `chmod 600" in fault for fault in second["faults"])


def test_a_missing_file_is_a_fault(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check-config", str(folder / "nothing.yaml")])
    assert result.exit_code == 1
    assert "there is no such file" in result.output


def faults(folder: Path, name: str) -> list[str]:
    return check(folder / name).faults


def test_every_file_that_an_agent_names_is_read(folder: Path) -> None:
    (folder / "token").unlink()
    (folder / "keys.yaml").write_text("10.0.0.2: short\n")
    (folder / "keys.yaml").chmod(0o600)
    (folder / "ca.pem").write_text("no certificate")
    (folder / "data").write_text("no folder")
    (folder / "agent.yaml").write_text(AGENT + "keys_file: keys.yaml\nca_file: ca.pem\n")
    token, keys, trust, data = faults(folder, "agent.yaml")
    assert "token: there is no such token file" in token
    assert "keys.yaml: line 1: the key of 10.0.0.2 is not of 64 hex digits" in keys
    assert "ca.pem: the certificates to trust cannot be read" in trust
    assert f"data_dir: {folder / 'data'} cannot be made or written" in data


def test_keys_are_counted_not_shown(folder: Path) -> None:
    key = "ab" * 32
    (folder / "keys.yaml").write_text(f"10.0.0.2: {key}\n")
    (folder / "keys.yaml").chmod(0o600)
    (folder / "agent.yaml").write_text(AGENT + "keys_file: keys.yaml\n")
    told = check(folder / "agent.yaml")
    assert told.faults == []
    assert told.summary.endswith(", 1 HMAC keys")
    (folder / "keys.yaml").chmod(0o644)
    assert faults(folder, "agent.yaml") == [
        f"{folder}/keys.yaml: others can reach this keys file; run `chmod 600 {folder}/keys.yaml`"
    ]


def test_a_port_bound_at_no_address_is_a_fault(folder: Path) -> None:
    (folder / "agent.yaml").write_text(AGENT + "bind_ports: {10.0.0: 900}\n")
    assert "bind_ports" in faults(folder, "agent.yaml")[0]
    assert "must be an IPv4 or IPv6 address" in faults(folder, "agent.yaml")[0]


def test_every_file_that_a_collector_names_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINKGAUGE_INFLUXDB_PASSWORD", "LINKGAUGE_WEBHOOK_PAGER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (folder / "inventory.yaml").write_text(INVENTORY + "colour: red\n")
    (folder / "tokens.yaml").unlink()
    (folder / "password").write_text("very-secret")
    (folder / "password").chmod(0o640)
    (folder / "certificate.pem").write_text("no certificate")
    (folder / "collector.yaml").write_text(
        COLLECTOR
        + "tls: {certificate: certificate.pem, key: certificate.pem}\n"
        + "influxdb: {url: 'http://127.0.0.1:8086', user: u, password_file: password}\n"
        + "webhooks: [{name: pager, url: 'http://127.0.0.1:9/', token_file: nowhere}]\n"
        + "receivers: [{name: group, kind: feishu, ca_file: certificate.pem}]\n"
    )
    told = faults(folder, "collector.yaml")
    assert len(told) == 7
    assert "colour: there is no such key" in told[0]
    assert "tokens.yaml: there is no such file" in told[1]
    assert "cannot be used as certificate and key" in told[2]
    assert "password: others than its owner can reach this secret; run: chmod 600" in told[3]
    assert "nowhere: there is no such file" in told[4]
    assert "receiver group: has no token; name token_file or set LINKGAUGE_RECEIVER_GROUP_TOKEN" in told[5]
    assert "certificate.pem: the certificates to trust cannot be read" in told[6]
    assert not any("very-secret" in fault for fault in told)


def test_one_run_tells_the_faults_of_all_stages_with_their_lines(folder: Path) -> None:
    text = INVENTORY.replace("site: s, addresses: {n: 10.0.0.2}", "site: t, addresses: {n: 10.0.0.1}")
    (folder / "inventory.yaml").write_text(text + "period_s: soon\nlinks: [{link: a>c@n, tier: 5}]\n")
    (folder / "tokens.yaml").chmod(0o644)
    (folder / "collector.yaml").write_text(
        COLLECTOR + "colour: red\n"
        "influxdb: {url: 'http://127.0.0.1:8086', password_file: nowhere}\n"
        "receivers:\n"
        "  - {name: group, kind: telegram}\n"
        "  - {name: group, kind: feishu, token_file: nothing, severities: [all]}\n"
    )
    (folder / "token").unlink()
    (folder / "agent.yaml").write_text(AGENT.replace("node: a", "node: x") + "plan_refresh_s: 0\n")
    result = CliRunner().invoke(
        app, ["check-config", *(str(folder / f"{kind}.yaml") for kind in ("inventory", "collector", "agent"))]
    )
    told = [line.removeprefix(f"{folder}/") for line in result.output.splitlines()]
    beginnings = [
        "inventory.yaml: line 8: period_s: input should be a valid integer",
        "inventory.yaml: line 9: links[0].tier: input should be a valid string, got 5",
        "inventory.yaml: line 7: nodes[1].site: t is not among sites",
        "inventory.yaml: line 7: nodes[1].addresses.n: 10.0.0.1 is already that of node a",
        "inventory.yaml: line 9: links[0].link: there is no node c",
        "collector.yaml: line 7: receivers[0]: kind must be one of webhook,",
        "collector.yaml: line 8: receivers[1].severities[0]: input should be 'page' or 'ticket'",
        "collector.yaml: line 4: colour: there is no such key",
        "collector.yaml: line 8: receivers[1].name: webhooks and receivers must have different names",
        "tokens.yaml: others than its owner can reach this secret",
        "nowhere: there is no such file",
        "nothing: there is no such file",
        "agent.yaml: line 5: plan_refresh_s: input should be greater than or equal to 1",
        "token: there is no such token file",
        "agent.yaml: line 1: node: x is no node of",
        "15 faults in 3 of 3 files",
    ]
    assert result.exit_code == 1
    assert len(told) == len(beginnings), "\n".join(told)
    for line, beginning in zip(told, beginnings, strict=True):
        assert line.startswith(beginning)
    assert "unread" not in result.output


def test_a_file_is_known_by_most_of_its_keys(folder: Path) -> None:
    (folder / "agent.yaml").write_text(AGENT.replace("node: a\n", ""))
    told = check(folder / "agent.yaml")
    assert told.kind == "agent"
    assert told.faults == [f"{folder}/agent.yaml: node: this key is missing; add it"]


def test_teams_that_nobody_is_called_for_are_noted(folder: Path) -> None:
    (folder / "inventory.yaml").write_text(INVENTORY.replace("operator: o", "operator: o, team: core"))
    hook = "kind: webhook, url: 'http://127.0.0.1:9/'"
    (folder / "collector.yaml").write_text(
        COLLECTOR + f"receivers: [{{name: a, {hook}, teams: [cores, network]}}, "
        f"{{name: b, {hook}, teams: [core], severities: [page]}}]\n"
    )
    told = check(folder / "collector.yaml")
    assert told.faults == []
    stranger, unheard = told.notes
    assert "receivers[0].teams[0]: no site or network of the inventory has team cores" in stranger
    assert "receivers: nobody is told of tickets of team core; add" in unheard


def test_a_fault_of_a_file_that_another_names_is_told_once(folder: Path) -> None:
    (folder / "inventory.yaml").write_text(INVENTORY + "colour: red\n")
    names = [str(folder / "inventory.yaml"), str(folder / "collector.yaml")]
    result = CliRunner().invoke(app, ["check-config", *names])
    assert result.output.splitlines() == [
        f"{folder}/inventory.yaml: line 8: colour: there is no such key; remove it or correct its name",
        "1 fault in 2 of 2 files",
    ]
