"""The hot store: every field that has a measurement, as points in InfluxDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from collector.sinks.influx_reply import LinesRefused, TooLarge
from collector.sinks.influx_transport import Transport
from collector.sinks.line_protocol import lines
from collector.sinks.link_tags import Tags
from collector.sinks.sink import Delivery, RowsRejected
from linkgauge.errors import ConfigError, SinkBusy, SinkHeld

MAX_LINES = 5_000
MAX_BYTES = 4_000_000
SPLITS = 400
"""Requests that one delivery may spend on finding the lines that are refused."""


class InfluxSink:
    """Writes deliveries as points; connects at the first write, and anew after each trouble.

    A row that comes again overwrites its point, field by field: a value that the later copy no longer knows
    stays as it was. A refused request is halved until the lines at fault stand alone, so one bad line costs
    one line.
    """

    def __init__(self, connect: Callable[[], Transport], tags: Tags, name: str = "influxdb") -> None:
        self._connect, self._tags, self._name = connect, tags, name
        self._transport: Transport | None = None
        self._splits = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def tables(self) -> None:
        return None

    def write(self, entries: Sequence[Delivery]) -> None:
        refused: list[tuple[str, str]] = []
        self._splits = SPLITS
        made = list(self._lines(entries, refused))
        try:
            for chunk in _chunks(made):
                refused += self._send(chunk)
        except (SinkBusy, SinkHeld):
            self._disconnect()  # the server may come back as another version, or without its database
            raise
        if refused:
            raise RowsRejected(refused)

    def close(self) -> None:
        self._disconnect()

    def _lines(self, entries: Sequence[Delivery], refused: list[tuple[str, str]]) -> Iterator[str]:
        for entry in entries:
            for name, frame in entry.frames.items():
                try:
                    yield from lines(frame, self._tags)
                except ConfigError as err:
                    refused.append((f"table {name} of {entry.agent} {entry.boot} {entry.number}", str(err)))

    def _send(self, chunk: Sequence[str]) -> list[tuple[str, str]]:
        """Send lines; returns those that were refused, with the server's words."""
        if self._transport is None:
            self._transport = self._connect()
        try:
            self._transport.write("\n".join(chunk).encode("utf-8", "replace"))
        except LinesRefused as err:
            if len(chunk) == 1 or (err.partial and err.dropped >= len(chunk)) or self._splits <= 0:
                return [(line, str(err)) for line in chunk]
            return self._halves(chunk)
        except TooLarge as err:
            return [(chunk[0], str(err))] if len(chunk) == 1 else self._halves(chunk)
        return []

    def _halves(self, chunk: Sequence[str]) -> list[tuple[str, str]]:
        self._splits -= 2
        middle = len(chunk) // 2
        return self._send(chunk[:middle]) + self._send(chunk[middle:])

    def _disconnect(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _chunks(made: Sequence[str]) -> Iterator[Sequence[str]]:
    """Pieces of at most MAX_LINES lines and MAX_BYTES octets."""
    start = octets = 0
    for at, line in enumerate(made):
        size = len(line.encode("utf-8", "replace")) + 1
        if at > start and (at - start >= MAX_LINES or octets + size > MAX_BYTES):
            yield made[start:at]
            start, octets = at, 0
        octets += size
    if start < len(made):
        yield made[start:]
