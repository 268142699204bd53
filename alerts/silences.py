"""Announced work and silences of the inventory, as the engine asks for them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from alerts.evaluate import Window
from linkgauge.inventory import Inventory


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
