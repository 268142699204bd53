"""One thread per sink: reads the journal from the sink's cursor, delivers, and only then moves the cursor.

A delivery that fails is repeated with exactly the same batches, so a store that keeps what it got by name
(the archive's files, InfluxDB's points) holds nothing twice. A pump that fails stops nobody else. Between
deliveries it takes up again the dead letters of its sink that somebody marked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from collector.event_line import event_line
from collector.health.metrics import Metrics
from collector.journal.batch_log import BatchLog, Entry
from collector.sinks.backoff import Backoff
from collector.sinks.dead_letters import DeadLetters, Kind, Letter
from collector.sinks.replay import Replay
from collector.sinks.sink import BatchesRejected, Delivery, RowsRejected, Sink
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import SinkBusy, SinkHeld, SinkRejected, StoreError, WireError
from linkgauge.packing import unpack
from linkgauge.wire import MAX_BODY_BYTES, decode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """flush_s: how long batches may be gathered before they are delivered; 0 = at once.

    max_rows, max_batches, max_bytes (unpacked): deliver when that much is gathered, and never more than a
    batch above it: equal rows pack a thousand to one.
    """

    flush_s: float = 0
    max_rows: int = 50_000
    max_batches: int = 2_000
    max_bytes: int = 64 * 1024 * 1024
    held_s: float = 30
    poll_s: float = 0.5


class Pump:
    """Feeds one sink. `start` once; `stop` delivers what is there, bounded in time, and closes the sink.

    trim: called after each delivery, to let the log forget what everybody has.
    """

    def __init__(
        self,
        sink: Sink,
        journal: BatchLog,
        dead: DeadLetters,
        clock: Clock,
        metrics: Metrics,
        rhythm: Rhythm | None = None,
        trim: Callable[[], None] = lambda: None,
    ) -> None:
        self._sink, self._journal, self._dead = sink, journal, dead
        self._clock, self._metrics, self._trim = clock, metrics, trim
        self._rhythm = rhythm or Rhythm()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pump-{sink.name}", daemon=True)
        self._gathered: list[Delivery] = []
        self._letters: list[Letter] = []
        self._upto, self._rows, self._octets, self._since_ns = 0, 0, 0, 0
        self._attempted = False  # what is gathered was handed over once, and must be again just as it is
        self._backoff = Backoff()
        self._replay = Replay(sink, journal, dead, clock)
        self.trouble: str | None = None
        """Why the sink takes nothing just now; None when it does."""

    @property
    def name(self) -> str:
        return self._sink.name

    @property
    def sink(self) -> Sink:
        """What is fed."""
        return self._sink

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something new is in the journal."""
        self._wake.set()

    def stop(self, drain_s: float) -> None:
        """Deliver what is there, for at most `drain_s`; what is left stays in the journal."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(drain_s)
        if self._thread.is_alive():
            log.warning(
                event_line("pump_left", sink=self.name, why="not drained in time", kept="in the journal")
            )
            return
        self._sink.close()

    def step(self, flush: bool = False) -> float:
        """Gather, and deliver when due (or told to flush). Returns the seconds to wait; 0 = go on at once."""
        try:
            if not (flush or self._attempted) and self._replay.step():
                self._works()
            more = False if self._attempted else self._gather()
            while flush and more:
                more = self._gather()
            if self._attempted or self._due(flush):
                self._deliver()
                return 0
            return 0 if more else self._rhythm.poll_s
        except SinkBusy as err:
            self._say("sink_busy", err)
            return self._backoff.next(err.retry_after_s)
        except (SinkHeld, StoreError) as err:
            self._say("sink_held", err)
            return self._rhythm.held_s
        except Exception as err:
            self._metrics.fault(f"pump_{self.name}")
            log.exception(event_line("pump_failed", sink=self.name))
            self.trouble = f"unexpected: {err!r}"
            return self._rhythm.held_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            wait_s = self.step()
            if wait_s and self.trouble is None:
                self._wake.wait(wait_s)
            elif wait_s:
                self._stopping.wait(wait_s)
        while not self.step(flush=True):
            pass

    def _gather(self) -> bool:
        """Read what has come since; True when there may be more to read at once."""
        room = self._rhythm.max_bytes - self._octets
        batches = self._rhythm.max_batches - len(self._gathered)
        if not self._upto:
            self._upto = self._journal.cursor(self.name)
        if self._full():
            return False
        entries = self._journal.read(self._upto, min(batches, 64), room)
        if entries and not (self._gathered or self._letters):
            self._since_ns = self._clock.now().mono_ns
        for entry in entries:
            if self._full():
                break  # what was read and not taken is read again
            self._take(entry)
        return bool(entries)

    def _take(self, entry: Entry) -> None:
        octets = len(entry.body)
        try:
            body = unpack(entry.body, MAX_BODY_BYTES)
            octets = max(octets, len(body))
            frames = decode(body, self._sink.tables).frames
        except WireError as err:
            self._letters.append(_batch_letter(entry, f"journal entry {entry.seq}: {err}"))
        else:
            made = Delivery(
                entry.seq, entry.agent, entry.boot, entry.number, frames, entry.body, entry.via
            )  # fmt: skip
            self._gathered.append(made)
            self._rows += made.rows
        self._upto, self._octets = entry.seq, self._octets + octets

    def _full(self) -> bool:
        rhythm = self._rhythm
        return (
            self._rows >= rhythm.max_rows
            or len(self._gathered) >= rhythm.max_batches
            or self._octets >= rhythm.max_bytes
        )

    def _due(self, flush: bool) -> bool:
        if not (self._gathered or self._letters):
            return False
        waited_ns = self._clock.now().mono_ns - self._since_ns
        return flush or waited_ns >= self._rhythm.flush_s * NS_PER_S or self._full()

    def _deliver(self) -> None:
        letters = list(self._letters)
        self._attempted = True
        written = self._rows
        try:
            if self._gathered:
                self._sink.write(self._gathered)
        except RowsRejected as err:
            written -= len(err.refused)
            letters += [Letter(what.encode("utf-8", "replace"), why) for what, why in err.refused]
        except BatchesRejected as err:
            written -= err.rows
            letters += [_batch_letter(delivery, why) for delivery, why in err.refused]
        except SinkRejected as err:
            written = 0
            letters += [_batch_letter(delivery, str(err)) for delivery in self._gathered]
        if letters:
            self._dead.keep(self._clock.now().wall_ns, self.name, letters)
            self._metrics.rejected(self.name, len(letters))
            log.error(
                event_line("dead_letters", sink=self.name, count=len(letters), first=letters[0].why[:200])
            )
        self._journal.advance(self.name, self._upto)
        self._metrics.written(self.name, written)
        self._gathered, self._letters, self._rows, self._octets = [], [], 0, 0
        self._attempted = False
        self._works()
        self._trim()

    def _works(self) -> None:
        self._backoff.reset()
        if self.trouble is not None:
            log.info(event_line("sink_works_again", sink=self.name))
            self.trouble = None

    def _say(self, event: str, err: Exception) -> None:
        """Once for each new trouble, not at every attempt."""
        if self.trouble is None:
            log.warning(event_line(event, sink=self.name, error=err, kept="in the journal"))
        self.trouble = str(err)


def _batch_letter(batch: Entry | Delivery, why: str) -> Letter:
    return Letter(batch.body, why, Kind.BATCH, batch.agent, batch.boot, batch.number)
