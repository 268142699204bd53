"""The archive: every row that was ever journalled, as Hive-partitioned Parquet.

    root/<table>/date=YYYY-MM-DD/network=<name>/<journal>-<first seq>-<last seq>.parquet

The date is that of the window's start, UTC; rows of no network have network=none. Columns are those of the
table (TEXT VARCHAR, COUNT BIGINT, REAL DOUBLE with NULL for unknown, a histogram as the lists
``<name>_bucket`` INTEGER and ``<name>_count`` BIGINT), then agent, boot, number of the batch, and for tables
with links the tags of schema.LINK_TAGS. Of these `network` stands in the path only, so that every engine
reads it from there; where it is a key of the table it stands in both. A file appears whole: written beside
the tables, on disk, then renamed; a line of the manifest tells its hash (collector/archive/manifest.py).
Small files are put together later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from collector.archive import disk, parquet
from collector.archive.columns import Place, columns
from collector.archive.holdings import Holdings, JournalBehind, Staged
from collector.archive.layout import FileName
from collector.archive.rules import Rules
from collector.archive.upkeep import Upkeep
from collector.event_line import event_line
from collector.sinks.link_tags import Tags
from collector.sinks.sink import Delivery
from linkgauge.clock import Clock, SystemClock
from linkgauge.errors import SinkHeld
from linkgauge.schema import TABLES

NAME = "archive"
log = logging.getLogger(__name__)


class Archive:
    """Writes deliveries as Parquet files under `root`, named by the journal's identity and their seqs.

    At open, files of this journal beyond `cursor` are taken out: they were written, but the cursor had not
    moved when the process ended, so the same batches come again. Raises StoreError when another process is
    this writer, JournalBehind when there are others than those of one delivery, or some after `last`, the
    journal's last: it cannot bring them. SinkHeld when the disk will not. rules: how files are put together
    and how long they are kept, by a thread that the first delivery starts; None = they stay as they are.
    """

    def __init__(
        self,
        root: Path,
        identity: str,
        cursor: int,
        tags: Tags,
        rules: Rules | None = None,
        clock: Clock | None = None,
        last: int | None = None,
    ) -> None:
        self._root, self._identity, self._cursor, self._tags = root, identity, cursor, tags
        self._last = last
        self._rules, self._clock = rules, clock or SystemClock()
        self._holdings: Holdings | None = None
        self._upkeep: Upkeep | None = None
        try:
            self.opened()
        except (OSError, pa.ArrowException) as err:  # it is tried again at each delivery
            log.error(event_line("archive_unusable", root=root, error=err))

    @property
    def name(self) -> str:
        return NAME

    @property
    def tables(self) -> None:
        return None

    @property
    def head(self) -> str:
        """Hash of the last line of this writer's manifest; empty while the archive cannot be opened."""
        return self._holdings.head if self._holdings else ""

    @property
    def upkeep_trouble(self) -> str | None:
        """Why small files are not put together, or old ones not removed; None when they are."""
        return self._upkeep.trouble if self._upkeep else None

    def write(self, entries: Sequence[Delivery]) -> None:
        name = FileName(self._identity, entries[0].seq, entries[-1].seq)
        try:
            holdings = self.opened()
            self._check_space()
            staged: list[Staged] = []
            for table in dict.fromkeys(table for entry in entries for table in entry.frames):
                places = columns(TABLES[table], entries, self._tags)
                staged += self._stage(holdings, table, places, name)
            holdings.publish(staged)
        except (OSError, JournalBehind, pa.ArrowException) as err:
            words = str(err).splitlines()[0][:300]
            raise SinkHeld(
                f"{self._root}: the archive cannot be written ({words}); make room or mend it"
            ) from None
        if self._upkeep:
            self._upkeep.start()

    def close(self) -> None:
        still = self._upkeep.stop() if self._upkeep else True
        if self._holdings and still:
            self._holdings.close()

    def opened(self) -> Holdings:
        """The files of this writer. Raises StoreError, OSError and pyarrow.ArrowException while it cannot."""
        if self._holdings is None:
            self._holdings = Holdings(self._root, self._identity, self._clock, self._cursor, self._last)
            if self._rules is not None:
                self._upkeep = Upkeep(self._holdings, self._rules, self._clock)
        return self._holdings

    def _stage(
        self, holdings: Holdings, table: str, places: Mapping[Place, pa.Table], name: FileName
    ) -> list[Staged]:
        """Write one file for each place into the work folder."""
        found = []
        for (day, network), data in places.items():
            place = holdings.layout.place(table, day, network) / str(name)
            path = holdings.work / f"{table}-{day}-{network}-{name}"
            rows = parquet.write(path, TABLES[table], data.schema, [data])
            found.append(holdings.stage(path, str(place.relative_to(self._root)), rows))
        return found

    def _check_space(self) -> None:
        keep = self._rules.keep_free_bytes if self._rules else 0
        free = disk.free_bytes(self._root)
        if free < keep:
            raise SinkHeld(
                f"{self._root}: {free >> 20} MB are free and {keep >> 20} MB are to stay free"
                " (archive.keep_free_mb), so the archive waits and the journal keeps the rows; make room"
            )
