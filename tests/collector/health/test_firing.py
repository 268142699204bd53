"""What fires and who is down, counted for /metrics."""

from __future__ import annotations

from collector.health.firing import Firing
from collector.health.metrics import Metrics
from linkgauge.frame import Frame
from linkgauge.schema import ALERT, NODE


def alerts(*rows: tuple[str, int, int]) -> Frame:
    columns = {key: ["x"] * len(rows) for key in ALERT.keys}
    rules, firing, held = ([row[at] for row in rows] for at in range(3))
    return Frame.of(
        ALERT, {**columns, "rule": rules, "firing": firing, "held_back": held, "start_ns": [0] * len(rows)}
    )


def nodes(*rows: tuple[float, float]) -> Frame:
    columns = {key: [f"n{at}" for at in range(len(rows))] for key in NODE.keys}
    silent_s, down = ([row[at] for row in rows] for at in range(2))
    return Frame.of(NODE, {**columns, "silent_s": silent_s, "down_ratio": down, "start_ns": [0] * len(rows)})


def test_alerts_are_counted_by_rule_and_nodes_by_how_they_are() -> None:
    firing, metrics = Firing(), Metrics()
    firing.watch(metrics)
    nan = float("nan")
    first = alerts(("link-loss", 1, 1), ("link-loss", 1, 0), ("link-loss", 0, 0), ("node-down", 1, 0))
    firing({"alert": first, "node": nodes((0, nan), (61, 1), (500, 0), (nan, 1))})
    told = metrics.values()
    assert (told["alerts_firing:link-loss"], told["alerts_firing:node-down"]) == (2, 1)
    assert told["alerts_held_back:link-loss"] == 1
    assert (told["nodes_down"], told["nodes_silent"]) == (2, 2)
    firing({"alert": alerts()})
    told = metrics.values()
    assert (told["alerts_firing:link-loss"], told["alerts_held_back:link-loss"]) == (0, 0)
    assert told["nodes_down"] == 2
