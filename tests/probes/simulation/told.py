"""Drives the sender's table and its windows through what was played, as the engine does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame, Histograms
from probes.engine.closing import Closings
from probes.sockets.arrival import Received
from probes.stamp.sessions import Sessions
from probes.stamp.window import Report, Span
from tests.probes.simulation.course import (
    GRACE_NS,
    INTERVAL_NS,
    LAYOUT,
    TIMEOUT_NS,
    WINDOW_TICKS,
    Course,
    Played,
)
from tests.probes.simulation.way import EPOCH_NS

OWN_ERROR_NS = 1_000.0
_BATCH = 4096
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Told:
    """frames: as delivered, in order. rows: of each (window, group) frame and row of its last revision.

    reports: of each window as first made.
    """

    course: Course
    frames: list[Frame]
    last: dict[tuple[int, int], tuple[int, int]]
    reports: list[Report]
    sessions: Sessions
    too_late: int

    def table(self, name: str) -> NDArray[np.float64]:
        """A number column as (windows, groups), last revisions; NaN where there is no row."""
        made = np.full((self.course.windows, self.course.sessions // 2), np.nan)
        for at, (frame, row) in self.last.items():
            column = self.frames[frame].columns[name]
            assert isinstance(column, np.ndarray)
            made[at] = column[row]
        return made

    def counts(self, name: str) -> NDArray[np.int64]:
        made = self.table(name)
        assert np.isfinite(made).all()
        return made.astype(np.int64)

    def histogram(self, name: str, at: tuple[int, int]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        frame, row = self.last[at]
        column = self.frames[frame].columns[name]
        assert isinstance(column, Histograms)
        return column[row].bucket, column[row].count


class _Driver:
    """Feeds the table everything before a time, in the order in which an engine would."""

    def __init__(self, played: Played) -> None:
        self.played, self.course = played, played.course
        self.sessions = self.course.table()
        self._tick = self._reply = 0
        self._told_off = np.flatnonzero(played.told_off)
        self._told_off = self._told_off[np.argsort(played.told_off_ns[self._told_off], kind="stable")]

    def until(self, true_ns: int) -> None:
        self._send(min(self.course.ticks, -(-true_ns // INTERVAL_NS)))
        self._refuse(true_ns)
        end = int(np.searchsorted(self.played.replies.at_ns, true_ns))
        while self._reply < end:
            stop = min(self._reply + _BATCH, end)
            self._receive(slice(self._reply, stop))
            self._reply = stop

    def _send(self, end: int) -> None:
        course, n, played = self.course, self.course.sessions, self.played
        if end <= self._tick:
            return
        told_ns = course.near.read(np.arange(self._tick, end) * INTERVAL_NS)
        for t1_ns in told_ns.tolist():
            self.sessions.sent(0, n, t1_ns)
        part = np.arange(self._tick * n, end * n)
        failed, stamped = part[played.failed[part]], part[played.stamped[part] & ~played.failed[part]]
        self.sessions.failed(failed % n, self.seq(failed))
        self.sessions.stamped(stamped % n, self.seq(stamped), played.t1_ns[stamped])
        self._tick = end

    def seq(self, packet: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.course.first_seq + packet // self.course.sessions

    def _refuse(self, true_ns: int) -> None:
        due = int(np.searchsorted(self.played.told_off_ns[self._told_off], true_ns))
        packet, self._told_off = self._told_off[:due], self._told_off[due:]
        if due:
            block = np.ascontiguousarray(self.played.requests[packet])
            reason = self.played.told_off[packet]
            self.sessions.refused(0, block, np.full(due, LAYOUT.size), reason)

    def _receive(self, part: slice) -> None:
        replies = self.played.replies
        count = part.stop - part.start
        got = Received(
            np.ascontiguousarray(replies.data[part]), np.full(count, LAYOUT.size),
            np.tile(self.course.names()[1], (count, 1)), self.course.near.read(replies.at_ns[part]),
            np.full(count, 251, np.uint8), np.full(count, 2, np.uint8),
        )  # fmt: skip
        self.sessions.received(0, got, got.ttl, got.tos)


def tell(played: Played) -> Told:
    """The windows of a course, and after the last an empty one, with which its correction comes."""
    course, driver = played.course, _Driver(played)
    closings = Closings(driver.sessions, course.groups())
    frames: list[Frame] = []
    reports: list[Report] = []
    for window in range(course.windows + 1):
        end_ns = (window + 1) * WINDOW_TICKS * INTERVAL_NS
        driver.until(end_ns)
        span = closings.end(_span(window))
        driver.until(end_ns + TIMEOUT_NS + GRACE_NS)
        made, report = closings.close(span)
        frames.append(made["window"])
        if window < course.windows:
            reports.append(report)
    driver.until(1 << 62)
    return Told(course, frames, _last(frames), reports, driver.sessions, closings.too_late)


def _last(frames: list[Frame]) -> dict[tuple[int, int], tuple[int, int]]:
    last: dict[tuple[int, int], tuple[int, int]] = {}
    for at, frame in enumerate(frames):
        starts, links = frame.count("start_ns").tolist(), frame.text("link").tolist()
        for row, (start_ns, link) in enumerate(zip(starts, links, strict=True)):
            window = (start_ns - EPOCH_NS) // (WINDOW_TICKS * INTERVAL_NS)
            last[window, int(link[3:-2])] = at, row
    return last


def _span(window: int) -> Span:
    length_ns = WINDOW_TICKS * INTERVAL_NS
    start_ns = EPOCH_NS + window * length_ns
    return Span(start_ns, length_ns, _NONE, _NONE, _NONE, OWN_ERROR_NS, 0, 0, False)
