"""The memory of an evaluation as values to be written down; only things with a breach are in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from alerts.evaluation.history import History
from alerts.rule import Watch

_Bits = Annotated[int, msgspec.Meta(ge=0)]


class Remembered(msgspec.Struct, frozen=True):
    """The history of one watch in columns; see alerts.evaluation.history."""

    rule: str
    direction: str
    things: list[str]
    bad: list[_Bits]
    good: list[_Bits]
    unknown: list[int]
    since_ns: list[int]
    seen_ns: list[int]
    firing: list[bool]


class Memory(msgspec.Struct, frozen=True):
    """last: start and length of the newest window of each table, ns."""

    last: dict[str, tuple[int, int]]
    watches: list[Remembered]


def encoded(
    last: Mapping[str, tuple[int, int]], watches: Sequence[Watch], histories: Sequence[History]
) -> Memory:
    """What is remembered of these watches."""
    return Memory(
        dict(last),
        [
            Remembered(
                watch.rule.name,
                watch.direction,
                history.things.tolist(),
                history.bad.tolist(),
                history.good.tolist(),
                history.unknown.tolist(),
                history.since_ns.tolist(),
                history.seen_ns.tolist(),
                history.firing.tolist(),
            )
            for watch, history in zip(watches, histories, strict=True)
            if len(history)
        ],
    )


def decoded(one: Remembered) -> History:
    """The history, its rows unknown until a frame comes; raises ValueError when its columns differ in length
    or hold what no history can."""
    k = len(one.things)
    columns = (one.bad, one.good, one.unknown, one.since_ns, one.seen_ns, one.firing)
    if any(len(column) != k for column in columns):
        raise ValueError(f"the memory of rule {one.rule} has columns of different lengths")
    try:
        return History(
            np.array(one.things, np.object_),
            np.full(k, -1, np.intp),
            np.array(one.bad, np.uint64),
            np.array(one.good, np.uint64),
            np.array(one.unknown, np.int64),
            np.array(one.since_ns, np.int64),
            np.array(one.seen_ns, np.int64),
            np.array(one.firing, np.bool_),
        )
    except OverflowError:
        raise ValueError(f"the memory of rule {one.rule} has numbers that are too large") from None
