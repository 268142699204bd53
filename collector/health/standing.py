"""How the collector stands: what /v1/status, /healthz, /metrics and COLLECTOR rows tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from collector.health.agent_drops import AgentDrops
from collector.health.metrics import Metrics
from collector.health.one_cause import told_once
from collector.http.server_tls import ServerTls
from collector.http.tokens import Tokens
from collector.intake import Intake
from collector.journal.journal import Journal
from collector.live.judging import JudgingLoop
from collector.plans.plan_book import PlanBook
from collector.refusals import Refused
from collector.rollup.maker import Maker
from collector.settings import Settings
from linkgauge.clock import NS_PER_S, Clock

_DAY_S = 86_400


class Feeding(Protocol):
    """A sink's pump, as far as it is asked how it stands."""

    @property
    def name(self) -> str: ...

    @property
    def alive(self) -> bool: ...

    @property
    def trouble(self) -> str | None: ...


class Kept(Protocol):
    """The archive, as far as it is asked how it stands: last hash of its manifest, trouble with upkeep."""

    @property
    def head(self) -> str: ...

    @property
    def upkeep_trouble(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """See above; `watch` once. tls: None without TLS. archive: None where there is none.

    series: series that the inventory leads to in InfluxDB. on_duty: whether this collector's verdicts count.
    dropped_before: batches that the journal had dropped when this process began. store_warnings: sentences.
    began_mono_ns: when this process began, by `clock`. refused: whom it refused lately.
    receivers: how each receiver of alerts stands.
    """

    settings: Settings
    book: PlanBook
    tokens: Tokens
    journal: Journal
    intake: Intake
    metrics: Metrics
    pumps: tuple[Feeding, ...]
    judging: JudgingLoop
    rollups: Maker
    clock: Clock
    drops: AgentDrops
    tls: ServerTls | None = None
    archive: Kept | None = None
    series: Callable[[], int] = int
    on_duty: Callable[[], bool] = lambda: True
    dropped_before: int = 0
    store_warnings: Callable[[], list[str]] = list
    began_mono_ns: int = 0
    refused: Callable[[], list[Refused]] = list
    receivers: Callable[[], list[dict[str, Any]]] = list

    def status(self) -> dict[str, Any]:
        """The JSON of /v1/status. Raises StoreError."""
        journal, due = self.journal, self.rollups.due
        now = self.clock.now()
        now_ns = now.wall_ns
        return {
            "name": self.settings.name,
            "up_s": (now.mono_ns - self.began_mono_ns) / NS_PER_S,
            "on_duty": self.on_duty(),
            "journal": {
                "identity": journal.identity,
                "octets": journal.octets,
                "dropped": journal.dropped,
                "dropped_lately": journal.dropped - self.dropped_before,
                "drops": journal.drops,
                "damaged": journal.damaged,
                "fault": self.intake.fault,
            },
            "sinks": {pump.name: self._sink(pump, now_ns) for pump in self.pumps},
            "rollups": {
                "due": due.slots,
                "oldest_s": 0.0 if due.since_ns is None else max(0, now_ns - due.since_ns) / NS_PER_S,
                "trouble": self.rollups.trouble,
                "alive": self.rollups.alive,
            },
            "inventory": {
                "links": len(self.book.specs()),
                "nodes": len(self.book.inventory().nodes),
                "fault": self.book.fault,
                "takes_over_in_s": self.book.takes_over_in_s(),
            },
            "tokens": {"fault": self.tokens.fault},
            "certificate": self._certificate(now_ns),
            "archive": {"head": self._head(), "trouble": self._upkeep_trouble()},
            "store": {"warnings": self.store_warnings()},
            "receivers": self.receivers(),
            "agents": {"dropped": self.drops.since_start()},
            "refused": self._refused(),
            "counters": self.metrics.values(),
        }

    def fault(self) -> str | None:
        """Why the collector does not work as it should; None when it does."""
        if self.intake.fault:
            return self.intake.fault
        threads = (self.judging.alive, self.rollups.alive, *(pump.alive for pump in self.pumps))
        dead = threads.count(False)
        if dead:
            return f"{dead} of the collector's threads do not run; restart it"
        return self.judging.fault()

    def sinks(self) -> dict[str, dict[str, float | int]]:
        """The fields of each sink's SINK row. Raises StoreError."""
        now_ns = self.clock.now().wall_ns
        found = {pump.name: (pump, *self._backlog(pump, now_ns)) for pump in self.pumps}
        return told_once(
            {
                name: {
                    "backlog_batches": batches,
                    "lag_s": lag_s,
                    "held_ratio": float(pump.trouble is not None),
                }
                for name, (pump, batches, lag_s) in found.items()
            }
        )

    def health(self) -> dict[str, float | int | str]:
        """The fields of a COLLECTOR row. Raises StoreError."""
        values, now_ns = self.metrics.values(), self.clock.now().wall_ns
        sinks = {pump.name: self._backlog(pump, now_ns) for pump in self.pumps}
        influx = [found for name, found in sinks.items() if name.startswith("influxdb")]
        archive = sinks.get("archive", (0, math.nan))

        def total(name: str) -> int:
            return int(sum(v for key, v in values.items() if key.partition(":")[0] == f"{name}_total"))

        return {
            **{name: total(name) for name in _TOTALS},
            "dead_letters": int(values.get("dead_letters:kept", 0)),
            "journal_batches": max((batches for batches, _ in sinks.values()), default=0),
            "journal_octets": self.journal.octets,
            "journal_dropped": self.journal.dropped,
            "archive_batches": archive[0],
            "archive_lag_s": archive[1],
            "influx_batches": max((batches for batches, _ in influx), default=0),
            "influx_lag_s": max((lag_s for _, lag_s in influx), default=math.nan),
            "rollup_slots": self.rollups.due.slots,
            "series": self.series(),
            "archive_head": self._head(),
        }

    def watch(self) -> None:
        """Add what others count to the metrics."""
        watch, one = self.metrics.watch, self.metrics.watch_one
        one("journal_bytes", "Size of the bodies in the journal.", lambda: self.journal.octets)
        watch("journal_dropped_total", "Batches lost to a bound of the journal.", "bound", self._dropped)
        one("journal_damaged_total", "Times the journal was moved aside.", lambda: self.journal.damaged)
        watch("sink_backlog_batches", "Batches that a sink has not taken.", "sink", self._backlogs)
        watch("sink_lag_seconds", "Age of the oldest batch that a sink has not taken.", "sink", self._lags)
        watch("sink_troubled", "1: the sink takes nothing just now.", "sink", self._troubled)
        one("archive_upkeep_troubled", "1: small files of the archive stay.", self._upkeep_troubled)
        one("rollup_slots_due", "Roll-ups that are due and not made.", lambda: self.rollups.due.slots)
        one("rollups_made_total", "Roll-ups made.", lambda: self.rollups.made)
        watch("file_failures_total", "Versions of a file of ours that were refused.", "file", self._failures)
        one("links", "Links of the inventory.", lambda: len(self.book.specs()))
        one("nodes", "Nodes of the inventory.", lambda: len(self.book.inventory().nodes))
        one("series", "Series that the inventory leads to in InfluxDB's raw database.", self.series)
        one("on_duty", "1: this collector's verdicts are journalled and alerted.", lambda: self.on_duty())
        one("certificate_expiry_seconds", "Time until the certificate expires.", self._expiry_s)

    def _refused(self) -> list[dict[str, Any]]:
        """Who was refused lately; of an address the node whose it is, when it is one's."""
        nodes = self.book.inventory().nodes.values()
        owner = {address: node.name for node in nodes for address in node.addresses.values()}
        return [{**asdict(each), "node": owner.get(each.who)} for each in self.refused()]

    def _head(self) -> str:
        return self.archive.head if self.archive else ""

    def _upkeep_trouble(self) -> str | None:
        return self.archive.upkeep_trouble if self.archive else None

    def _upkeep_troubled(self) -> float:
        return float(self._upkeep_trouble() is not None)

    def _sink(self, pump: Feeding, now_ns: int) -> dict[str, Any]:
        batches, lag_s = self._backlog(pump, now_ns)
        return {"backlog_batches": batches, "lag_s": lag_s, "trouble": pump.trouble, "alive": pump.alive}

    def _backlog(self, pump: Feeding, now_ns: int) -> tuple[int, float]:
        """Batches that a sink lacks, and the age of the oldest, 0 when there is none."""
        batches, oldest_ns = self.journal.backlog(pump.name)
        return batches, 0.0 if oldest_ns is None else max(0, now_ns - oldest_ns) / NS_PER_S

    def _certificate(self, now_ns: int) -> dict[str, Any]:
        if self.tls is None:
            return {"days_left": None, "fault": None}
        return {"days_left": self.tls.days_left(now_ns), "fault": self.tls.fault}

    def _expiry_s(self) -> float | None:
        return self.tls.days_left(self.clock.now().wall_ns) * _DAY_S if self.tls else None

    def _dropped(self) -> list[tuple[str, float]]:
        return [(bound, float(count)) for bound, count in self.journal.drops.items()]

    def _backlogs(self) -> list[tuple[str, float]]:
        return [(pump.name, self.journal.backlog(pump.name)[0]) for pump in self.pumps]

    def _lags(self) -> list[tuple[str, float]]:
        now_ns = self.clock.now().wall_ns
        return [(pump.name, self._backlog(pump, now_ns)[1]) for pump in self.pumps]

    def _troubled(self) -> list[tuple[str, float]]:
        return [(pump.name, float(pump.trouble is not None)) for pump in self.pumps]

    def _failures(self) -> list[tuple[str, float]]:
        found = [("inventory", float(self.book.failures)), ("tokens", float(self.tokens.failures))]
        return found + ([("certificate", float(self.tls.failures))] if self.tls else [])


_TOTALS = (
    "batches_accepted", "batches_duplicate", "batches_refused", "rows_accepted", "rows_left_out",
    "rows_rejected", "faults",
)  # fmt: skip
"""Counters of the metrics that are fields of COLLECTOR under the same name."""
