"""A journal, an archive and a real InfluxDB behind a gate, stepped by the test: no thread, no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.pump import Pump, Rhythm
from linkgauge.frame import concat
from linkgauge.packing import pack
from linkgauge.schema import WINDOW
from tests.collector.world import WINDOW_NS, StillClock, body, inventory, windows
from tests.influxd import Influxd

LINKS = ("j1>j2@backbone", "j1>g1@backbone", "j1>g1@private")
Window = tuple[str, int]
"""link, start in Unix ns."""


class Stores:
    """url: where InfluxDB is, as the collector sees it. `clock` may be moved.

    elsewhere: for archive and dead letters, when not in `folder` as well.
    """

    def __init__(self, folder: Path, url: str, database: str, elsewhere: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.root, self.database, self.clock, self.metrics = (
            elsewhere or folder,
            database,
            StillClock(),
            Metrics(),
        )
        self.journal = Journal(folder / "journal.sqlite", 1 << 30, 9 * 86_400 * 10**9)
        self.dead = DeadLetters(self.root / "dead.sqlite", clock=self.clock)
        known = inventory(folder)
        tags = link_tags(lambda: known)
        archive = Archive(self.root / "archive", self.journal.identity, self.journal.cursor("archive"), tags)
        address = InfluxAddress(url, database)
        influx = InfluxSink(lambda: connect(address), LineMaker(tags, lambda: known))
        self.archive = self._pump(archive)
        self.influx = self._pump(influx)
        self.journal.register(["archive", "influxdb"])
        self.produced: set[Window] = set()
        self._number = 0

    def feed(self, start_ns: int, count: int = 1) -> None:
        """Journal one batch with `count` windows of each of LINKS, from start_ns on."""
        self._number += 1
        starts = [start_ns + at * WINDOW_NS for at in range(count)]
        rows = concat(WINDOW, [windows(list(LINKS), start) for start in starts])
        data = body("j1", self._number, rows)
        now_ns = self.clock.wall_ns
        assert self.journal.append("j1", "boot1", self._number, now_ns, now_ns, pack(data))
        self.produced |= {(link, start) for link in LINKS for start in starts}

    def settle(self, pump: Pump, most: int = 2_000) -> None:
        """Step until it has taken everything; fails when it does not within `most` steps."""
        for _ in range(most):
            if self.journal.backlog(pump.name)[0] == 0:
                return
            pump.step(flush=True)
        raise AssertionError(f"{pump.name} has not taken everything: {pump.trouble}")

    def archived(self) -> list[Window]:
        """Every row, doubles too."""
        reader = ArchiveReader(self.root / "archive")
        rows = reader.keys("window")
        reader.close()
        return [(row[3], row[6]) for row in rows]

    def points(self, server: Influxd) -> list[Window]:
        found = server.query('SELECT "sent" FROM "link_loss" GROUP BY "link"', self.database)
        return [
            (series["tags"]["link"], time_ns)
            for series in found.get("series", [])
            for time_ns, _ in series["values"]
        ]

    def close(self) -> None:
        for pump in (self.archive, self.influx):
            pump.stop(0)
        self.journal.close()

    def _pump(self, sink: Archive | InfluxSink) -> Pump:
        rhythm = Rhythm(held_s=0.01, poll_s=0.01)
        return Pump(sink, self.journal, self.dead, self.clock, self.metrics, rhythm, self.journal.trim)


def once(found: Sequence[Window], expected: set[Window]) -> None:
    """Everything expected is there once, and nothing else."""
    assert len(found) == len(set(found)), "doubles"
    assert set(found) == expected
