"""What a window's STATE says of each way: in trouble, surely well or unknown, for each sort of trouble. Pure.

- dark: nothing comes back (`unanswered_s`). Well: something does. Where the far end hears what it does not
  answer, the way out is well.
- lossy: some loss on a link that broke its objective lately, in LEAST_BREACHES windows. Well: what was lost
  lately excludes, at WELL_CONFIDENCE, as much loss as the links in trouble have; a link with few packets is
  unknown beside links that lose little. Of links of which only some flows lose, each flow is told by itself.
- slow: delay, variation or CE marks above the objective, also lately, on the way that is known, else on one
  of both. Well: within the objectives, and not risen as that of the links in trouble did.

A link that was lossy or slow in one window only is unknown: two links that had a bad second are no place.

What was not measured by a fit agent is unknown, and so is what announced work or a drill touches: trouble on
purpose has its place already.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.evaluation.evaluate import Suspects
from alerts.rule import FORWARD
from linkgauge.frame import Frame
from linkgauge.judged_tables import DOWN_S
from linkgauge.model import DelayBasis
from quality.places.crossings import Crossings
from quality.places.sights import BAD, UNKNOWN, WELL, Evidence, FlowSight
from quality.statistics.confidence import ALERT_CONFIDENCE

Mask = NDArray[np.bool_]
Reals = NDArray[np.float64]

WELL_CONFIDENCE = 0.99
LEAST_BREACHES = 2
LOOK_BACK = 6
"""Windows whose packets tell that a link loses nothing; those since the trouble began, at most."""
_RISEN_SHARE, _RISEN_LEAST_US = 0.25, 200.0
_LITTLE = 0.1
"""Who surely loses less than this share of what the links in trouble lose is well. More is unknown: fewer of
its flows may cross the place."""
DARK, LOSSY, SLOW = "dark", "lossy", "slow"
SMALL, REMARKED = "small", "remarked"
"""Of packets that are altered, not lost or late: alerts.causes.altered."""
_LOSS, _FLOW_LOSS = ("link-loss", "loss-bursts"), "flow-loss"
_OF_SLOWNESS = ("link-delay", "delay-variation", "congestion-marks")
FlowsOf = Callable[[], Mapping[str, Mapping[str, bool]]]
"""Links with bad flows: names of their flows, and whether they are bad."""
WaysOf = Callable[[str], Mapping[str, tuple[str, ...]]]
"""The hops of each flow of a link, by its name."""


@dataclass(frozen=True, slots=True)
class _Loss:
    """Loss of one window in one direction, (n,): the ratio and its bounds; NaN where it is not judged."""

    ratio: Reals
    upper: Reals
    lower: Reals


class Troubles:
    """Remembers a few windows of loss; not thread safe."""

    def __init__(self, bad_flows: FlowsOf, ways: WaysOf) -> None:
        self._bad_flows, self._ways = bad_flows, ways
        self._loss: deque[tuple[_Loss, _Loss]] = deque(maxlen=LOOK_BACK)
        self._names: NDArray[np.object_] = np.empty(0, np.object_)

    def note(self, state: Frame) -> None:
        """Take up a window of STATE."""
        names = state.text("link")
        if len(names) != len(self._names) or bool(np.any(names != self._names)):
            self._loss.clear()
            self._names = names
        usable = usable_links(state)
        forward, backward = (_loss(state, usable, way) for way in ("forward", "backward"))
        self._loss.append((forward, backward))

    def evidence(
        self, state: Frame, suspects: Sequence[Suspects], rows: Mapping[str, int], crossings: Crossings
    ) -> dict[str, Evidence]:
        """By sort of trouble; the window was noted."""
        usable = usable_links(state)
        dark = _dark(state, usable, crossings)
        lately = _lately(
            [each for each in suspects if each.watch.rule.name in _OF_SLOWNESS], rows, state.rows
        )
        return {
            DARK: dark,
            LOSSY: self._lossy(suspects, rows, dark, crossings),
            SLOW: _slow(state, usable, lately),
        }

    def _lossy(
        self, suspects: Sequence[Suspects], rows: Mapping[str, int], dark: Evidence, crossings: Crossings
    ) -> Evidence:
        told = [np.zeros(len(loss.ratio), np.int8) for loss in (*self._loss[-1], self._loss[-1][0])]
        of_loss = [each for each in suspects if each.watch.rule.name in _LOSS]
        begun = max((int(each.breached.max(initial=1)) for each in of_loss), default=1)
        for way, loss in enumerate(self._loss[-1]):
            mine = [each for each in of_loss if (each.watch.direction == FORWARD) == (way == 0)]
            lately = _lately(mine, rows, len(loss.ratio))
            told[way][lately & (loss.ratio > 0)] = BAD
        _undirected(told, self._loss[-1][0].ratio > 0, crossings)
        level = self._level(told)
        for way in (0, 1):
            told[way][self._clean(way, min(begun, len(self._loss)), level) & (told[way] == UNKNOWN)] = WELL
        for way, known in enumerate((dark.forward, dark.backward, dark.either)):
            told[way][known == BAD] = BAD
        flows = self._flows(suspects, rows)
        told[0][[flow.link for flow in flows]] = UNKNOWN
        least = np.nan_to_num(self._loss[-1][0].lower)
        return Evidence(told[0], told[1], told[2], flows, least=least)

    def _level(self, told: Sequence[NDArray[np.int8]]) -> float:
        """How much the links in trouble lose, 0..1; the median."""
        ratios = [
            loss.ratio[(told[way] == BAD) | (told[2] == BAD)] for way, loss in enumerate(self._loss[-1])
        ]
        known = np.concatenate(ratios)
        known = known[np.isfinite(known)]
        return float(np.median(known)) if len(known) else 1.0

    def _clean(self, way: int, windows: int, level: float) -> Mask:
        """Links of which the last windows exclude so much loss."""
        tail = math.log(1 - WELL_CONFIDENCE)
        per_packet = math.log1p(-min(max(level, 1e-6), 1 - 1e-6))
        expected = np.zeros(len(self._loss[-1][way].ratio))
        clean = np.ones(len(expected), np.bool_)
        for each in list(self._loss)[-windows:]:
            loss = each[way]
            with np.errstate(invalid="ignore", divide="ignore"):
                packets = np.where(
                    loss.ratio == 0,
                    math.log(1 - ALERT_CONFIDENCE) / np.log1p(-np.minimum(loss.upper, 1 - 1e-12)),
                    0.0,
                )
            expected += np.nan_to_num(packets) * per_packet
            clean &= ~(loss.ratio > 0)
        now = self._loss[-1][way]
        with np.errstate(invalid="ignore"):
            below = now.upper < _LITTLE * level
        return (clean & (expected <= tail)) | below

    def _flows(self, suspects: Sequence[Suspects], rows: Mapping[str, int]) -> list[FlowSight]:
        """Flows of links of which only some lose, while they do lose."""
        sights: list[FlowSight] = []
        of_flows = [each for each in suspects if each.watch.rule.name == _FLOW_LOSS]
        lately = _lately(of_flows, rows, len(self._names))
        for name, flows in self._bad_flows().items():
            row = rows.get(name)
            if (
                row is None
                or not lately[row]
                or not any(each[0].ratio[row] > 0 for each in list(self._loss)[-3:])
            ):
                continue
            ways = self._ways(name)
            sights += [FlowSight(row, ways[flow], bad) for flow, bad in flows.items() if flow in ways]
        return sights


def usable_links(state: Frame) -> Mask:
    """Links that a fit agent measured, and which nobody touches on purpose."""
    usable: Mask = (state.count("fit") == 1) & (state.count("maintenance") == 0) & (state.count("drill") == 0)
    return usable


def _dark(state: Frame, usable: Mask, crossings: Crossings) -> Evidence:
    unanswered_s = np.where(usable, state.real("unanswered_s"), np.nan)
    either, forward = np.zeros((2, state.rows), np.int8)
    either[unanswered_s > DOWN_S] = BAD
    either[unanswered_s == 0] = WELL
    reverse = _reverse(crossings)
    nothing_back = np.isnan(unanswered_s) | ((unanswered_s == 0) & np.isnan(state.real("delay_us")))
    told = usable & nothing_back & (reverse >= 0)
    told &= usable[reverse] & (either[reverse] == BAD)
    forward[told], either[told] = WELL, UNKNOWN
    return Evidence(forward, np.zeros_like(forward), either, whole=True)


def _reverse(crossings: Crossings) -> NDArray[np.intp]:
    """The row of the reverse of each link (n,); -1 for none."""
    of_way = np.full(crossings.ways, -1, np.intp)
    of_way[crossings.forward] = np.arange(len(crossings.forward))
    reverse: NDArray[np.intp] = of_way[crossings.backward]
    return reverse


def _undirected(told: Sequence[NDArray[np.int8]], loses: Mask, crossings: Crossings) -> None:
    """Where both ways between two nodes lose, it may be one of them: of a flow that is dead on its way back
    nothing comes back to say so, and both ends count it as lost on the way out."""
    reverse = _reverse(crossings)
    both = (told[0] == BAD) & (reverse >= 0) & loses[reverse]
    told[0][both], told[2][both] = UNKNOWN, BAD


def _loss(state: Frame, usable: Mask, way: str) -> _Loss:
    excess = np.where(usable, state.real(f"loss_{way}_excess_ratio"), np.nan)
    known = np.isfinite(excess)
    ratio = np.where(known, state.real(f"loss_{way}_ratio"), np.nan)
    upper = np.where(known, state.real(f"loss_{way}_upper_ratio"), np.nan)
    lower = np.where(known, state.real(f"loss_{way}_lower_ratio"), np.nan)
    return _Loss(ratio, upper, lower)


def _lately(suspects: Sequence[Suspects], rows: Mapping[str, int], links: int) -> Mask:
    """Links (links,) that broke one of these bounds in several windows."""
    lately = np.zeros(links, np.bool_)
    for each in suspects:
        names = each.things[each.breached >= LEAST_BREACHES].tolist()
        lately[[rows[name] for name in names if name in rows]] = True
    return lately


def _slow(state: Frame, usable: Mask, lately: Mask) -> Evidence:
    told = np.zeros((3, state.rows), np.int8)
    late = usable & (state.real("delay_excess_us") > 0)
    varied = usable & (state.real("pdv_excess_us") > 0)
    marked = [usable & (state.real(f"ce_{way}_excess_ratio") > 0) for way in ("forward", "backward")]
    rise_us = state.real("delay_us") - state.real("period_delay_us")
    shift_us = state.real("asymmetry_shift_us")
    out = marked[0] | (late & (state.count("delay_basis") == DelayBasis.ONE_WAY))
    with np.errstate(invalid="ignore"):
        clear = (late | varied) & (np.abs(shift_us) > np.maximum(rise_us, _RISEN_LEAST_US))
        out |= clear & (shift_us > 0)
        back = marked[1] | (clear & (shift_us < 0))
        trouble = late | varied | out | back
        level_us = np.nanmedian(rise_us[trouble]) if np.isfinite(rise_us[trouble]).any() else 0.0
        calm = rise_us < max(_RISEN_SHARE * float(level_us), _RISEN_LEAST_US)
    well = usable & ~trouble & np.isfinite(state.real("delay_us")) & calm
    told[0][out & lately] = told[1][back & lately] = BAD
    told[2][trouble & ~out & ~back & lately] = BAD
    told[2][well] = WELL
    return Evidence(told[0], told[1], told[2])
