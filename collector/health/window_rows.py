"""Rows that the collector adds to the verdicts of a window: of nodes, as such and on each network, of its own
sinks, of itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from collector.live.judged import Judged
from collector.live.link_facts import plain
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.schema import COLLECTOR, MEMBER, NODE, SINK, STATE
from linkgauge.table import Table

Health = Callable[[], Mapping[str, float | int | str]]
Sinks = Callable[[], Mapping[str, Mapping[str, float | int]]]


class WindowRows:
    """A stage of the telling.

    name: the collector's. nodes, members: from STATE to NODE and MEMBER rows. sinks: the fields of each
    sink's row, by its name. health: those of the collector's row. While the journal cannot be read
    (StoreError) the rows of sinks and collector are left out: the intake tells of that.
    """

    def __init__(
        self,
        name: str,
        nodes: Callable[[Frame], Frame],
        members: Callable[[Frame], Frame],
        sinks: Sinks,
        health: Health,
    ) -> None:
        self._name, self._nodes, self._members = name, nodes, members
        self._sinks, self._health = sinks, health
        self._last_nodes: Frame | None = None

    def __call__(self, judged: Judged) -> Judged:
        """node, member, sink and collector rows of the window of the verdicts; none where there are none."""
        state = judged[STATE.name]
        if not state.rows:
            return {}
        made = {NODE.name: self._nodes(state), MEMBER.name: self._members(state)}
        self._last_nodes = made[NODE.name]
        at = {name: int(state.count(name)[0]) for name in ("start_ns", "length_ns")}
        with contextlib.suppress(StoreError):
            sinks = self._sinks()
            rows = [{"collector": self._name, "sink": name, **at, **row} for name, row in sinks.items()]
            made[SINK.name] = _frame(SINK, rows)
            made[COLLECTOR.name] = _frame(COLLECTOR, [{"collector": self._name, **at, **self._health()}])
        return made

    def nodes(self) -> list[dict[str, Any]]:
        """The NODE rows of the last window, JSON-like: what is not known is None; none before the first."""
        return [] if self._last_nodes is None else _plain(self._last_nodes)


def _frame(table: Table, rows: list[dict[str, Any]]) -> Frame:
    names = [field.name for field in table.columns if any(field.name in row for row in rows)]
    return Frame.of(table, {name: [row[name] for row in rows] for name in names}, len(rows))


def _plain(frame: Frame) -> list[dict[str, Any]]:
    names = [field.name for field in frame.table.columns]
    columns = [np.asarray(frame.columns[name]).tolist() for name in names]
    return [plain(dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]
