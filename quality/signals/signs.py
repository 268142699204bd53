"""What a window's rows of STAMP tell beside loss and delay, a matrix (signs, links) for each window. Pure.

A window that may still get rows lies open; the others are compressed, by parts of neighbouring links. All
are kept as long as a window may be judged again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Frame
from linkgauge.histogram import bucket_of
from quality.evidence import Rows
from quality.memory.packed import Packed
from quality.memory.shelf import RANGE

Signed = NDArray[np.int32]
Reals = NDArray[np.float64]

NAMES = (
    "asymmetry", "clock_error", "unanswered", "unanswered_ms", "needed", "silent", "unattributed", "heard",
    "replies", "marks", "ce_forward", "ce_backward", "remarked_forward", "remarked_backward", "pdv", "runs",
)  # fmt: skip
"""Rows of the matrix, 0 where nothing is known. asymmetry: smallest delay out - back, us, + MIDDLE;
clock_error: bound on it, us, + 1; unanswered, unanswered_ms: the end of the window; needed: how many packets
the far end must have heard for the way out to be well; silent: 0 nothing was sent, SILENT nothing came back,
else ANSWERED (or nobody can tell); heard: packets of the far end's own probe that came, + 1; pdv: its bucket,
+ 1; runs: of lost packets, + 1.
`asymmetry` and `clock_error` are asked for alone."""
AT = {name: row for row, name in enumerate(NAMES)}
MIDDLE = 2**30
LEAST_PDV = 59
"""Samples from which a 95th percentile is known (RFC 5481 wants a high one)."""
SILENT, ANSWERED = 1, 2
LEAST_UNANSWERED = 10
"""Packets at a window's end without an answer that are worth a word."""
_CLOCKS = 2
_OPEN = 4
_MOST = 2**31 - 1


def signs(rows: Frame, classes: int) -> Signed:
    """The matrix (len(NAMES), m) of WINDOW rows (m,) of STAMP, whose COUNT columns are int64.

    classes: how many the far end sends in; what it heard is told of all together.
    """
    fit = (rows.count("sent") > 0) & (rows.count("unfit") == 0)
    quiet = fit & (rows.count("under_test") == 0)
    replies = rows.count("replied") + rows.count("late")
    silent = fit & (replies == 0)
    unanswered = rows.count("unanswered")
    unknown = np.maximum(rows.count("lost_unattributed"), unanswered)
    others = np.maximum(classes - 1, 0) * rows.count("sent")
    heard, error = rows.real("heard"), rows.real("one_way_error_us")
    runs = rows.real("lost_runs")
    asymmetry = rows.real("forward_min_us") - rows.real("backward_min_us")
    told = quiet & np.isfinite(asymmetry) & np.isfinite(error)
    pdv = rows.real("pdv_us")
    varied = quiet & np.isfinite(pdv) & (rows.count("replied") >= LEAST_PDV)
    made = {
        "asymmetry": np.where(told, np.clip(np.round(asymmetry), 1 - MIDDLE, MIDDLE - 1) + MIDDLE, 0),
        "clock_error": np.where(told, np.clip(np.ceil(error), 0, MIDDLE) + 1, 0),
        "unanswered": unanswered * fit,
        "unanswered_ms": np.nan_to_num(rows.real("unanswered_s")) * 1_000 * (fit & (unanswered > 0)),
        "needed": (others + replies + rows.count("lost_backward") + -(-unknown // 2)) * (fit & (unknown > 0)),
        "silent": np.where(silent, SILENT, ANSWERED * (rows.count("sent") > 0)),
        "unattributed": rows.count("lost_unattributed") * fit,
        "heard": np.where(np.isfinite(heard), heard + 1, 0),
        "replies": replies * quiet,
        "runs": np.where(fit & np.isfinite(runs), runs + 1, 0),
        "pdv": np.where(varied, bucket_of(np.where(varied, np.maximum(pdv, 0) * NS_PER_US, 0)) + 1, 0),
    }
    for name in ("marks", "ce_forward", "ce_backward", "remarked_forward", "remarked_backward"):
        made[name] = rows.count(name) * quiet
    return np.array([np.clip(made[name], 0, _MOST) for name in NAMES]).astype(np.int32)


class Signs:
    """Not thread safe."""

    def __init__(self) -> None:
        self._open: dict[int, Signed] = {}
        self._closed: dict[int, list[tuple[Packed, Packed]]] = {}

    @property
    def starts(self) -> list[int]:
        """Windows held, ascending."""
        return sorted({*self._open, *self._closed})

    def holds(self, start_ns: int) -> bool:
        """Rows of that window came."""
        return start_ns in self._open or start_ns in self._closed

    def put(self, start_ns: int, link: Rows, matrix: Signed, links: int) -> None:
        """Replace the columns of the links (m,) in a window by those of the matrix (signs, m)."""
        if start_ns not in self._open:
            self._open[start_ns] = self.at(start_ns, links)
            self._closed.pop(start_ns, None)
        self._open[start_ns][:, link] = matrix
        for old_ns in [each for each in self._open if each != start_ns][: max(0, len(self._open) - _OPEN)]:
            self._close(old_ns)

    def at(self, start_ns: int, links: int) -> Signed:
        """The window's matrix (signs, links), not to be written to."""
        if start_ns in self._open:
            return self._open[start_ns]
        parts = [
            np.concatenate([clocks.arrays()[0], rest.arrays()[0]])
            for clocks, rest in self._closed.get(start_ns, ())
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(NAMES), links), np.int32)

    def clocks(self, start_ns: int, part: int) -> Signed | None:
        """The rows `asymmetry` and `clock_error` of the links RANGE * part and following, (2, at most RANGE);
        None where the window is not held."""
        if start_ns in self._open:
            return self._open[start_ns][:_CLOCKS, part * RANGE : (part + 1) * RANGE]
        parts = self._closed.get(start_ns, ())
        return np.asarray(parts[part][0].arrays()[0], np.int32) if part < len(parts) else None

    def forget(self, before_ns: int) -> None:
        """Drop the windows that start before."""
        for held in (self._open, self._closed):
            for start_ns in [each for each in held if each < before_ns]:
                del held[start_ns]

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        kept = place >= 0
        for start_ns in self.starts:
            moved = np.zeros((len(NAMES), links), np.int32)
            moved[:, place[kept]] = self.at(start_ns, len(place))[:, kept]
            self._open[start_ns] = moved
            if start_ns in self._closed:
                self._close(start_ns)

    def _close(self, start_ns: int) -> None:
        matrix = self._open.pop(start_ns)
        self._closed[start_ns] = [
            (Packed.of(_part(matrix[:_CLOCKS], at)), Packed.of(_part(matrix[_CLOCKS:], at)))
            for at in range(-(-matrix.shape[1] // RANGE))
        ]


def _part(matrix: Signed, part: int) -> Signed:
    return np.ascontiguousarray(matrix[:, part * RANGE : (part + 1) * RANGE])
