"""What a row of a table is about, as one text: the same text, the same thing, in every window. Pure.

A link, a node or a collector is its name, a sink `collector/sink`, a place `kind:place`: the direction and
network in which it is in trouble may change while it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame

Key = tuple[str, str, str]
"""An alert: rule, direction of its watch, thing."""
_NAME = {"state": "link", "node": "node", "collector": "collector"}


def things(frame: Frame) -> NDArray[np.object_]:
    """(rows,) the thing of each row. Raises KeyError for a table that no rule looks at."""
    table = frame.table.name
    if table == "sink":
        return _joined(frame, "collector", "/", "sink")
    if table == "place":
        return _joined(frame, "kind", ":", "place")
    return frame.text(_NAME[table])


def once(frame: Frame) -> Frame:
    """The frame with the first row of each thing."""
    _, first = np.unique(things(frame).astype(str), return_index=True)
    return frame if len(first) == frame.rows else frame.take(np.sort(first))


def _joined(frame: Frame, one: str, between: str, other: str) -> NDArray[np.object_]:
    pairs = zip(frame.text(one).tolist(), frame.text(other).tolist(), strict=True)
    made = np.empty(frame.rows, np.object_)
    made[:] = [f"{first}{between}{second}" for first, second in pairs]
    return made
