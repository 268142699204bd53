"""Announced work and silences of the inventory, and which alerts nobody is told of because of them. Pure.

A place is silenced with the links of which it is: when of all that it explains nobody would be told either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from alerts.causes.trouble import DARK, LOSSY, REMARKED, SLOW, SMALL
from alerts.evaluation.evaluate import Window
from alerts.roll.roll import Alert
from linkgauge.inventory import Inventory

Labels = Mapping[str, str]
TOLD_BY = {
    DARK: ("link-unreachable",),
    LOSSY: ("link-loss", "loss-bursts", "flow-loss"),
    SLOW: ("link-delay", "delay-variation", "congestion-marks"),
    SMALL: ("mtu-shrunk",),
    REMARKED: ("dscp-remarked",),
}
"""Rules that tell of each sort of trouble of a link."""


def hushed(
    alerts: Iterable[Alert],
    silenced: Callable[[Labels], str | None],
    troubles: Callable[[str], Mapping[str, str]],
    labels: Callable[[str], Labels | None],
) -> dict[str, str]:
    """Ids of alerts of which nobody was or is told, and why. silenced: why an alert with such labels is not
    told. troubles: see alerts.causes.explanation.Cause. labels: those of a link."""
    found: dict[str, str] = {}
    for fired in (alert.fired for alert in alerts if not alert.told):
        why = silenced(fired.labels)
        if why is None and "place" in fired.labels:
            why = _of_all(troubles(fired.about), silenced, labels)
        if why is not None:
            found[fired.id] = why
    return found


def _of_all(
    troubles: Mapping[str, str],
    silenced: Callable[[Labels], str | None],
    labels: Callable[[str], Labels | None],
) -> str | None:
    """Why of none of these links anybody is told; None: of some somebody is, or there are none."""
    why: str | None = None
    for link, trouble in troubles.items():
        for rule in TOLD_BY[trouble]:
            why = silenced({**(labels(link) or {}), "rule": rule})
            if why is None:
                return None
    return why


class Listed:
    """inventory: the one of now; it is asked in every window, as it is read again while running."""

    def __init__(self, inventory: Callable[[], Inventory]) -> None:
        self._inventory = inventory

    def silenced(self, labels: Mapping[str, str], window: Window) -> str | None:
        """Why an alert with these labels is told to nobody now; None: it is told."""
        inventory = self._inventory()
        for work in inventory.maintenance:
            if work.runs(window.start_ns, window.end_ns) and work.covers(labels):
                return f"announced work: {work.reason}"
        for silence in inventory.silences:
            if silence.runs(window.end_ns) and silence.covers(labels):
                return f"silence: {silence.reason}"
        return None
