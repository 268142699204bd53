"""Ordering a live drill: the file that the agent reads, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.drill.live import order, place, span_s
from console.single import only_one
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.errors import ConfigError
from linkgauge.plan import PlanLink
from probes.engine.drill_order import read_order
from probes.plan_cache import PlanCache
from tests.probes import plans


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text("node: b\ncollectors: ['http://127.0.0.1:1']\ndata_dir: data\n")
    plan = plans.plan("b", [PlanLink("b>a@net", "10.0.0.2", "10.0.0.1")])
    PlanCache(tmp_path / "data" / "plan.json", "b", SystemClock()).store(plan)
    return path


def test_an_order_names_the_address_that_the_link_comes_from(config: Path) -> None:
    before_ns = SystemClock().now().wall_ns
    wanted = order(config, "loss", "a>b@net", 30, 0.3)
    after_ns = SystemClock().now().wall_ns
    assert wanted.sentence().startswith("loss (a ratio of 0.3) on what 10.0.0.1 sends")
    with pytest.raises(ConfigError, match="no agent works there"):
        place(config, wanted)
    with only_one(config.parent / "data", "agent", ""):
        path = place(config, wanted)
    read = read_order(path)
    assert read is not None
    assert (read.peer, read.fault, read.size, read.link) == ("10.0.0.1", "loss", 0.3, "a>b@net")
    span_ns = 40 * NS_PER_S  # a window more, to be announced in
    assert before_ns + span_ns <= read.until_ns <= after_ns + span_ns


def test_what_cannot_be_ordered_is_a_sentence(config: Path, tmp_path: Path) -> None:
    for fault, link, words in (
        ("mtu-cut", "a>b@net", "cannot be played on live links"),
        ("loss", "b>a@net", "its far end is a, and this is b"),
        ("loss", "c>b@net", "has no link b>c@net"),
    ):
        with pytest.raises(ConfigError, match=words):
            order(config, fault, link, 30, None)
    with pytest.raises(ConfigError, match="--magnitude 3: give a ratio of 0 to 1"):
        order(config, "loss", "a>b@net", 30, 3.0)
    with pytest.raises(ConfigError, match="up to 1h"):
        span_s("2h")
    assert (span_s("90s"), span_s("2m")) == (90, 120)
    (tmp_path / "data" / "plan.json").unlink()
    with pytest.raises(ConfigError, match="let the agent of b run first"):
        order(config, "loss", "a>b@net", 30, None)
