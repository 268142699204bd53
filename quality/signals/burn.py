"""How fast links use up their error budget: over several spans at once, with what few windows allow. Pure.

A window is good, bad, or neither (quality.signals.columns). Burn = share of bad windows / (1 - good_ratio):
at 1 the budget of a span is used up exactly at its end. Two spans each (Google, The Site Reliability
Workbook, 2018, chapter 5): the long one says that it matters, the short one, a twelfth of it, that it goes
on.

Few windows: a span is told only when at least half of its windows, and of the long one LEAST, are good or
bad; and the long span counts by its lower bound (Clopper-Pearson, 95 % one-sided), so that with a budget of
0.01 % one bad window of an hour is not a burn of 28. Bad windows come in bursts; the bound supposes that they
do not.

Counts are kept in slots of five minutes and of an hour: a span begins with a whole slot, so it is up to a
slot longer than its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError, WireError
from linkgauge.packing import pack, unpack
from quality.evidence import Rows
from quality.memory.packed import Packed
from quality.memory.ring import Ring
from quality.statistics import confidence
from quality.statistics.confidence import VERDICT_CONFIDENCE

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

SLOT_NS, HOUR_NS = 300 * NS_PER_S, 3_600 * NS_PER_S
FAST_NS = SLOT_NS, HOUR_NS
SLOW_NS = 6 * SLOT_NS, 6 * HOUR_NS
BUDGET_NS = 72 * HOUR_NS
LEAST = 10
"""Windows that the long span needs."""
_GOOD, _BAD = 0, 1
_MOST_BYTES = 2**30
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Burns:
    """Each (n,), NaN where it is not known. budget_left_ratio: 1 - bad windows of three days / those allowed
    when all are measured; may be below 0."""

    fast_ratio: Reals
    slow_ratio: Reals
    budget_left_ratio: Reals


class _Kept(msgspec.Struct):
    """A snapshot: arrays of uint16 as octets, (2, links) each."""

    version: int
    window_ns: int
    newest_ns: int
    links: list[str]
    slots: dict[int, bytes]
    hours: dict[int, bytes]


class Burn:
    """Not thread safe. remember_ns: how long ago a window may be judged again."""

    def __init__(self, window_ns: int, remember_ns: int) -> None:
        self._window_ns, self._remember_ns = window_ns, remember_ns
        self._slots, self._hours = Ring(2), Ring(2)
        self._windows: dict[int, Packed] = {}
        self._told: dict[int, Packed] = {}
        self._newest_ns = self._restored_ns = 0

    @property
    def newest_ns(self) -> int:
        """Start of the newest window counted; 0 for none."""
        return self._newest_ns

    def count(self, start_ns: int, link: Rows, good: Counts, bad: Counts, links: int) -> None:
        """Count a window of the links (m,), or what it is when it is judged again; good, bad (m,) 0 or 1."""
        held = self._windows.get(start_ns)
        if held is None and start_ns <= max(self._restored_ns, self._newest_ns - self._remember_ns):
            return  # counted in an earlier life, or too long ago to know what it was counted as
        if not self._newest_ns:
            self._slots.forget_after(start_ns)
            self._hours.forget_after(start_ns)
        before = np.zeros((2, links), np.int64)
        if held is not None:
            before = held.arrays()[0].astype(np.int64)
        now = before.copy()
        now[:, link] = good > 0, (bad > 0) & (good == 0)
        self._windows[start_ns] = Packed.of(now.astype(np.uint8))
        if (now != before).any():
            for ring, slot_ns in ((self._slots, SLOT_NS), (self._hours, HOUR_NS)):
                at_ns = start_ns - start_ns % slot_ns
                ring.put(at_ns, ring.at(at_ns, links) + now - before)
        self._newest_ns = max(self._newest_ns, start_ns)
        self._forget()

    def set_back(self) -> None:
        """The clock was set back: the next window counts, and slots after it are still to come."""
        self._windows, self._told = {}, {}
        self._newest_ns = self._restored_ns = 0

    def at(self, start_ns: int, good_ratio: Reals) -> Burns:
        """What the links (n,) have burnt when the window from start_ns ends. A window judged again is told
        what it was told first, because later windows are in its slots by now."""
        links, told = len(good_ratio), self._told.get(start_ns)
        if told is None or told.kinds[0][1][1] != links:
            told = self._told[start_ns] = Packed.of(self._ratios(start_ns, good_ratio))
        return Burns(*told.arrays()[0])

    def _ratios(self, start_ns: int, good_ratio: Reals) -> Reals:
        links, budget = len(good_ratio), np.maximum(1 - good_ratio, 1e-9)
        long = [self._span(self._slots, SLOT_NS, start_ns, span, links) for span in (FAST_NS[1], SLOW_NS[1])]
        short = [self._span(self._slots, SLOT_NS, start_ns, span, links) for span in (FAST_NS[0], SLOW_NS[0])]
        days = self._span(self._hours, HOUR_NS, start_ns, BUDGET_NS, links)
        found = [
            np.minimum(self._ratio(low, spans[0], False), self._ratio(high, spans[1], True)) / budget
            for low, high, spans in zip(short, long, (FAST_NS, SLOW_NS), strict=True)
        ]
        allowed = budget * (BUDGET_NS // self._window_ns)
        left = np.where(days.sum(axis=0) > 0, 1 - days[_BAD] / allowed, np.nan)
        return np.array([*found, left])

    def _span(self, ring: Ring, slot_ns: int, start_ns: int, span_ns: int, links: int) -> Counts:
        """Good and bad windows (2, links) of the span that ends with this window."""
        from_ns = start_ns + self._window_ns - span_ns
        return ring.total(from_ns - from_ns % slot_ns, start_ns, links)

    def _ratio(self, counts: Counts, span_ns: int, surely: bool) -> Reals:
        """Share of bad windows (n,), or its lower bound; NaN with too few windows."""
        judged = counts.sum(axis=0)
        enough = judged >= max(LEAST if surely else 1, span_ns // self._window_ns / 2)
        told = np.zeros(len(judged))
        some = enough & (counts[_BAD] > 0)
        if surely:
            told[some] = confidence.lower(counts[_BAD][some], judged[some], VERDICT_CONFIDENCE)
        else:
            told[some] = counts[_BAD][some] / judged[some]
        return np.where(enough, told, np.nan)

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        self._slots.move(place, links)
        self._hours.move(place, links)
        kept = place >= 0
        for start_ns, packed in self._windows.items():
            held = packed.arrays()[0]
            moved = np.zeros((2, links), np.uint8)
            moved[:, place[: held.shape[1]][kept[: held.shape[1]]]] = held[:, kept[: held.shape[1]]]
            self._windows[start_ns] = Packed.of(moved)
        self._told.clear()

    def snapshot(self, links: Sequence[str]) -> bytes:
        """Everything counted, to be kept over a restart. links: their names in order."""
        slots, hours = (
            {at: np.minimum(ring.at(at, len(links)), 65_535).astype("<u2").tobytes() for at in ring.starts}
            for ring in (self._slots, self._hours)
        )
        return pack(
            msgspec.msgpack.encode(
                _Kept(_VERSION, self._window_ns, self._newest_ns, list(links), slots, hours)
            )
        )

    def restore(self, body: bytes, numbers: Mapping[str, int]) -> None:
        """Take up a snapshot instead of what is counted; numbers: of the links of now, by name. Raises
        StoreError when it is none of this version, or of other windows."""
        kept = _decoded(body)
        if kept.window_ns != self._window_ns:
            length_s = kept.window_ns / NS_PER_S
            raise StoreError(
                f"the kept counts of error budgets are of windows of {length_s:g} s; remove them"
            )
        columns = [
            (at, number) for at, name in enumerate(kept.links) if (number := numbers.get(name)) is not None
        ]
        former, now = (
            np.array(each, np.intp) for each in (zip(*columns, strict=True) if columns else ((), ()))
        )
        for ring, slots in ((self._slots, kept.slots), (self._hours, kept.hours)):
            ring.forget(2**63 - 1)
            for at_ns, octets in slots.items():
                matrix = np.zeros((2, len(numbers)), np.int64)
                matrix[:, now] = np.frombuffer(octets, "<u2").reshape(2, len(kept.links))[:, former]
                ring.put(at_ns, matrix)
        self._windows, self._told = {}, {}
        self._newest_ns = self._restored_ns = kept.newest_ns

    def _forget(self) -> None:
        for ring, span_ns, slot_ns in ((self._slots, SLOW_NS[1], SLOT_NS), (self._hours, BUDGET_NS, HOUR_NS)):
            ring.forget(self._newest_ns - span_ns - self._remember_ns - slot_ns)
        for held in (self._windows, self._told):
            for start_ns in [each for each in held if each < self._newest_ns - self._remember_ns]:
                del held[start_ns]


def _decoded(body: bytes) -> _Kept:
    try:
        kept = msgspec.msgpack.decode(unpack(body, _MOST_BYTES), type=_Kept)
    except (msgspec.MsgspecError, WireError) as err:
        raise StoreError(f"the kept counts of error budgets cannot be read ({err}); remove them") from None
    octets = 2 * 2 * len(kept.links)
    if kept.version != _VERSION or any(
        len(each) != octets for each in (*kept.slots.values(), *kept.hours.values())
    ):
        raise StoreError("the kept counts of error budgets are of another version, or cut short; remove them")
    return kept
