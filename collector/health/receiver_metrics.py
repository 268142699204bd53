"""What /metrics tells of each receiver of alerts: what became of its notices, whether it is in trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from collector.health.metrics import Metrics

OUTCOMES = {
    "waiting": "Notices that the receiver has yet to take.",
    "delivered": "Notices that the receiver took.",
    "digested": "Notices of these that went together with others as one message.",
    "given_up": "Notices that the receiver refused for good.",
    "dropped": "Notices that fell to the bound on what waits.",
    "passed_by": "Notices that the receiver's filters left out.",
}


def watch_receivers(metrics: Metrics, standing: Callable[[], Sequence[dict[str, Any]]]) -> None:
    """Adds the metrics. standing: its name, trouble, and a number (or None) of each outcome."""
    for outcome, text in OUTCOMES.items():

        def read(outcome: str = outcome) -> Iterable[tuple[str, float]]:
            return [(each["name"], float(each[outcome])) for each in standing() if each[outcome] is not None]

        ending = "" if outcome == "waiting" else "_total"
        metrics.watch(f"notices_{outcome}{ending}", text, "receiver", read)
    metrics.watch(
        "receiver_troubled",
        "1: the receiver did not take its last message, or only part of it.",
        "receiver",
        lambda: [(each["name"], float(each["trouble"] is not None)) for each in standing()],
    )
