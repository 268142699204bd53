"""The conformance suite over every sink: archive, InfluxDB 1.6 as it is, a fake that is often in trouble."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import Transport, connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.sink import Delivery, RowsRejected, Sink
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from tests.collector.sinks.sink_conformance import BEGIN_NS, Key, SinkConformance, Store, failing
from tests.collector.world import windows
from tests.influxd import Influxd, influxd

__all__ = ["influxd"]
_DATABASES = itertools.count()


def tags_of(link: str) -> dict[str, str]:
    return {"link": link, "network": link.partition("@")[2]}


class ArchiveStore:
    """Fails as a disk does: before anything of a delivery is published, or after its first file is."""

    def __init__(self, folder: Path) -> None:
        self.root, self.errors = folder / "archive", list[Exception]()

    def opened(self, identity: str, cursor: int) -> Sink:
        errors = self.errors

        class Troubled(Archive):
            def write(self, entries: Sequence[Delivery]) -> None:
                failing(errors, lambda: super(Troubled, self).write(entries), lambda: None)

        return Troubled(self.root, identity, cursor, tags_of)

    def keys(self) -> list[Key]:
        reader = ArchiveReader(self.root)
        found = [(str(key[3]), int(key[-1])) for key in reader.keys("window")]
        reader.close()
        return found

    def fail(self, errors: Sequence[Exception]) -> None:
        self.errors[:] = errors

    def poisoned(self) -> Frame | None:
        return None


class InfluxStore:
    """Fails as a server or the way to it does: the lines are stored, or not, and the answer is lost."""

    def __init__(self, server: Influxd) -> None:
        self.server, self.database = server, f"conform_{next(_DATABASES)}"
        self.errors: list[Exception] = []

    def opened(self, identity: str, cursor: int) -> Sink:
        address = InfluxAddress(self.server.url, self.database)
        return InfluxSink(
            lambda: Troubled(connect(address), self.errors), LineMaker(tags_of), tables=["window"]
        )

    def keys(self) -> list[Key]:
        rows = self.server.values("SELECT sent, link FROM link_loss", self.database)
        return [(str(link), int(start_ns)) for start_ns, _, link in rows]

    def fail(self, errors: Sequence[Exception]) -> None:
        self.errors[:] = errors

    def poisoned(self) -> Frame | None:
        return windows(["j1>g1@backbone"], BEGIN_NS - 400 * 86_400 * NS_PER_S)


class Troubled:
    """A transport whose answers may be lost."""

    def __init__(self, inner: Transport, errors: list[Exception]) -> None:
        self._inner, self._errors = inner, errors

    def write(self, lines: bytes) -> None:
        failing(self._errors, lambda: self._inner.write(lines), lambda: self._inner.write(lines))

    def close(self) -> None:
        self._inner.close()


class FaultyStore:
    """Rows in memory, by key; in trouble it has stored a part, or all, or nothing."""

    name, tables = "faulty", ("window",)

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.held: dict[Key, int] = {}

    def opened(self, identity: str, cursor: int) -> Sink:
        return self

    def keys(self) -> list[Key]:
        return list(self.held)

    def fail(self, errors: Sequence[Exception]) -> None:
        self.errors[:] = errors

    def poisoned(self) -> Frame | None:
        return windows(["j1>g1@backbone"], BEGIN_NS - 10**15)

    def write(self, entries: Sequence[Delivery]) -> None:
        failing(self.errors, lambda: self._take(entries), lambda: self._take(entries[:1]))

    def _take(self, entries: Sequence[Delivery]) -> None:
        refused = []
        for entry in entries:
            frame = entry.frames["window"]
            sent = np.asarray(frame.count("sent")).tolist()
            for link, start_ns, count in zip(
                frame.text("link"), frame.count("start_ns").tolist(), sent, strict=True
            ):
                if start_ns < BEGIN_NS:
                    refused.append((f"{link} {start_ns}", "too old"))
                else:
                    self.held[link, start_ns] = count
        if refused:
            raise RowsRejected(refused)

    def close(self) -> None:
        pass


class TestArchive(SinkConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return ArchiveStore(tmp_path)


@pytest.mark.influx
class TestInflux(SinkConformance):
    @pytest.fixture
    def store(self, influxd: Influxd) -> Iterator[Store]:
        made = InfluxStore(influxd)
        yield made
        influxd.query(f'DROP DATABASE "{made.database}"')


class TestFaulty(SinkConformance):
    @pytest.fixture
    def store(self) -> Store:
        return FaultyStore()
