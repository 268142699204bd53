"""What few packets leave unseen: rules that cannot fire or only late, verdicts that cannot be met. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from alerts.rule import Rule
from linkgauge.inventory import Inventory
from linkgauge.inventory_file import LONGEST_PERIOD_S
from linkgauge.probing import MOST_RATE_PPS
from quality.signals.columns import LEAST_MARKS
from quality.signals.signs import LEAST_PDV, LEAST_UNANSWERED
from quality.statistics.confidence import VERDICT_CONFIDENCE

LATE_S = 60.0
"""A rule that needs longer for its packets is late."""
_NEEDED = {"loss_": 1, "delay_excess": 1, "ce_": 1, "remarked_": LEAST_MARKS, "pdv_": LEAST_PDV}
"""Columns that a window's own packets of STAMP make, by how they begin: so many it must have."""


def notes(inventory: Inventory, rules: Sequence[Rule]) -> Iterator[str]:
    """One sentence for the rules and one for the verdicts, where there are such."""
    rate_pps, window_s = inventory.probing.stamp.rate_pps, inventory.window_s
    late = {rule.name: _late_s(rule, rate_pps, window_s) for rule in rules if rule.table == "state"}
    never = [name for name, late_s in late.items() if late_s == math.inf]
    slow = [f"{name} after {late_s:.0f} s" for name, late_s in late.items() if LATE_S < late_s < math.inf]
    if never or slow:
        needed = max(_needed(rule) for rule in rules if rule.name in late)
        serve_pps = math.ceil(100 * needed / window_s) / 100
        can = [f"{', '.join(never)} cannot fire"] * bool(never) + [f"{', '.join(slow)} at best"] * bool(slow)
        yield (
            f"probing.stamp.rate_pps: {rate_pps:g} a second are {_each(rate_pps * window_s, window_s)}, too "
            f"few for some rules: {'; '.join(can)}; {serve_pps:g} serve them all"
        )
    yield from _verdicts(inventory)


def _each(packets: float, window_s: int) -> str:
    """Of a link and class."""
    if packets > 1:
        return f"{packets:.3g} packets a window of {window_s} s"
    return f"one packet each {1 / packets:.3g} windows of {window_s} s".replace(
        "each 1 windows", "each window"
    )


def _needed(rule: Rule) -> int:
    """Packets that a window must have for the rule to be able to breach; 0: it hangs on other things."""
    return next((needed for begin, needed in _NEEDED.items() if rule.field.startswith(begin)), 0)


def _late_s(rule: Rule, rate_pps: float, window_s: int) -> float:
    """How long trouble lasts until there are packets enough; infinite: there never are."""
    if rule.field == "unanswered_s":
        return LEAST_UNANSWERED / rate_pps
    needed, packets = _needed(rule), rate_pps * window_s
    if not needed:
        return 0.0
    if packets < needed and needed > 1:
        return math.inf
    if packets >= 1:
        return 0.0
    together = math.floor((rule.windows - 1) * packets) + 1
    if rule.unknown == "clears" and together < rule.hold_windows:
        return math.inf
    return rule.hold_windows / rate_pps


def _verdicts(inventory: Inventory) -> Iterator[str]:
    """Tiers of which no link can be met, however well it is."""
    packets = inventory.probing.stamp.rate_pps * inventory.period_s
    tiers = {spec.tier for spec in inventory.links.values()}
    if not tiers:
        return
    strictest = min(tiers, key=lambda tier: tier.loss_ratio)
    needed = math.ceil(math.log(1 - VERDICT_CONFIDENCE) / math.log1p(-strictest.loss_ratio))
    if packets < needed:
        yield (
            f"period_s: {inventory.period_s} s have {packets:.0f} packets of a link, and {needed} without "
            f"loss are needed to be met with tier {strictest.name} (loss_ratio {strictest.loss_ratio:g}): "
            f"its links stay unknown; {_mend(needed, inventory)}"
        )


def _mend(packets: int, inventory: Inventory) -> str:
    """How a period comes to have so many packets; only what the inventory takes."""
    rate_pps, longest_s = inventory.probing.stamp.rate_pps, LONGEST_PERIOD_S
    if (period_s := math.ceil(packets / rate_pps)) <= longest_s:
        return f"take {period_s} or more, or a higher probing.stamp.rate_pps"
    if (needed_pps := _rounded_up(packets / inventory.period_s)) <= MOST_RATE_PPS:
        return f"take a probing.stamp.rate_pps of {needed_pps:g} or more: no period_s is long enough"
    if (needed_pps := _rounded_up(packets / longest_s)) <= MOST_RATE_PPS:
        return f"take a period_s of {longest_s} and a probing.stamp.rate_pps of {needed_pps:g} or more"
    return "no rate and no period are enough; take a larger loss_ratio"


def _rounded_up(rate_pps: float) -> float:
    """To two digits."""
    step = 10.0 ** (math.floor(math.log10(rate_pps)) - 1)
    return math.ceil(rate_pps / step) * step
