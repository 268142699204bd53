"""Handmade traces for the tests of signals: windows of a link, and of its reverse, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from linkgauge.frame import Frame
from linkgauge.model import LinkSpec, Tier
from linkgauge.schema import CERTIFICATE, EVENT
from quality.ledger import Ledger
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, row, spec, throughput, values, windows

TIER = Tier("own", 5_000, 0.5, 0.001, pdv_us=2_000, ce_ratio=0.01, good_ratio=0.99)
BOTH = (spec(THERE, mirrored=True, tier=TIER), spec(BACK, mirrored=True, tier=TIER))
ALONE = (spec(THERE, tier=TIER),)
RTT: dict[str, Any] = {"rtt_us": [4_000.0] * 100}
"""Delays of 2 ms one way, so that a window can be good."""


@dataclass
class Trace:
    """A ledger and the windows that went in; window 0 is that at START_NS, later ones follow."""

    specs: Sequence[LinkSpec] = ALONE
    period: int = 90
    classes: int = 1
    tests: Frame = field(default_factory=lambda: throughput([]))
    window: int = -1

    def __post_init__(self) -> None:
        self.ledger = Ledger(WINDOW_NS, self.period * WINDOW_NS)

    @property
    def start_ns(self) -> int:
        """Of the last window."""
        return START_NS + self.window * WINDOW_NS

    def absorb(self, rows: Sequence[Mapping[str, Any]] = (), **others: Any) -> None:
        """Rows that come before the next judgement."""
        frames = [windows(rows)] if rows else []
        self.ledger.absorb(frames, [], self.specs, classes=self.classes, **others)

    def then(self, *rows: Mapping[str, Any], **others: Any) -> list[dict[str, Any]]:
        """The next window: rows as of tests.quality.world, moved to it; STATE of each link."""
        self.window += 1
        self.absorb([{**each, "start_ns": self.start_ns} for each in rows], **others)
        return self.judged()

    def judged(self, window: int | None = None) -> list[dict[str, Any]]:
        """STATE of each link in that window, or the last."""
        start_ns = self.start_ns if window is None else START_NS + window * WINDOW_NS
        state = self.ledger.judge(self.tests, start_ns)
        return [values(state, at) for at in range(state.rows)]


def back(**columns: Any) -> dict[str, Any]:
    """A row of the reverse link."""
    return row(link=str(BACK), **columns)


def event(kind: str, window: float, *, length: float = 1, of_class: str = "0", **columns: Any) -> Frame:
    """One EVENT row of the link there, that begins so many windows after START_NS."""
    given = {"link": str(THERE), "class": of_class, "kind": kind, **columns}
    given |= {"start_ns": START_NS + int(window * WINDOW_NS), "length_ns": int(length * WINDOW_NS)}
    return Frame.of(EVENT, {name: [value] for name, value in given.items()})


def certificate(window: int, days_left: float, presented: int = 1, link: str = str(THERE)) -> Frame:
    """One CERTIFICATE row."""
    given = {"link": link, "start_ns": START_NS + window * WINDOW_NS, "presented": presented}
    return Frame.of(CERTIFICATE, {name: [value] for name, value in {**given, "days_left": days_left}.items()})
