"""What EVENT rows say of links over a span: steps of the smallest delay, changed ways, a smaller MTU. Pure.

An event counts where the time in which it must have happened ends within the span; of the MTU, which nobody
tells again while it stays, within MTU_NS. Ways of several flows that changed in overlapping times are one
change of the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from linkgauge.code import EventKind
from linkgauge.frame import Frame
from quality.evidence import Rows
from quality.objectives import Objectives

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_STEP_US = 20.0
"""Noise of software time stamps (probes.path.shift tells no smaller step either)."""
STEP_SHARE = 0.02
"""Of the tier's delay: a smaller step is not worth a word."""
LARGEST_MTU = 65_535
MTU_NS = 86_400 * NS_PER_S
"""So long a smaller MTU is told, unless a larger one is seen: then it is what is usual."""
MOST_EVENTS = 16
"""Kept of each link and kind; of more the latest: a way that flaps."""
_WAYS = (EventKind.PATH.value, EventKind.REROUTE.value)
_STEPS = (EventKind.REROUTE.value, EventKind.BELOW_IP.value)
_KINDS = {kind.value: number for number, kind in enumerate(EventKind)}
_ROW = np.dtype(
    [("link", np.int64), ("kind", np.int8), ("start_ns", np.int64), ("end_ns", np.int64),
     ("before", np.float64), ("after", np.float64)]
)  # fmt: skip


class Changes:
    """Events of the last spans; not thread safe."""

    def __init__(self, span_ns: int) -> None:
        self._span_ns = span_ns
        self._rows = np.empty(0, _ROW)
        self.unreadable = 0
        """Events whose numbers made no sense."""

    @property
    def rows(self) -> int:
        """Events held."""
        return len(self._rows)

    def put(self, link: Rows, rows: Frame) -> None:
        """EVENT rows (m,) of the links (m,); a second copy is the same row."""
        kind = np.array([_KINDS.get(each, -1) for each in rows.text("kind").tolist()], np.int8)
        made = np.empty(rows.rows, _ROW)
        made["link"], made["kind"], made["start_ns"] = link, kind, rows.count("start_ns")
        made["end_ns"] = rows.count("start_ns") + rows.count("length_ns")
        made["before"], made["after"] = rows.real("before_us"), rows.real("after_us")
        for at in np.flatnonzero(kind == _KINDS[EventKind.MTU.value]).tolist():
            made["before"][at], made["after"][at] = (
                _bytes(rows.text(name)[at]) for name in ("before", "after")
            )
        numbers = np.isfinite(made["before"]) & np.isfinite(made["after"])
        sense = (
            (kind >= 0) & ((kind == _KINDS[EventKind.PATH.value]) | numbers) & (rows.count("length_ns") >= 0)
        )
        self.unreadable += int((~sense).sum())
        together = np.concatenate([self._rows, made[sense]])
        order = np.lexsort((together["end_ns"], together["start_ns"], together["kind"], together["link"]))
        self._rows = _latest(_without_copies(together[order]))

    def columns(self, end_ns: int, objectives: Objectives) -> dict[str, Any]:
        """delay_step_us, path_changes, mtu_shrunk_bytes (n,) of the span that ends at end_ns."""
        links, rows = len(objectives), self._rows
        rows = rows[(rows["end_ns"] > end_ns - self._spans_ns(rows)) & (rows["start_ns"] < end_ns)]
        return {
            "delay_step_us": _steps(rows, objectives),
            "path_changes": _ways(rows, links),
            "mtu_shrunk_bytes": _shrunk(rows, links),
        }

    def forget(self, before_ns: int) -> None:
        """Drop what ended before, and so much more as its kind is told of for longer."""
        if len(self._rows):
            longer_ns = self._spans_ns(self._rows) - self._span_ns
            self._rows = self._rows[self._rows["end_ns"] >= before_ns - longer_ns]

    def _spans_ns(self, rows: NDArray[Any]) -> Counts:
        """How long each row (m,) is told of."""
        longest_ns = max(self._span_ns, MTU_NS)
        return np.where(rows["kind"] == _KINDS[EventKind.MTU.value], longest_ns, self._span_ns)

    def move(self, place: Rows) -> None:
        """Link i becomes link place[i]; -1 drops it."""
        self._rows["link"] = place[self._rows["link"]]
        self._rows = self._rows[self._rows["link"] >= 0]
        self._rows = self._rows[np.argsort(self._rows["link"], kind="stable")]


def _bytes(word: str) -> float:
    """The size that a text tells; NaN where it is none."""
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 6 else 0
    return float(number) if 0 < number <= LARGEST_MTU else np.nan


def _of(rows: NDArray[Any], kinds: tuple[str, ...]) -> NDArray[Any]:
    return rows[np.isin(rows["kind"], [_KINDS[kind] for kind in kinds])]


def _without_copies(rows: NDArray[Any]) -> NDArray[Any]:
    """Of neighbours that are the same row, the last."""
    last = np.ones(len(rows), np.bool_)
    last[:-1] = np.any([np.diff(rows[name]) != 0 for name in ("link", "kind", "start_ns")], axis=0)
    return rows[last]


def _latest(rows: NDArray[Any]) -> NDArray[Any]:
    """Of each link and kind the last MOST_EVENTS; rows are ordered by them and start."""
    if len(rows) <= MOST_EVENTS:
        return rows
    following = rows[MOST_EVENTS:]
    rows_kept = np.ones(len(rows), np.bool_)
    rows_kept[:-MOST_EVENTS] = (following["link"] != rows["link"][:-MOST_EVENTS]) | (
        following["kind"] != rows["kind"][:-MOST_EVENTS]
    )
    return rows[rows_kept]


def _steps(rows: NDArray[Any], objectives: Objectives) -> Reals:
    """Rise of the last step of each link; NaN where it was none, or too small."""
    told = np.full(len(objectives), np.nan)
    rows = _of(rows, _STEPS)
    rows = rows[np.lexsort((rows["start_ns"], rows["link"]))]
    told[rows["link"]] = rows["after"] - rows["before"]  # of several the last stays
    least = np.maximum(LEAST_STEP_US, STEP_SHARE * objectives.delay_us)
    with np.errstate(invalid="ignore"):
        return np.where(told > least, told, np.nan)


def _ways(rows: NDArray[Any], links: int) -> Reals:
    """Changes of the way of each link; NaN for none."""
    rows = _of(rows, _WAYS)
    rows = rows[np.lexsort((rows["start_ns"], rows["link"]))]
    told = np.full(links, np.nan)
    if len(rows):
        first_ns = rows["start_ns"].min()
        apart = rows["link"] * float(
            rows["end_ns"].max() - first_ns + 1
        )  # no time of one link meets another's
        starts, ends = ((rows[name] - first_ns) + apart for name in ("start_ns", "end_ns"))
        begins = np.ones(len(rows), np.bool_)
        begins[1:] = starts[1:] >= np.maximum.accumulate(ends)[:-1]
        count = np.bincount(rows["link"][begins], minlength=links)
        told = np.where(count > 0, count, np.nan)
    return told


def _shrunk(rows: NDArray[Any], links: int) -> Reals:
    """By how much the MTU is below the largest of these; NaN where it is not."""
    rows = _of(rows, (EventKind.MTU.value,))
    rows = rows[np.lexsort((rows["start_ns"], rows["link"]))]
    largest, now = np.zeros(links), np.zeros(links)
    np.maximum.at(largest, rows["link"], np.maximum(rows["before"], rows["after"]))
    now[rows["link"]] = rows["after"]
    return np.where(largest > now, largest - now, np.nan)
