"""The stores of a collector, built from its settings: the journal, and a pump for each sink."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from collector.archive.holdings import JournalBehind
from collector.archive.rules import Rules
from collector.event_line import event_line
from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.peer.peer_client import PeerClient
from collector.plans.plan_book import PlanBook
from collector.reconnect import reconnect
from collector.rollup.assembly import NOTING_S
from collector.rollup.notes import Notes
from collector.rollup.sink import RollupSink
from collector.settings import InfluxSettings, Settings
from collector.sinks.archive import NAME, Archive
from collector.sinks.dead_letters import FILE_NAME, DeadLetters
from collector.sinks.former_letters import take_in
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import Tags, link_tags
from collector.sinks.pump import Pump, Rhythm
from collector.sinks.relay import THREADS, Relay
from collector.sinks.series_watch import SeriesWatch
from linkgauge.clock import Clock, seconds
from linkgauge.errors import StoreError
from linkgauge.schema import NODE_SCORE, RAW_TABLES, SCORE, THROUGHPUT, WINDOW_1H, WINDOW_5M
from linkgauge.table import Table

log = logging.getLogger(__name__)
JOURNAL = "journal.sqlite"
"""In data_dir."""


def open_journal(settings: Settings) -> Journal:
    bounds = settings.journal
    return Journal(
        settings.data_dir / JOURNAL,
        bounds.max_mb << 20,
        seconds(bounds.keep_days * 86_400),
        body_ns=seconds(bounds.body_days * 86_400),
        keep_free_bytes=bounds.keep_free_mb << 20,
    )


def pumps_of(
    settings: Settings, book: PlanBook, journal: Journal, notes: Notes, clock: Clock, metrics: Metrics
) -> tuple[Pump, ...]:
    tags = link_tags(book.inventory)
    dead = open_dead_letters(settings, clock, metrics)
    archive = open_archive(settings, journal, tags, clock)
    rhythm = Rhythm(flush_s=settings.archive.flush_s)
    pumps = [Pump(archive, journal, dead, clock, metrics, rhythm, journal.trim)]
    noting = Rhythm(flush_s=NOTING_S)
    pumps.append(Pump(RollupSink(notes, clock), journal, dead, clock, metrics, noting, journal.trim))
    hot: list[InfluxSink] = []
    metrics.watch(
        "rows_superseded_total",
        "Rows not written because a corrected copy had come before them.",
        "sink",
        lambda: [(sink.name, sink.revisions.left_out) for sink in hot],
    )
    if settings.influxdb is not None:
        maker = LineMaker(tags, book.inventory)
        for address, name, tables in databases(settings.influxdb):
            sink = InfluxSink(partial(reconnect, settings.influxdb, address), maker, name, tables)
            hot.append(sink)
            pumps.append(Pump(sink, journal, dead, clock, metrics, Rhythm(max_batches=64), journal.trim))
    if settings.peer is not None:
        relay = Relay(PeerClient(settings.peer, connections=THREADS))
        pumps.append(Pump(relay, journal, dead, clock, metrics, Rhythm(max_batches=64), journal.trim))
    return tuple(pumps)


def open_archive(settings: Settings, journal: Journal, tags: Tags, clock: Clock) -> Archive:
    """The archive under the journal's name; a journal that is older than the archive gets another first."""
    root, rules = settings.archive_path, Rules.of(settings.archive)

    def opened() -> Archive:
        cursor = journal.cursor(NAME)
        return Archive(root, journal.identity, cursor, tags, rules, clock, journal.last)

    try:
        return opened()
    except JournalBehind:
        former = journal.identity
        journal.renew()
        log.error(event_line("journal_older_than_archive", former=former, now=journal.identity))
        return opened()


def series_watch(settings: Settings, book: PlanBook) -> SeriesWatch:
    """Watches the series of the hot store; of none where there is no InfluxDB."""
    hot = settings.influxdb
    if hot is None:
        return SeriesWatch(book.inventory, (), 1)
    names = [name for name, _ in hot.databases[: None if hot.rollups else 1]]
    return SeriesWatch(book.inventory, names, hot.max_series)


def open_dead_letters(settings: Settings, clock: Clock, metrics: Metrics) -> DeadLetters:
    """The dead letters, with those of earlier versions, and their gauges. Raises StoreError."""
    dead = DeadLetters(settings.data_dir / FILE_NAME, clock=clock)
    take_in(settings.data_dir, dead)
    metrics.watch(
        "dead_letters",
        "Dead letters: kept, marked to be taken up again, dropped unseen because there were too many.",
        "state",
        lambda: _counted(dead),
    )
    return dead


def _counted(dead: DeadLetters) -> list[tuple[str, float]]:
    try:
        counts = dead.counts()
    except StoreError:  # told by whoever writes; a scrape must not fail for it
        return []
    return [("kept", counts.kept), ("marked", counts.marked), ("dropped", counts.dropped)]


def databases(settings: InfluxSettings) -> list[tuple[InfluxAddress, str, frozenset[str]]]:
    """Each database with the name of its sink and the tables that go there. Raises ConfigError."""
    made = [
        (_address(settings, database, days), f"influxdb{ending}", _tables(tables))
        for (database, days), (ending, tables) in zip(settings.databases, _KINDS, strict=True)
    ]
    return made if settings.rollups else made[:1]


_KINDS = (
    ("", tuple(RAW_TABLES.values())),
    ("-5m", (WINDOW_5M,)),
    ("-1h", (WINDOW_1H, THROUGHPUT, SCORE, NODE_SCORE)),
)
"""Raw, 5-minute and 1-hour database: ending of the sink's name, tables."""


def _tables(tables: Iterable[Table]) -> frozenset[str]:
    """Those of which InfluxDB gets anything; the others need not be read."""
    return frozenset(table.name for table in tables if table.measurements)


def _address(settings: InfluxSettings, database: str, days: int) -> InfluxAddress:
    return InfluxAddress(
        settings.url, database, settings.user, settings.password(), settings.org, settings.token(),
        settings.ca_file, days,
    )  # fmt: skip
