"""What the measurement of boards makes up: and of which links."""

from __future__ import annotations

from benchmarks.boards_load import shared_fields, world
from linkgauge.schema import STATE


def test_what_boards_read_of_all_links_is_known_of_all_links() -> None:
    shared = shared_fields()
    assert {"verdict", "unanswered_s", "period_delay_us", "delay_excess_us", "maintenance"} <= shared
    assert shared < {field.name for field in STATE.fields}, "columns of the board Link alone are not"
    assert "loss_backward_upper_ratio" not in shared


def test_the_world_has_as_many_links_as_asked_for() -> None:
    inventory = world(32)
    assert len(inventory.links) == 32 * 31 + 10 * 9
    assert {spec.tier.name for spec in inventory.links.values()} == {"metro", "region", "hub"}
    assert inventory.sites["s3"].latitude_deg == 23.0
