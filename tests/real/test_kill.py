"""kill -9 in mid-run, of the agent and of the collector: nothing is lost, nothing is doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.influxd import Influxd
from tests.real.rig import NODES, Rig

LINKS = 12


@pytest.mark.influx
def test_killed_agent_and_collector_lose_and_double_nothing(tmp_path: Path, influxd: Influxd) -> None:
    with Rig(tmp_path, influxd.url) as rig:
        rig.start_all()
        rig.wait(lambda: rig.accepted() == LINKS, "all links to be measured")
        rig.kill(rig.agents["jinan-1"])
        rig.start_agent("jinan-1")
        rig.wait_for_batches(["jinan-1"])
        assert rig.collector is not None
        rig.kill(rig.collector)
        rig.wait_for_batches()  # agents keep measuring into their outboxes
        rig.start_collector()
        rig.wait_until_taken()
        rig.wait(lambda: rig.accepted() == LINKS, "all links to be measured again")
        kept = rig.finish()
        for node in NODES:
            assert rig.log(node).count("collector unreachable") <= 2, (
                "it says so once for upload, once for plan"
            )
    assert kept.windows_produced > 3 * LINKS
    assert (kept.missing, kept.duplicates) == (0, 0)
    assert kept.windows_in_archive == kept.windows_produced == kept.points_in_influxdb


def test_an_agent_that_starts_without_its_collector_measures_by_the_plan_it_kept(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.start_all()
        rig.wait(lambda: rig.accepted() == LINKS, "all links to be measured")
        assert rig.collector is not None
        rig.kill(rig.agents["jinan-1"])
        rig.kill(rig.collector)
        rig.start_agent("jinan-1")
        rig.wait(lambda: "measures by the plan kept on disk" in rig.log("jinan-1"), "the kept plan")
        rig.wait_for_batches(["jinan-1"])
        rig.start_collector()
        rig.wait_until_taken()
        rig.wait(lambda: rig.accepted() == LINKS, "all links to be measured again")
        kept = rig.finish()
    assert (kept.missing, kept.duplicates) == (0, 0)


def test_a_wrong_token_keeps_everything_and_says_so_once(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        token = rig.folder / "jinan-1" / "token"
        good = token.read_text()
        token.write_text("wrong-token\n")
        rig.start_all()
        rig.wait(
            lambda: "refuses this agent (401" in rig.log("jinan-1") or "401" in rig.log("jinan-1"),
            "the refusal",
        )
        assert "wrong-token" not in rig.log("jinan-1") + rig.log("collector")
        rig.kill(rig.agents["jinan-1"])
        token.write_text(good)
        rig.start_agent("jinan-1")
        rig.wait(lambda: rig.accepted() == LINKS, "all links to be measured")
        kept = rig.finish()
    assert (kept.missing, kept.duplicates) == (0, 0)
