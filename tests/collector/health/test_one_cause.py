"""Sinks of one server: one is told of while several are in trouble, and the rules look at just that."""

from __future__ import annotations

import pytest

from alerts.rule import load_rules
from collector.health.one_cause import Fields, told_once
from linkgauge.judged_tables import BEHIND_S

SINKS = ("archive", "rollup", "influxdb", "influxdb-5m", "influxdb-1h", "peer")


def rows(held: tuple[str, ...] = (), behind: tuple[str, ...] = ()) -> dict[str, Fields]:
    return {
        name: {"held_ratio": float(name in held), "lag_s": 400.0 if name in behind else 2.0} for name in SINKS
    }


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ((), []),
        (("influxdb", "influxdb-5m", "influxdb-1h"), ["influxdb"]),
        (("influxdb-5m", "influxdb-1h"), ["influxdb-5m"]),
        (("archive", "influxdb-1h", "peer"), ["archive", "influxdb-1h", "peer"]),
    ],
)
def test_of_the_sinks_of_a_server_the_first_that_is_held_is_told(
    held: tuple[str, ...], told: list[str]
) -> None:
    found = told_once(rows(held, held))
    assert [name for name, row in found.items() if row["stuck_ratio"]] == told
    assert [name for name, row in found.items() if row["behind_s"] > BEHIND_S] == told
    assert [name for name, row in found.items() if row["held_ratio"]] == list(held), "what is so stays"


def test_a_slow_server_is_told_once_too() -> None:
    found = told_once(rows(behind=("influxdb", "influxdb-5m")))
    assert [name for name, row in found.items() if row["behind_s"] > BEHIND_S] == ["influxdb"]
    assert found["influxdb-1h"]["behind_s"] == 0
    assert found["peer"]["behind_s"] == 2


def test_the_rules_look_at_what_is_told_once() -> None:
    rules = {rule.name: (rule.field, rule.bound) for rule in load_rules()}
    assert rules["sink-held"][0] == "stuck_ratio"
    assert rules["collector-backlog"] == ("behind_s", BEHIND_S)
