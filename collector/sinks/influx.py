"""The hot store: every field that has a measurement, as points in one database of an InfluxDB.

A row that comes again overwrites its point, field by field. InfluxDB cannot forget a single field: a value
that a corrected row no longer knows stays as the earlier row had it (in the archive the later row stands as
a whole). The counts of a row, `revision` among them, are always those of the latest. Of a corrected row an
older copy that comes after it is left out, as long as the correction is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from collector.sinks.influx_reply import LinesRefused, TooLarge, at_fault
from collector.sinks.influx_transport import Transport
from collector.sinks.line_protocol import LineMaker
from collector.sinks.revisions import Revisions
from collector.sinks.sink import Delivery, RowsRejected
from linkgauge.errors import SinkBusy, SinkHeld

MAX_LINES = 5_000
MAX_BYTES = 4_000_000
SPLITS = 400
"""Requests that one delivery may spend on finding the lines that are refused."""
UNSORTED = "one or more of these lines; too many requests would tell which: "

Letters = list[tuple[str, str]]


class InfluxSink:
    """Writes deliveries as points; connects at the first write, and anew after each trouble.

    tables: those whose rows go to this database. A refused request costs the lines at fault: those that the
    server names, else halving finds them. When that takes more than SPLITS requests, what is left of the
    request comes back as one refusal that holds several lines.
    """

    def __init__(
        self,
        connect: Callable[[], Transport],
        maker: LineMaker,
        name: str = "influxdb",
        tables: Collection[str] | None = None,
    ) -> None:
        self._connect, self._maker, self._name, self._tables = connect, maker, name, tables
        self._transport: Transport | None = None
        self._splits = 0
        self.revisions = Revisions()

    @property
    def name(self) -> str:
        return self._name

    @property
    def tables(self) -> Collection[str] | None:
        return self._tables

    def write(self, entries: Sequence[Delivery]) -> None:
        left_out = self.revisions.left_out
        try:
            self._write(self._lines(entries))
        except (SinkBusy, SinkHeld):
            self.revisions.left_out = left_out  # the same comes again
            raise

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write lines that were refused before; raises as `write` does."""
        self._write(lines)

    def close(self) -> None:
        self._disconnect()

    def _write(self, lines: Iterable[str]) -> None:
        self._splits = SPLITS
        refused: Letters = []
        try:
            for chunk in _chunks(lines):
                refused += self._send(chunk)
        except (SinkBusy, SinkHeld):
            self._disconnect()  # the server may come back as another version, or without its database
            raise
        if refused:
            raise RowsRejected(refused)

    def _lines(self, entries: Sequence[Delivery]) -> Iterator[str]:
        frames = [
            frame
            for entry in entries
            for name, frame in entry.frames.items()
            if entry.is_for(self._name) and (self._tables is None or name in self._tables)
        ]
        for frame in frames:
            self.revisions.note(frame)
        for frame in frames:
            yield from self._maker.lines(self.revisions.newest(frame))

    def _send(self, chunk: Sequence[str]) -> Letters:
        """Send lines; returns those that were refused, with the server's words.

        When some are named, the others are sent again: what the server did not get to may show.
        """
        letters: Letters = []
        while chunk:
            err = self._refusal(chunk)
            if err is None:
                break
            if len(chunk) == 1 or (
                isinstance(err, LinesRefused) and err.partial and err.dropped >= len(chunk)
            ):
                return letters + [(line, str(err)) for line in chunk]
            if self._splits <= 0:
                return [*letters, ("\n".join(chunk), UNSORTED + str(err))]
            named = at_fault(err, chunk) if isinstance(err, LinesRefused) else {}
            if not named:
                return letters + self._halves(chunk)
            self._splits -= 1
            letters += [(chunk[at], words) for at, words in sorted(named.items())]
            chunk = [line for at, line in enumerate(chunk) if at not in named]
        return letters

    def _refusal(self, chunk: Sequence[str]) -> LinesRefused | TooLarge | None:
        if self._transport is None:
            self._transport = self._connect()
        try:
            self._transport.write("\n".join(chunk).encode("utf-8", "replace"))
        except (LinesRefused, TooLarge) as err:
            return err
        return None

    def _halves(self, chunk: Sequence[str]) -> Letters:
        self._splits -= 2
        middle = len(chunk) // 2
        return self._send(chunk[:middle]) + self._send(chunk[middle:])

    def _disconnect(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Pieces of at most MAX_LINES lines and MAX_BYTES octets; a longer line is a piece of its own."""
    chunk: list[str] = []
    octets = 0
    for line in lines:
        size = 1 + (len(line) if line.isascii() else len(line.encode("utf-8", "replace")))
        if chunk and (len(chunk) >= MAX_LINES or octets + size > MAX_BYTES):
            yield chunk
            chunk, octets = [], 0
        chunk.append(line)
        octets += size
    if chunk:
        yield chunk
