"""The last health that each agent reported, as metrics: linkgauge_agent_<field>{agent}.

They are as old as linkgauge_agent_report_age_seconds says, and gauges all: a count that an agent makes begins
anew with the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as Source

from linkgauge.own_tables import HEALTH

_AGE = "linkgauge_agent_report_age_seconds"


class AgentMetrics(Source):
    """agents: every node with ``agent``, ``last_seen_s`` and its last ``health`` row, None where unknown."""

    def __init__(self, agents: Callable[[], Iterable[dict[str, Any]]]) -> None:
        self._agents = agents
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(_AGE, "Time since the agent's last batch came.", labels=["agent"])
        families = {
            field.name: GaugeMetricFamily(f"linkgauge_agent_{field.name}", field.help, labels=["agent"])
            for field in HEALTH.fields
        }
        for agent in self._agents():
            name = [agent["agent"]]
            if agent["last_seen_s"] is not None:
                age.add_metric(name, agent["last_seen_s"])
            for field, value in (agent["health"] or {}).items():
                if field in families and value is not None:
                    families[field].add_metric(name, value)
        yield age
        yield from families.values()
