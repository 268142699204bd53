"""What a window's STATE says of each way: in trouble, surely well or unknown, for each sort of trouble. Pure.

- dark: nothing comes back (`unanswered_s`). Well: something does. Where the far end hears what it does not
  answer, the way out is well.
- lossy: some loss on a link that broke its objective lately, in LEAST_BREACHES windows. Well: what was lost
  lately excludes, at WELL_CONFIDENCE, as much loss as the links in trouble have; a link with few packets is
  unknown beside links that lose little. Of links whose flows may cross different hops the flows tell
  (alerts.causes.flow_trouble). What was lossy lately keeps a place, but only what surely loses now opens one.
- slow: delay, variation or CE marks above the objective, also lately, on the way that is known, else on one
  of both. Well: within the objectives, and not risen as that of the links in trouble did.

A link that was lossy or slow in one window only is unknown: two links that had a bad second are no place.

What was not measured by a fit agent is unknown, and so is what announced work or a drill touches: trouble on
purpose has its place already.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.causes.flow_trouble import FlowTroubles, LossesOf, WaysOf
from alerts.evaluation.evaluate import Suspects
from alerts.rule import FORWARD
from linkgauge.frame import Frame
from linkgauge.judged_tables import DOWN_S
from linkgauge.model import DelayBasis
from quality.places.crossings import Crossings
from quality.places.sights import BAD, UNKNOWN, WELL, Evidence
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


@dataclass(frozen=True, slots=True)
class _Loss:
    """Loss of one window in one direction, (n,): the ratio, its bounds, how much it is surely above the
    objective; NaN where it is not judged."""

    ratio: Reals
    upper: Reals
    lower: Reals
    excess: Reals


class Troubles:
    """Remembers a few windows of loss; not thread safe."""

    def __init__(self, flow_losses: LossesOf, ways: WaysOf) -> None:
        self._flows = FlowTroubles(flow_losses, ways)
        self._loss: deque[tuple[_Loss, _Loss]] = deque(maxlen=LOOK_BACK)
        self._names: NDArray[np.object_] = np.empty(0, np.object_)

    def note(self, state: Frame) -> None:
        """Take up a window of STATE."""
        names = state.text("link")
        if len(names) != len(self._names) or bool(np.any(names != self._names)):
            self._loss.clear()
            self._names = names
            self._flows.begin(len(names))
        usable = usable_links(state)
        forward, backward = (_loss(state, usable, way) for way in ("forward", "backward"))
        self._loss.append((forward, backward))
        start_ns = int(state.count("start_ns").max(initial=0))
        self._flows.note(start_ns, start_ns + int(state.count("length_ns").max(initial=0)), forward.ratio > 0)

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
            LOSSY: self._lossy(suspects, rows, dark, crossings, state.count("flows")),
            SLOW: _slow(state, usable, lately),
        }

    def _lossy(
        self,
        suspects: Sequence[Suspects],
        rows: Mapping[str, int],
        dark: Evidence,
        crossings: Crossings,
        flows: NDArray[np.int64],
    ) -> Evidence:
        told = [np.zeros(len(loss.ratio), np.int8) for loss in (*self._loss[-1], self._loss[-1][0])]
        of_loss = [each for each in suspects if each.watch.rule.name in _LOSS]
        begun = max((int(each.breached.max(initial=1)) for each in of_loss), default=1)
        for way, loss in enumerate(self._loss[-1]):
            mine = [each for each in of_loss if (each.watch.direction == FORWARD) == (way == 0)]
            lately = _lately(mine, rows, len(loss.ratio))
            told[way][lately & (loss.ratio > 0)] = BAD
        level = self._level(told)
        by_flow = _lately([each for each in suspects if each.watch.rule.name == _FLOW_LOSS], rows, len(flows))
        of_flows = self._flows.told(self._names, told[0] == BAD, by_flow, flows)
        told[0][of_flows.unknown] = UNKNOWN
        _undirected(told, self._loss[-1][0].ratio > 0, crossings)
        for way in (0, 1):
            told[way][self._clean(way, min(begun, len(self._loss)), level) & (told[way] == UNKNOWN)] = WELL
        told[0][of_flows.unknown] = UNKNOWN
        least = np.nan_to_num(self._loss[-1][0].lower)
        for way, known in enumerate((dark.forward, dark.backward, dark.either)):
            told[way][known == BAD] = BAD
            least[known == BAD] = 1.0
        now = (self._loss[-1][0].excess > 0) | (self._loss[-1][1].excess > 0) | (dark.either == BAD)
        now |= by_flow & (self._loss[-1][0].ratio > 0)
        return Evidence(
            told[0],
            told[1],
            told[2],
            of_flows.flows,
            least=least,
            cleared=of_flows.cleared,
            untold=of_flows.untold,
            now=now,
        )

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


def usable_links(state: Frame) -> Mask:
    """Links that a fit agent measured, and which nobody touches on purpose."""
    usable: Mask = (state.count("fit") == 1) & (state.count("maintenance") == 0) & (state.count("drill") == 0)
    return usable


def _dark(state: Frame, usable: Mask, crossings: Crossings) -> Evidence:
    unanswered_s = np.where(usable, state.real("unanswered_s"), np.nan)
    either, forward = np.zeros((2, state.rows), np.int8)
    either[unanswered_s > DOWN_S] = BAD
    either[unanswered_s == 0] = WELL
    reverse = crossings.reverse
    nothing_back = np.isnan(unanswered_s) | ((unanswered_s == 0) & np.isnan(state.real("delay_us")))
    told = usable & nothing_back & (reverse >= 0)
    told &= usable[reverse] & (either[reverse] == BAD)
    forward[told], either[told] = WELL, UNKNOWN
    return Evidence(forward, np.zeros_like(forward), either, whole=True)


def _undirected(told: Sequence[NDArray[np.int8]], loses: Mask, crossings: Crossings) -> None:
    """Where both ways between two nodes lose, it may be one of them: of a flow that is dead on its way back
    nothing comes back to say so, and both ends count it as lost on the way out."""
    reverse = crossings.reverse
    both = (told[0] == BAD) & (reverse >= 0) & loses[reverse]
    told[0][both], told[2][both] = UNKNOWN, BAD


def _loss(state: Frame, usable: Mask, way: str) -> _Loss:
    excess = np.where(usable, state.real(f"loss_{way}_excess_ratio"), np.nan)
    known = np.isfinite(excess)
    ratio = np.where(known, state.real(f"loss_{way}_ratio"), np.nan)
    upper = np.where(known, state.real(f"loss_{way}_upper_ratio"), np.nan)
    lower = np.where(known, state.real(f"loss_{way}_lower_ratio"), np.nan)
    return _Loss(ratio, upper, lower, excess)


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
