"""The collector's own counters, for /metrics, /v1/status and the table `collector`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as Source

from linkgauge.errors import StoreError

REASONS = (
    "token", "scope", "unknown_agent", "inventory", "rate", "busy", "slow", "too_large", "encoding",
    "malformed", "truncated", "version", "bad_value", "wrong_agent", "wrong_table", "future", "store",
)  # fmt: skip
"""Why a batch is refused; each has its counter from the start, so absent and zero differ."""
_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
LEFT_OUT = ("unknown_link", "too_old")
TURNED_AWAY = ("busy", "ended", "handshake", "accept_failed")
WINDOWS = ("judged", "again", "missed", "failed")
"""again: once more, because rows came late."""


class Metrics:
    """Counts since the start of the process; thread safe. `registry` is this collector's alone."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._accepted = self._counter("batches_accepted", "Batches journalled.")
        self._duplicate = self._counter("batches_duplicate", "Batches that were already in the journal.")
        self._rows = self._counter("rows_accepted", "Rows journalled.")
        self._refused = self._counter("batches_refused", "Batches refused, by reason.", "reason")
        self._left_out = self._counter("rows_left_out", "Rows of accepted batches not taken.", "reason")
        self._written = self._counter("rows_written", "Rows that a sink took.", "sink")
        self._rejected = self._counter(
            "rows_rejected", "Rows that a sink refused, kept as dead letters.", "sink"
        )
        self._windows = self._counter(
            "windows", "Windows judged, judged again, missed, or failed to judge.", "outcome"
        )
        self._faults = self._counter("faults", "Unexpected faults, by the part they hit.", "part")
        self._requests = self._counter("requests", "Requests, by path and status.", "path", "status")
        self._request_s = Histogram(
            "linkgauge_collector_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("path",),
            registry=self.registry,
            buckets=_BUCKETS_S,
        )
        self._turned_away = self._counter(
            "connections_refused", "Connections not served, by reason.", "reason"
        )
        for counter, words in (
            (self._refused, REASONS), (self._left_out, LEFT_OUT), (self._windows, WINDOWS),
            (self._turned_away, TURNED_AWAY),
        ):  # fmt: skip
            for word in words:
                counter.labels(word)

    def requested(self, path: str, status: int, took_s: float) -> None:
        """A request was answered, or its client went away."""
        self._requests.labels(path, str(status)).inc()
        self._request_s.labels(path).observe(took_s)

    def turned_away(self, reason: str) -> None:
        """A connection that was not served: "busy" was answered, "ended" was not, "handshake" failed."""
        self._turned_away.labels(reason).inc()

    def accepted(self, rows: int) -> None:
        self._accepted.inc()
        self._rows.inc(rows)

    def duplicate(self) -> None:
        self._duplicate.inc()

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def left_out(self, reason: str, rows: int) -> None:
        self._left_out.labels(reason).inc(rows)

    def written(self, sink: str, rows: int) -> None:
        """A sink took so many rows for good."""
        self._written.labels(sink).inc(rows)

    def rejected(self, sink: str, rows: int) -> None:
        self._rejected.labels(sink).inc(rows)

    def windows(self, outcome: str, count: int = 1) -> None:
        self._windows.labels(outcome).inc(count)

    def fault(self, part: str) -> None:
        """Something failed in a way that nobody foresaw; the log has the traceback."""
        self._faults.labels(part).inc()

    def watch(
        self, name: str, text: str, label: str, read: Callable[[], Iterable[tuple[str, float]]]
    ) -> None:
        """Add a metric whose (label value, value) pairs are asked for at each scrape; with a name that ends
        in _total it is a counter, else a gauge. It is left out while `read` raises StoreError."""
        self.registry.register(_Asked(f"linkgauge_collector_{name}", text, (label,), read))

    def watch_one(self, name: str, text: str, read: Callable[[], float | None]) -> None:
        """The same without a label; left out while `read` gives None."""

        def one() -> list[tuple[str, float]]:
            value = read()
            return [] if value is None else [("", value)]

        self.registry.register(_Asked(f"linkgauge_collector_{name}", text, (), one))

    def total(self, name: str) -> int:
        """Sum over all labels of the counter `name`, e.g. batches_refused."""
        wanted = f"linkgauge_collector_{name}_total"
        return int(
            sum(s.value for family in self.registry.collect() for s in family.samples if s.name == wanted)
        )

    def values(self) -> dict[str, float]:
        """Every counter and gauge as one flat mapping, label value behind a colon."""
        samples = (s for family in self.registry.collect() for s in family.samples)
        return {
            ":".join([s.name.removeprefix("linkgauge_collector_"), *s.labels.values()]): s.value
            for s in samples
            if not s.name.endswith("_created")
        }

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"linkgauge_collector_{name}", text, labels, registry=self.registry)


class _Asked(Source):
    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[tuple[str, float]]],
    ) -> None:
        self._name, self._text, self._labels, self._read = name, text, labels, read

    def describe(self) -> Iterable[Metric]:
        return [self._family()]

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        with contextlib.suppress(StoreError):  # who owns the store tells it
            for word, value in self._read():
                family.add_metric([word] if self._labels else [], value)
        yield family

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        made = CounterMetricFamily if self._name.endswith("_total") else GaugeMetricFamily
        return made(self._name, self._text, labels=self._labels)
