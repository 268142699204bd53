"""Metrics: names that follow the conventions, and a page that tells the meaning of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.health.metrics import LEFT_OUT, REASONS, TURNED_AWAY, WINDOWS, Metrics
from linkgauge.errors import StoreError
from linkgauge.own_tables import HEALTH
from tests.collector.running import Running, report

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a collector with one agent's report exposes."""
    with Running(tmp_path_factory.mktemp("metrics"), "influxdb: {url: 'http://127.0.0.1:9'}\n") as running:
        assert running.post(report(1)).status_code == 200
        return running.client.get("/metrics").text


def kinds(text: str) -> dict[str, str]:
    found = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    return {name: kind for name, kind in found if not name.endswith("_created")}


def test_the_page_tells_of_every_metric_and_of_no_other(text: str) -> None:
    told = set(re.findall(r"`((?:linkgauge_(?:collector|agent)|process)_[a-z0-9_]+)(?:\{[a-z,]+\})?`", PAGE))
    assert set(kinds(text)) - told == set(), "docs/operations.md does not tell what these mean"
    assert told - set(kinds(text)) == set(), "docs/operations.md tells of metrics that nobody exposes"


def test_the_page_tells_of_labels_and_words(text: str) -> None:
    for name, labels in re.findall(r"`(linkgauge_collector_[a-z_]+)\{([a-z,]+)\}` \|", PAGE):
        samples = re.findall(rf"^{name}(?:_bucket)?\{{(.*?)\}}", text, re.MULTILINE)
        for sample in samples:
            assert set(re.findall(r"(\w+)=", sample)) - {"le"} == set(labels.split(",")), name
    for word in (*REASONS, *LEFT_OUT, *WINDOWS, *TURNED_AWAY):
        assert f"`{word}`" in PAGE, f"docs/operations.md does not tell what {word} means"


def test_the_page_has_the_words_of_the_schema() -> None:
    for field in HEALTH.fields:
        assert f"| `linkgauge_agent_{field.name}` | {field.help} |" in PAGE


def test_names_follow_the_conventions(text: str) -> None:
    for name, kind in kinds(text).items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        if name.startswith("linkgauge_collector_"):
            assert (kind == "counter") == name.endswith("_total"), name
            assert not name.endswith(("_s", "_ms", "_octets", "_ns")), f"{name} lacks a unit of Prometheus"


def test_a_store_that_cannot_be_read_leaves_the_others_exposed() -> None:
    metrics = Metrics()

    def broken() -> float:
        raise StoreError("the journal cannot be read")

    metrics.watch_one("journal_bytes", "Size.", broken)
    metrics.watch_one("absent", "Nothing to tell.", lambda: None)
    metrics.watch("slots_total", "Made.", "length", lambda: [("5m", 3.0)])
    text = metrics.exposition().decode()
    assert "\nlinkgauge_collector_journal_bytes " not in text
    assert "\nlinkgauge_collector_absent " not in text
    assert 'linkgauge_collector_slots_total{length="5m"} 3.0' in text
    assert metrics.values()["slots_total:5m"] == 3.0
