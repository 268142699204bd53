"""The stores of a collector, built from its settings: the journal, and a pump for each sink."""

from __future__ import annotations

from collector.journal import Journal
from collector.metrics import Metrics
from collector.plan_book import PlanBook
from collector.settings import InfluxSettings, Settings
from collector.sinks.archive import Archive
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_transport import InfluxAddress, connect
from collector.sinks.link_tags import Tags, link_tags
from collector.sinks.pump import Pump, Rhythm
from linkgauge.clock import Clock, seconds


def open_journal(settings: Settings) -> Journal:
    return Journal(
        settings.data_dir / "journal.sqlite",
        settings.journal.max_mb * 1024 * 1024,
        seconds(settings.journal.keep_days * 86_400),
    )


def pumps_of(
    settings: Settings, book: PlanBook, journal: Journal, clock: Clock, metrics: Metrics
) -> tuple[Pump, ...]:
    tags = link_tags(book.inventory)
    dead = DeadLetters(settings.data_dir / "dead-letters.jsonl")
    archive = Archive(settings.archive_path, journal.identity, journal.cursor("archive"), tags)
    rhythm = Rhythm(flush_s=settings.archive.flush_s)
    pumps = [Pump(archive, journal, dead, clock, metrics, rhythm, journal.trim)]
    if settings.influxdb is not None:
        sink = _influx(settings.influxdb, tags)
        pumps.append(Pump(sink, journal, dead, clock, metrics, Rhythm(max_batches=64), journal.trim))
    return tuple(pumps)


def _influx(settings: InfluxSettings, tags: Tags) -> InfluxSink:
    address = InfluxAddress(
        settings.url, settings.database, settings.user, settings.password(),
        settings.org, settings.bucket, settings.token(),
    )  # fmt: skip
    return InfluxSink(lambda: connect(address), tags)
