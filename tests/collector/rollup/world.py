"""Journal, archive, pumps and maker on a clock that the test moves: windows go in, roll-ups come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.health.metrics import Metrics
from collector.intake import Intake
from collector.journal.journal import Journal
from collector.rollup.journalling import Journalling
from collector.rollup.maker import Maker
from collector.rollup.notes import Grace, Notes
from collector.rollup.sink import RollupSink
from collector.rollup.source import ArchiveSource
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.link_tags import link_tags
from collector.sinks.pump import Pump
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.model import Link
from linkgauge.table import Table
from linkgauge.wire import encode
from tests.collector.rollup.windows import T0_NS
from tests.collector.world import StillClock, batch, inventory

GRACE = Grace(30 * NS_PER_S, 120 * NS_PER_S)
LINKS = ("j1>j2@backbone", "j2>j1@backbone", "j1>g1@private")


@dataclass
class World:
    """Everything of a collector that a roll-up passes through, worked by hand."""

    folder: Path
    clock: StillClock = field(default_factory=lambda: StillClock(T0_NS))

    def __post_init__(self) -> None:
        found = self.inventory = inventory(self.folder)
        root = self.folder / "archive"
        self.metrics = Metrics()
        self.journal = Journal(self.folder / "journal.sqlite", 2**30, 2**62)
        self.notes = Notes(self.folder / "rollup.sqlite", self.clock)
        archive = Archive(
            root, self.journal.identity, self.journal.cursor("archive"), link_tags(lambda: found)
        )
        sinks = (archive, RollupSink(self.notes, self.clock))
        dead = DeadLetters(self.folder / "dead.jsonl")
        self.pumps = [Pump(sink, self.journal, dead, self.clock, self.metrics) for sink in sinks]
        self.journal.register([pump.name for pump in self.pumps])
        links = frozenset(str(link) for link in found.links)
        self.intake = Intake(self.journal, lambda: links, self.clock, self.metrics)
        self.source = ArchiveSource(root)
        self.reader = ArchiveReader(root)
        self.maker = self.make_maker()
        self.number = 0

    def make_maker(self) -> Maker:
        return Maker(
            self.notes,
            self.source,
            Journalling(self.intake.keep_own, self.clock).put,
            lambda: self.journal.cursor("archive"),
            GRACE,
            self.clock,
            self.metrics,
            specs=lambda link: self.inventory.links.get(Link.parse(link)),
        )

    def send(self, agent: str, frame: Frame) -> None:
        """An agent's batch reaches the collector."""
        self.number += 1
        sent = batch(agent, self.number, frame, created_ns=self.clock.wall_ns)
        self.intake.accept(agent, "", encode(sent))

    def pump(self) -> None:
        """Both sinks take what is in the journal."""
        for pump in self.pumps:
            while not pump.step(flush=True):
                assert pump.trouble is None

    def make(self) -> int:
        """Make all that can be made, and deliver it; returns how many slots."""
        before = self.maker.made
        while self.maker.step():
            assert self.maker.trouble is None
        self.pump()
        return self.maker.made - before

    def at(self, seconds: float) -> None:
        """Set the clock to so long after T0_NS."""
        self.clock.wall_ns = T0_NS + int(seconds * NS_PER_S)

    def read(self, table: Table, links: Sequence[str] | None = None) -> Frame:
        return self.reader.read(table, 0, 2**61, links)

    def close(self) -> None:
        self.source.close()
        self.reader.close()
        self.notes.close()
        self.journal.close()
