"""Compose file, image and Kubernetes manifest: right by schema, and every file that they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from collector.settings import Settings
from linkgauge.inventory import load as load_inventory
from probes.settings import load as load_agent

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.30"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """deploy/compose after prepare.sh, in a copy."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    for part in ("deploy/compose", "dashboards/rendered", "alerts/rendered"):
        shutil.copytree(ROOT / part, tmp_path / part)
    folder = tmp_path / "deploy/compose"
    subprocess.run(["bash", folder / "prepare.sh", "192.0.2.10"], check=True, capture_output=True)
    return folder


def _manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/agents.yaml").read_text()))


def test_every_file_that_compose_mounts_is_there(prepared: Path) -> None:
    named = set(COMPOSE["volumes"])
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in named or (prepared / source).exists(), f"{name}: {source}"
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])
        assert "mem_limit" in service
    assert all((prepared / secret["file"]).stat().st_size for secret in COMPOSE["secrets"].values())


def test_compose_has_what_was_asked(prepared: Path) -> None:
    images = {name: service["image"].split("/")[-1] for name, service in COMPOSE["services"].items()}
    assert set(images) == {"collector", "influxdb", "grafana", "alertmanager"}
    assert images["influxdb"] == "influxdb:2.7"
    build = COMPOSE["services"]["collector"]["build"]
    assert (DEPLOY / "compose" / build["context"] / build["dockerfile"]).resolve().exists()


def test_secrets_are_closed_and_nowhere_else(prepared: Path) -> None:
    token = (prepared / "secrets/influxdb-token").read_text()
    assert (prepared / "secrets").stat().st_mode & 0o777 == 0o700
    for private in ("config/influxdb-token", "config/tls/collector.key", "config/tls/ca.key"):
        assert (prepared / private).stat().st_mode & 0o077 == 0, private
    holders = [path for path in prepared.rglob("*") if path.is_file() and token in path.read_text()]
    assert {str(path.relative_to(prepared)) for path in holders} == {
        "secrets/influxdb-token", "config/influxdb-token",
    }  # fmt: skip
    before = {path: path.read_bytes() for path in (prepared / "secrets").iterdir()}
    subprocess.run(["bash", prepared / "prepare.sh", "192.0.2.10"], check=True, capture_output=True)
    assert before == {path: path.read_bytes() for path in (prepared / "secrets").iterdir()}


def test_the_collector_reads_its_settings(prepared: Path) -> None:
    settings = Settings.load(prepared / "config/collector.yaml")
    assert settings.influxdb is not None
    assert settings.influxdb.token() is not None
    assert not settings.reads_are_open
    assert load_inventory(prepared / "config/inventory.yaml").links


def test_the_certificate_is_for_the_host_that_was_named(prepared: Path) -> None:
    tls = prepared / "config/tls"
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", tls / "ca.pem", "-verify_ip", "192.0.2.10", tls / "collector.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_grafana_finds_influxdb_without_a_secret_in_its_files(prepared: Path) -> None:
    source = yaml.safe_load((prepared / "grafana/provisioning/datasources/linkgauge.yaml").read_text())
    assert len(source["datasources"]) == 3
    for entry in source["datasources"]:
        assert entry["url"] == "http://influxdb:8086"
        assert entry["secureJsonData"] == {"httpHeaderValue1": "Token $__file{/run/secrets/influxdb_token}"}


def test_the_collector_tells_alertmanager_and_grafana_only_of_a_dead_collector(prepared: Path) -> None:
    where = "http://alertmanager:9093"
    assert [
        getattr(each, "urls", None) for each in Settings.load(prepared / "config/collector.yaml").receivers
    ] == [(where,)]
    told = yaml.safe_load((prepared / "grafana/provisioning/alerting/linkgauge-contacts.yaml").read_text())
    (policy,) = told["policies"]
    (point,) = told["contactPoints"]
    assert policy["receiver"] == point["name"]
    assert [receiver["settings"] for receiver in point["receivers"]] == [{"url": where}]
    silent, others = policy["routes"]
    assert silent["object_matchers"] == [["rule", "=", "collector-silent"]]
    assert "mute_time_intervals" not in silent
    assert others["mute_time_intervals"] == [told["muteTimes"][0]["name"]]
    rules = yaml.safe_load((prepared / "grafana/provisioning/alerting/linkgauge-rules.yaml").read_text())
    assert {group["folder"] for group in rules["groups"]} == {others["object_matchers"][0][2]}
    assert "collector-silent" in {
        rule["labels"]["rule"] for group in rules["groups"] for rule in group["rules"]
    }
    assert yaml.safe_load((prepared / "config/alertmanager.yml").read_text())["route"]["routes"]
    assert list((prepared / "grafana/dashboards").glob("*.json"))


@pytest.mark.parametrize("manifest", _manifests(), ids=lambda manifest: manifest["kind"])
def test_kubernetes_would_take_it(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_key_that_kubernetes_does_not_know_would_be_seen() -> None:
    daemons = next(manifest for manifest in _manifests() if manifest["kind"] == "DaemonSet")
    daemons["spec"]["template"]["spec"]["hostNetwrok"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(daemons, KUBERNETES, strict=True)


def test_the_agent_reads_the_settings_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKGAUGE_NODE", "worker-7")
    settings = next(manifest for manifest in _manifests() if manifest["kind"] == "ConfigMap")
    (tmp_path / "agent.yaml").write_text(settings["data"]["agent.yaml"])
    assert load_agent(tmp_path / "agent.yaml").node == "worker-7"


def test_no_secret_of_one_node_lies_on_another() -> None:
    daemons = next(manifest for manifest in _manifests() if manifest["kind"] == "DaemonSet")
    assert not [each for each in daemons["spec"]["template"]["spec"]["volumes"] if "secret" in each]


def test_the_image_has_every_package() -> None:
    copied = set(
        re.findall(r"^COPY (\w+) \1$", (DEPLOY / "container/Containerfile").read_text(), re.MULTILINE)
    )
    assert copied == {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
