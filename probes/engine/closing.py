"""Windows on their way out: reported once their late replies had time to come, and corrected once more. Pure.

Rule for late replies: one that comes before its window is reported counts there as late; one that comes up to
a window's length afterwards corrects the report, which is sent again with the next window, a revision higher;
so are losses whose direction has become known meanwhile. What comes still later is counted as `too_late`.

Flows are told once a minute; with the window those of a link and class of which some packets came back and
others were lost, because which of them lose tells where. What went before in the minute is told then too, so
that each packet is in one row and a row's span is what it says. A link that goes on losing does so for
AT_ONCE_WINDOWS, and once more for each window without a loss; beyond that, and beyond AT_ONCE_ROWS in a
window, its flows wait for the minute, counted as `deferred`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from linkgauge.code import Unfit
from linkgauge.frame import Frame, concat
from linkgauge.schema import FLOW, WINDOW
from probes.stamp.fate import BEFORE
from probes.stamp.sessions import Sessions
from probes.stamp.tally import Tally
from probes.stamp.window import Groups, Report, Span, report

FLOW_NS = 60 * NS_PER_S
"""Flows that lose nothing are told once a minute: that many more rows are not needed more often."""
AT_ONCE_WINDOWS = 30
AT_ONCE_ROWS = 2_048

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A window that was reported and may be corrected."""

    span: Span
    unattributed: NDArray[np.bool_]


class Closings:
    """Of the windows of one table of sessions. Spans are of consecutive windows. flow_ns: how often flows
    are told."""

    def __init__(self, sessions: Sessions, groups: Groups, flow_ns: int = FLOW_NS) -> None:
        self._flow_ns = flow_ns
        self._sessions, self._groups = sessions, groups
        self._noted = sessions.next_seq.copy(), sessions.missed.copy()
        self._kept: _Kept | None = None
        self._tally = Tally.empty(len(sessions))
        several = np.zeros(len(groups), np.bool_)
        several[groups.of[groups.flow > 0]] = True
        self._several = several
        self._flows_of = np.bincount(groups.of, minlength=len(groups)).astype(np.int64)
        self._credit = np.full(len(groups), AT_ONCE_WINDOWS, np.int64)
        self.too_late = self.deferred = 0

    def end(self, span_of: Span) -> Span:
        """What was sent since the last call, as a window: `span_of` with its sequence numbers filled in."""
        (first, missed), self._noted = (
            self._noted,
            (self._sessions.next_seq.copy(), self._sessions.missed.copy()),
        )
        end, missed_now = self._noted
        return replace(span_of, first=first, end=end, missed=missed_now - missed)

    def close(self, span: Span, last: bool = False) -> tuple[dict[str, Frame], Report]:
        """The frames to report: this window, the correction of the one before it, and flows that are due.

        last: no further window comes, so flows are told now.
        """
        sessions = self._sessions
        if (sessions.next_seq - span.first > sessions.timing.ring).any():  # its first packets are overwritten
            span = unfit(span, Unfit.LOOP_LAG)
        frames = [*self._correct()]
        made = report(sessions, self._groups, span)
        frames.append(made.frame)
        sessions.reported = np.maximum(sessions.reported, span.end)
        sessions.forget_copies(span.first - BEFORE)
        self._kept = _Kept(span, made.unattributed)
        out = {"window": concat(WINDOW, frames)}
        if self._several.any() and (flows := self._flows(span, made, last)) is not None:
            out["flow"] = flows
        return out, made

    def _correct(self) -> list[Frame]:
        came = np.concatenate([np.empty((0, 2), np.int64), *self._sessions.corrections])
        self._sessions.corrections.clear()
        kept, self._kept = self._kept, None
        if kept is None:
            self.too_late += len(came)
            return []
        session, seq = came.T
        inside = (seq >= kept.span.first[session]) & (seq < kept.span.end[session])
        self.too_late += int((~inside).sum())
        changed = np.zeros(len(self._groups), np.bool_)
        changed[self._groups.of[session[inside]]] = True
        again = changed | kept.unattributed
        if not again.any():
            return []
        made = report(self._sessions, self._groups, kept.span, again, revision=1)
        now_known = changed | (kept.unattributed & ~made.unattributed)
        rows = np.flatnonzero(again & made.shown)
        return [made.frame.take(now_known[rows])]

    def _flows(self, span: Span, made: Report, last: bool) -> Frame | None:
        """Rows of the flows that are due with this window; None when no minute is over and none lose."""
        frames = []
        end_ns = span.start_ns + span.length_ns
        now = np.empty(0, np.intp)
        if not span.unfit:  # an unfit agent's losses are its own
            now = self._losing(made)
            if len(now):
                frames.append(self._told(now, span.start_ns))
            self._tally.add(self._sessions, made.fates, span)
        if end_ns // self._flow_ns != span.start_ns // self._flow_ns or last:
            return concat(FLOW, [*frames, self._told(np.arange(len(self._sessions)), end_ns)])
        return concat(FLOW, [*frames, self._told(now, end_ns)]) if len(now) else None

    def _losing(self, made: Report) -> NDArray[np.intp]:
        """Sessions of which is told at once: of groups of several flows that lost some packets of the window
        and got answers to others."""
        frame, group = made.frame, np.flatnonzero(made.shown)
        ways = ("forward", "backward", "unattributed")
        lost = np.any([frame.count(f"lost_{way}") > 0 for way in ways], axis=0)
        self._credit[group[~lost]] = np.minimum(self._credit[group[~lost]] + 1, AT_ONCE_WINDOWS)
        if not lost.any():
            return np.empty(0, np.intp)
        some = group[lost & (frame.count("replied") + frame.count("late") > 0) & self._several[group]]
        some = some[np.argsort(-self._credit[some], kind="stable")]
        told = some[(self._credit[some] > 0) & (np.cumsum(self._flows_of[some]) <= AT_ONCE_ROWS)]
        self._credit[told] -= 1
        self.deferred += len(some) - len(told)
        chosen = np.zeros(len(self._groups), np.bool_)
        chosen[told] = True
        return np.flatnonzero(chosen[self._groups.of])

    def _told(self, sessions: NDArray[np.intp], end_ns: int) -> Frame:
        """Rows of what these sent up to then and was not told yet."""
        tally, groups = self._tally, self._groups
        some = sessions[tally.sent[sessions] > 0]
        frame = Frame.of(
            FLOW,
            {
                "link": [groups.names[g] for g in groups.of[some]],
                "probe": ["stamp"] * len(some),
                "class": [groups.classes[g] for g in groups.of[some]],
                "flow": [str(flow) for flow in groups.flow[some]],
                "start_ns": tally.start_ns[some],
                "length_ns": end_ns - tally.start_ns[some],
                "port": groups.port[some],
                **{name: column[some] for name, column in tally.columns().items()},
            },
            rows=len(some),
        )
        tally.clear(sessions)
        return frame


def unfit(span: Span, why: Unfit) -> Span:
    """The same window, measured by an unfit agent."""
    return replace(span, unfit=span.unfit | why.value)
