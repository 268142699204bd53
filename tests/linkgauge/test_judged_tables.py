"""Bounds that programs and boards share with the rules are the rules' own."""

from __future__ import annotations

from alerts.rule import load_rules
from dashboards import link, system
from linkgauge.judged_tables import DOWN_S, SILENT_S


def test_shared_bounds_are_those_of_the_rules() -> None:
    bounds = {rule.name: rule.bound for rule in load_rules()}
    assert bounds["link-unreachable"] == DOWN_S
    assert bounds["agent-silent"] == SILENT_S
    assert bounds["plan-stale"] == system.PLAN_OLD_S
    assert bounds["agent-backlog"] == system.WAITING_S
    assert bounds["certificate-expiring"] == link.EXPIRING_S
