"""How the collector stands: what /v1/status, /healthz and the gauges of /metrics tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.intake import Intake
from collector.journal import Journal
from collector.judging import JudgingLoop
from collector.metrics import Metrics
from collector.plan_book import PlanBook
from collector.settings import Settings
from collector.sinks.pump import Pump
from collector.tokens import Tokens
from linkgauge.clock import NS_PER_S, Clock


@dataclass(frozen=True, slots=True)
class Standing:
    """See above; `watch` once."""

    settings: Settings
    book: PlanBook
    tokens: Tokens
    journal: Journal
    intake: Intake
    metrics: Metrics
    pumps: tuple[Pump, ...]
    judging: JudgingLoop
    clock: Clock

    def status(self) -> dict[str, Any]:
        return {
            "name": self.settings.name,
            "journal": {
                "identity": self.journal.identity,
                "octets": self.journal.octets,
                "dropped": self.journal.dropped,
                "fault": self.intake.fault,
            },
            "sinks": {pump.name: self._sink(pump) for pump in self.pumps},
            "inventory": {"links": len(self.book.specs()), "fault": self.book.fault},
            "tokens": {"fault": self.tokens.fault},
            "counters": self.metrics.values(),
        }

    def fault(self) -> str | None:
        if self.intake.fault:
            return self.intake.fault
        dead = [alive for alive in (self.judging.alive, *(pump.alive for pump in self.pumps)) if not alive]
        return f"{len(dead)} of the collector's threads do not run; restart it" if dead else None

    def watch(self) -> None:
        watch = self.metrics.watch
        watch("journal_octets", "Size of the bodies in the journal.", "part", self._octets)
        watch("journal_dropped", "Batches lost to the journal's bound.", "part", self._dropped)
        watch("sink_backlog", "Batches that a sink has not taken.", "sink", self._backlog)
        watch("sink_troubled", "1: the sink takes nothing just now.", "sink", self._troubled)
        watch("file_failures", "Versions of a file of ours that were refused.", "file", self._failures)

    def _sink(self, pump: Pump) -> dict[str, Any]:
        batches, oldest_ns = self.journal.backlog(pump.name)
        lag_s = 0.0 if oldest_ns is None else (self.clock.now().wall_ns - oldest_ns) / NS_PER_S
        return {"backlog_batches": batches, "lag_s": lag_s, "trouble": pump.trouble, "alive": pump.alive}

    def _octets(self) -> list[tuple[str, float]]:
        return [("bodies", self.journal.octets)]

    def _dropped(self) -> list[tuple[str, float]]:
        return [("bodies", self.journal.dropped)]

    def _backlog(self) -> list[tuple[str, float]]:
        return [(pump.name, self.journal.backlog(pump.name)[0]) for pump in self.pumps]

    def _troubled(self) -> list[tuple[str, float]]:
        return [(pump.name, float(pump.trouble is not None)) for pump in self.pumps]

    def _failures(self) -> list[tuple[str, float]]:
        return [("inventory", self.book.failures), ("tokens", self.tokens.failures)]
