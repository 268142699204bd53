"""What fires and who is down, as of the last window, for /metrics. A stage behind the observers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from collector.health.metrics import Metrics
from collector.live.judged import Judged
from linkgauge.frame import Frame
from linkgauge.judged_tables import SILENT_S
from linkgauge.schema import ALERT, NODE


class Firing:
    """Counts by rule. A rule that has fired is told with 0 when it does no more."""

    def __init__(self) -> None:
        self._firing: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._down = self._silent = 0

    def __call__(self, judged: Judged) -> None:
        if (alerts := judged.get(ALERT.name)) is not None:
            firing = alerts.take(alerts.count("firing") == 1)
            self._firing = _counted(self._firing, firing)
            self._held = _counted(self._held, firing.take(firing.count("held_back") == 1))
        if (nodes := judged.get(NODE.name)) is not None:
            self._down = int((nodes.real("down_ratio") == 1).sum())
            self._silent = int((nodes.real("silent_s") > SILENT_S).sum())

    def watch(self, metrics: Metrics) -> None:
        """Add the counts to the metrics."""
        metrics.watch("alerts_firing", "Alerts that fire, by rule.", "rule", lambda: _pairs(self._firing))
        metrics.watch(
            "alerts_held_back",
            "Of these: nobody is told, because another alert explains it or by a silence.",
            "rule",
            lambda: _pairs(self._held),
        )
        metrics.watch_one("nodes_down", "Nodes that answer nobody.", lambda: self._down)
        metrics.watch_one(
            "nodes_silent", "Nodes whose agent was not heard for a minute.", lambda: self._silent
        )


def _counted(before: Counter[str], alerts: Frame) -> Counter[str]:
    found: Counter[str] = Counter(dict.fromkeys(before, 0))
    found.update(alerts.text("rule").tolist())
    return found


def _pairs(counts: Counter[str]) -> Iterable[tuple[str, float]]:
    return [(rule, float(count)) for rule, count in counts.items()]
