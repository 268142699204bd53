"""Which agents lost batches since the collector began."""

from __future__ import annotations

from collector.health.agent_drops import AgentDrops
from linkgauge.frame import Frame
from linkgauge.schema import HEALTH
from tests.collector.world import NOW_NS, WINDOW_NS, batch, windows


def told(drops: AgentDrops, agent: str, dropped: int, rejected: int = 0) -> None:
    columns = {"agent": [agent], "start_ns": [NOW_NS], "length_ns": [WINDOW_NS]}
    row = Frame.of(HEALTH, {**columns, "outbox_dropped": [dropped], "outbox_rejected": [rejected]})
    drops.observe(batch(agent, 1, row), NOW_NS)


def test_only_what_was_lost_since_is_told() -> None:
    drops = AgentDrops()
    told(drops, "a", 5)
    told(drops, "b", 0)
    drops.observe(batch("c", 1, windows(["c>d@n"])), NOW_NS)
    assert drops.since_start() == {}
    told(drops, "a", 5, 2)
    told(drops, "b", 3)
    assert drops.since_start() == {"a": 2, "b": 3}


def test_a_new_outbox_counts_from_nothing() -> None:
    drops = AgentDrops()
    told(drops, "a", 5)
    told(drops, "a", 0)
    assert drops.since_start() == {}
    told(drops, "a", 1)
    assert drops.since_start() == {"a": 1}
