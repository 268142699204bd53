"""`linkgauge render` and `linkgauge publish` as a person runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alerts.rule import load_rules, watches
from console import publish
from console.main import app
from dashboards.boards import boards
from dashboards.publish.change import Change
from dashboards.publish.publisher import carry_out
from linkgauge.errors import ConfigError, LinkgaugeError
from tests.dashboards.publish.server import TOKEN, FakeGrafana, serving

INVENTORY = """\
version: 1
window_s: 20
sites:
  - {name: jinan, region: east, operator: first}
  - {name: guiyang, region: west, operator: second, team: west}
networks: [{name: backbone, kind: backbone}]
nodes:
  - {name: j1, site: jinan, addresses: {backbone: 127.0.0.1}}
  - {name: g1, site: guiyang, addresses: {backbone: 127.0.0.2}}
maintenance:
  - {from: "2099-01-01T00:00:00+00:00", until: "2099-01-01T06:00:00+00:00", reason: fibre, sites: [guiyang]}
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGrafana]:
    monkeypatch.setenv(publish.TOKEN, TOKEN)
    monkeypatch.setenv("LINKGAUGE_INFLUX_PASSWORD", "of-influxdb")
    with serving() as server:
        yield server


def told(command: str, *words: str) -> str:
    """Run it; its words. Raises what it raises."""
    result = CliRunner().invoke(app, [command, *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_render_writes_what_grafana_and_alertmanager_read(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    folder = tmp_path / "made"
    output = told(
        "render", str(folder), "--inventory", str(inventory), "--influx-version", "2", "--lang", "zh",
        "--page", "webhook", "--page", "email",
    )  # fmt: skip
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        *(f"dashboards/{name}.json" for name in boards("zh")),
        "provisioning/datasources/linkgauge.yaml",
        "provisioning/dashboards/linkgauge.yaml",
        "provisioning/alerting/linkgauge-rules.yaml",
        "provisioning/alerting/linkgauge-contacts.yaml",
        "alertmanager/alertmanager.yml",
    }
    for name in ("LINKGAUGE_INFLUX_TOKEN", "LINKGAUGE_PAGE_WEST_EMAIL_ADDRESSES", str(folder)):
        assert name in output
    alerting = folder / "provisioning/alerting"
    groups = yaml.safe_load((alerting / "linkgauge-rules.yaml").read_text())["groups"]
    assert {group["interval"] for group in groups} == {"20s"}
    assert sum(len(group["rules"]) for group in groups) == len(watches(load_rules())) + 1
    (mute,) = yaml.safe_load((alerting / "linkgauge-contacts.yaml").read_text())["muteTimes"]
    assert mute["name"] == "linkgauge-work-20990101-0000"
    assert json.loads((folder / "dashboards/overview.json").read_text()) == boards("zh")["overview"]
    assert 'dst="g1"' in (folder / "alertmanager/alertmanager.yml").read_text()


def test_render_lists_files_as_json(tmp_path: Path) -> None:
    files = json.loads(told("render", str(tmp_path / "made"), "--json"))["files"]
    assert all(Path(name).is_file() for name in files)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--influx-version", "4"], "--influx-version: 4 is none of 1, 2, 3"),
        (["--lang", "de"], "--lang: 'de' is none of en, zh"),
        (["--page", "fax"], "'fax' is no kind of contact point"),
        (["--database", " "], "--database: it is empty; give the name"),
    ],
)
def test_choices_that_are_none(tmp_path: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        told("render", str(tmp_path), *words)


@pytest.mark.parametrize("option", ["--influxdb", "--alertmanager"])
@pytest.mark.parametrize(
    "address", ["nonsense", "ftp://host", "http://u:secretpw@h:8086", "http://h?p=secretpw"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(
    tmp_path: Path, option: str, address: str
) -> None:
    for command in (["render", str(tmp_path / "made")], ["publish", "--grafana", "http://127.0.0.1:9"]):
        with pytest.raises(ConfigError, match=f"^{option}: ") as caught:
            told(*command, option, address)
        assert "secretpw" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file: cannot be written .*; name another folder"):
        told("render", str(tmp_path / "file"))


def test_publish_twice(fake: FakeGrafana, tmp_path: Path) -> None:
    words = ["--grafana", fake.url, "--influxdb", "http://127.0.0.1:8086"]
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    words += ["--inventory", str(inventory)]
    dry = told("publish", *words, "--dry-run")
    assert dry.endswith("changes; nothing was changed\n")
    assert fake.writes == []
    first = told("publish", *words)
    assert first.splitlines()[:-1] == dry.splitlines()[:-1]
    state = fake.state
    assert set(state.boards) == {board["uid"] for board in boards().values()}
    assert len(state.rules) == len(watches(load_rules())) + 1
    assert set(state.intervals.values()) == {20}
    assert set(state.sources) == {"linkgauge-influx", "linkgauge-influx-5m", "linkgauge-influx-1h"}
    before = len(fake.writes)
    assert told("publish", *words) == f"nothing to do: all of it stands in {fake.url} already\n"
    assert len(fake.writes) == before
    assert "of-influxdb" not in dry + first


def test_both_languages_may_stand_side_by_side(fake: FakeGrafana) -> None:
    words = ["--grafana", fake.url, "--influxdb", "http://127.0.0.1:8086", "--boards-only"]
    told("publish", *words)
    told("publish", *words, "--lang", "zh")
    assert len(fake.state.boards) == 2 * len(boards())
    assert fake.state.rules == {}


def test_contact_points_are_filled_from_the_environment(
    fake: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--grafana", fake.url, "--influxdb", "http://127.0.0.1:8086", "--page", "webhook"]
    with pytest.raises(ConfigError, match="LINKGAUGE_PAGE_WEBHOOK_URL is not set"):
        told("publish", *words)
    (tmp_path / "url").write_text("http://127.0.0.1:9/?key=very-secret\n")
    (tmp_path / "url").chmod(0o600)
    monkeypatch.setenv("LINKGAUGE_PAGE_WEBHOOK_URL_FILE", str(tmp_path / "url"))
    output = told("publish", *words)
    assert fake.state.points["linkgauge-page-webhook"]["settings"]["url"].endswith("very-secret")
    assert "very-secret" not in output


def test_variables_that_are_missing_are_told_at_once(
    fake: FakeGrafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(publish.TOKEN)
    words = ["--grafana", fake.url, "--page", "webhook", "--ticket", "email"]
    with pytest.raises(ConfigError) as caught:
        told("publish", *words)
    assert str(caught.value).startswith(
        "LINKGAUGE_GRAFANA_TOKEN, LINKGAUGE_PAGE_WEBHOOK_URL, LINKGAUGE_TICKET_EMAIL_ADDRESSES are not set"
    )


def test_a_refusal_in_the_midst_says_how_much_was_changed(
    fake: FakeGrafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(todo: list[Change]) -> None:
        fake.refuse_always = (403, '{"message": "no"}')
        carry_out(todo)

    monkeypatch.setattr(publish, "carry_out", forbidden)
    words = ["--grafana", fake.url, "--influxdb", "http://127.0.0.1:8086"]
    with pytest.raises(
        LinkgaugeError, match=r"403 .* the role Admin\. Nothing was changed; run it again then"
    ):
        told("publish", *words)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="run: chmod 600"):
        publish.token(file, {})
    file.chmod(0o600)
    assert publish.token(file, {}) == publish.token(None, {publish.TOKEN: TOKEN}) == TOKEN
    with pytest.raises(ConfigError, match="LINKGAUGE_GRAFANA_TOKEN is not set"):
        publish.token(None, {})
    with pytest.raises(ConfigError, match="there is no such file"):
        publish.token(tmp_path / "none", {})
    file.write_text("two words")
    with pytest.raises(ConfigError, match="holds no secret of one line") as caught:
        publish.token(file, {})
    assert "two words" not in str(caught.value)


def test_a_grafana_without_data_source_says_what_to_do(fake: FakeGrafana) -> None:
    with pytest.raises(LinkgaugeError, match="has no data source of uid linkgauge-influx"):
        told("publish", "--grafana", fake.url)
