"""Numbers as a person reads them in a sentence, by the unit at the end of their name. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

TIMES = 2
"""A ratio from here on is no share of something: "14.4 times" and not "1440 %"."""
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def told(template: str, numbers: Mapping[str, float], words: Mapping[str, str]) -> str:
    """A template with its numbers as text: ratios in percent or times, rates and octets with their unit."""
    return template.format(**{name: quantity(name, value) for name, value in numbers.items()}, **words)


def quantity(name: str, value: float) -> str:
    """A number as text; "an unknown share" or "unknown" when it is NaN."""
    if math.isnan(value):
        return "an unknown share" if name.endswith("_ratio") else "unknown"
    if name.endswith("_ratio"):
        return f"{value * 100:.3g} %" if abs(value) < TIMES else f"{value:.3g} times"
    if name.endswith("_us"):
        if abs(value) >= 1e6:
            return _duration(value / 1e6)
        return f"{value:.3g} us" if abs(value) < 1_000 else f"{value / 1_000:.3g} ms"
    if name.endswith("_s"):
        return _duration(value)
    if name.endswith("_bps"):
        return f"{value / 1e9:.3g} Gbit/s" if value >= 1e9 else f"{value / 1e6:.3g} Mbit/s"
    return f"{value:.10g}" if value.is_integer() else f"{value:.3g}"


def _duration(value_s: float) -> str:
    """Seconds in the largest unit of which there are two at least."""
    for unit_s, unit in ((DAY_S, "days"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if abs(value_s) >= 2 * unit_s:
            return f"{value_s / unit_s:.3g} {unit}"
    return f"{value_s:.3g} s"
