"""What Grafana 9.4 makes of a rule and of what InfluxDB answers: a small reference, after its sources.

Expressions: `reduce` with dropNN (count, last), `threshold` (gt, lt). States: a series of the answer is an
instance by its tags; an empty answer is NoData; `for` waits; an instance that two evaluations in a row did
not see is dropped, and its alert ends with the second of them (state/manager.go, stateIsStale).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Labels = tuple[tuple[str, str], ...]
Series = Mapping[Labels, Sequence[float]]

NORMAL, PENDING, ALERTING = "Normal", "Pending", "Alerting"
NO_DATA: Labels = (("ref_id", "A"),)


@dataclass(frozen=True, slots=True)
class Change:
    """An alert of these labels begins to fire, or ends."""

    labels: Labels
    fires: bool
    at_s: int


@dataclass(slots=True)
class _Instance:
    state: str = NORMAL
    since_s: int = 0
    seen_s: int = 0


@dataclass(slots=True)
class Engine:
    """One rule, evaluated every `every_s`."""

    rule: Json
    every_s: int
    instances: dict[Labels, _Instance] = field(default_factory=dict)

    def query(self, now_s: int) -> str:
        """The statement that InfluxDB gets in an evaluation at this Unix time."""
        text: str = self.rule["data"][0]["model"]["query"]
        span = self.rule["data"][0]["relativeTimeRange"]
        begin, end = (1_000 * (now_s - span[key]) for key in ("from", "to"))
        return text.replace("$timeFilter", f"time >= {begin}ms and time <= {end}ms")

    def evaluate(self, answer: Series, at_s: int) -> list[Change]:
        """One evaluation; what began and ended with it."""
        changes = [
            change
            for labels, breached in self._results(answer)
            if (change := self._next(labels, breached, at_s)) is not None
        ]
        for labels, instance in list(self.instances.items()):
            if instance.seen_s + 2 * self.every_s <= at_s:
                del self.instances[labels]
                if instance.state == ALERTING:
                    changes.append(Change(labels, False, at_s))
        return changes

    def _results(self, answer: Series) -> Iterator[tuple[Labels, bool]]:
        if not answer:
            yield NO_DATA, self.rule["noDataState"] == "Alerting"
            return
        for labels, values in answer.items():
            yield labels, bool(self._value(self.rule["condition"], values))

    def _value(self, ref_id: str, values: Sequence[float]) -> float:
        (model,) = (data["model"] for data in self.rule["data"] if data["refId"] == ref_id)
        if model["type"] == "reduce":
            assert (model["expression"], model["settings"]) == ("A", {"mode": "dropNN"})
            numbers = [value for value in values if not math.isnan(value)]
            return float(len(numbers)) if model["reducer"] == "count" else numbers[-1]
        assert model["type"] == "threshold"
        ((kind, bound),) = (
            (each["evaluator"]["type"], each["evaluator"]["params"][0]) for each in model["conditions"]
        )
        value = self._value(model["expression"], values)
        return float(value > bound if kind == "gt" else value < bound)

    def _next(self, labels: Labels, breached: bool, at_s: int) -> Change | None:
        instance = self.instances.setdefault(labels, _Instance())
        instance.seen_s, before = at_s, instance.state
        if not breached:
            instance.state = NORMAL
        elif before == NORMAL:
            instance.state = PENDING if self._for_s and labels != NO_DATA else ALERTING
            instance.since_s = at_s
        elif before == PENDING and at_s - instance.since_s >= self._for_s:
            instance.state = ALERTING
        if (before == ALERTING) == (instance.state == ALERTING):
            return None
        return Change(labels, instance.state == ALERTING, at_s)

    @property
    def _for_s(self) -> int:
        found = re.fullmatch(r"(\d+)([sm])", self.rule["for"])
        assert found is not None
        return int(found[1]) * (60 if found[2] == "m" else 1)
