"""At start: take up the last period from the stores, a bounded number of rows at a time."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from collector.event_line import event_line
from collector.journal.batch_log import Entry
from collector.live.live import LiveState
from collector.live.recent import LEAST_EVENTS_NS, LEAST_FLOWS_NS, Past
from linkgauge.clock import NS_PER_S
from linkgauge.code import EventKind
from linkgauge.errors import StoreError, WireError
from linkgauge.frame import Frame, concat
from linkgauge.packing import unpack
from linkgauge.schema import CERTIFICATE, EVENT, FLOW, HEALTH, STATE, THROUGHPUT, WINDOW
from linkgauge.table import Table
from linkgauge.wire import MAX_BODY_BYTES, decode

log = logging.getLogger(__name__)
AHEAD_NS = 60 * NS_PER_S
"""Rows of clocks that are ahead are read too."""
LINKS_AT_ONCE = 30_000
"""Links of which one window is read at once; of fewer links as many windows more."""
MTU_NS, HOUR_NS = 86_400 * NS_PER_S, 3_600 * NS_PER_S
"""A smaller MTU is told for a day; an hour of events is read at once."""
AT_ONCE_BYTES = 64 * 1024 * 1024
"""Of the journal, unpacked, before it is handed on; equal rows pack a thousand to one."""


class Archive(Protocol):
    """Rows as they stand in the archive."""

    def read(self, table: Table, from_ns: int, to_ns: int) -> Frame: ...

    def close(self) -> None: ...


class Log(Protocol):
    """Batches that may not be in the archive yet."""

    def cursor(self, sink: str) -> int: ...

    def read(self, after_seq: int, max_batches: int, max_octets: int) -> list[Entry]: ...


def replay(
    live: LiveState,
    archive: Archive,
    journal: Log,
    now_ns: int,
    period_ns: int,
    window_ns: int,
    links: int,
    remember: Callable[[Past], None] | None = None,
    health: Callable[[Frame], None] = lambda _: None,
) -> None:
    """Remember the last period, flows, events (of the MTU for a day), certificates and throughput tests as
    long as they count: what the archive has of them, then what only the journal still has.

    remember: is given the rows to be judged by, piece by piece; without it they wait for the first judging.
    health: is given the HEALTH rows.
    """

    def hand_on() -> None:
        if remember is not None:
            remember(live.news())

    longer = {THROUGHPUT.name: live.tests_kept_ns, FLOW.name: max(period_ns, LEAST_FLOWS_NS)}
    longer |= dict.fromkeys((EVENT.name, CERTIFICATE.name), max(period_ns, LEAST_EVENTS_NS))
    step_ns = window_ns * max(1, LINKS_AT_ONCE // max(links, 1))
    try:
        for table in (WINDOW, FLOW, EVENT, CERTIFICATE, THROUGHPUT, HEALTH, STATE):
            back_ns = longer.get(table.name, period_ns)
            at_once_ns = back_ns + AHEAD_NS if table is THROUGHPUT else step_ns
            if table is EVENT and remember is not None:
                _remember_sizes(archive, now_ns, back_ns, remember)
            for from_ns in range(now_ns - back_ns, now_ns + AHEAD_NS, at_once_ns):
                frame = archive.read(table, from_ns, min(from_ns + at_once_ns, now_ns + AHEAD_NS))
                live.replay(frame)
                if table is HEALTH:
                    health(frame)
                hand_on()
    except StoreError as err:
        log.error(event_line("replay_failed", error=err, effect="verdicts begin anew"))
    finally:
        archive.close()
    after, octets = journal.cursor("archive"), 0
    while entries := journal.read(after, 64, AT_ONCE_BYTES):
        for entry in entries:
            with contextlib.suppress(WireError):  # the pump counts it and keeps it as a dead letter
                body = unpack(entry.body, MAX_BODY_BYTES)
                batch = decode(body)
                live.take(batch, entry.received_ns)
                health(batch.frames.get(HEALTH.name, concat(HEALTH, [])))
                octets += len(body)
            if octets >= AT_ONCE_BYTES:
                hand_on()
                octets = 0
        hand_on()
        after, octets = entries[-1].seq, 0


def _remember_sizes(archive: Archive, now_ns: int, back_ns: int, remember: Callable[[Past], None]) -> None:
    """Changes of the MTU that are older than other events count."""
    for from_ns in range(now_ns - MTU_NS, now_ns - back_ns, HOUR_NS):
        events = archive.read(EVENT, from_ns, min(from_ns + HOUR_NS, now_ns - back_ns))
        sizes = events.take(events.text("kind") == EventKind.MTU.value)
        if sizes.rows:
            remember(replace(Past.empty(), events=(sizes,)))
