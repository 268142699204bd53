"""A network in memory that answers the packets of sweeps, and plans for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from linkgauge.plan import Plan, PlanLink
from linkgauge.way_text import SILENT
from probes.engine.flight import Answers, Caught, Departures, Errors, Flight
from probes.sockets.raw_name import NAME_SIZE, raw_name
from tests.probes.plans import plan

S = 1_000_000_000
MS = 1_000_000
T0 = 1_800_000_000 * S
HOP_MS = 2


def path_plan(count: int = 1, flows: int = 1, sample: int = 4, classes: Sequence[int] = (0,)) -> Plan:
    """A plan with `count` links, swept every 5 s."""
    links = [PlanLink(f"n1>m{at}@n", "10.9.0.1", f"10.9.1.{at}") for at in range(count)]
    return msgspec.structs.replace(
        plan(links=links), flows=flows, path_flows=sample, classes=list(classes), path_interval_ns=5 * S
    )


@dataclass
class Net:
    """way: routers of a flow, "*" for one that is silent; the far end follows. mtu: of every way.

    Answers come at once, each hop `HOP_MS` later on the stamps.
    """

    way: Callable[[Flight, int], Sequence[str]]
    caught: Callable[[Caught], None] = lambda caught: None
    mtu: int = 1500
    tells_mtu: bool = True
    dead: bool = False
    sent: list[tuple[int, int]] = field(default_factory=list)

    def sweep(self, flight: Flight) -> None:
        replies: list[tuple[int, int]] = []
        errors: list[tuple[int, int, str, int, int]] = []
        for seq, hop, size in zip(
            flight.seq.tolist(), flight.hop_limit.tolist(), flight.size.tolist(), strict=True
        ):
            self.sent.append((hop, size))
            way = self.way(flight, hop)
            if size + 28 > self.mtu:
                if self.tells_mtu and way:
                    errors.append((seq, 1, way[0], 3 << 8 | 4, self.mtu))
            elif hop > len(way):
                if not self.dead:
                    replies.append((seq, len(way) + 1))
            elif way[hop - 1] != SILENT:
                errors.append((seq, hop, way[hop - 1], 11 << 8, 0))
        self.caught(caught(flight, replies, errors))


def caught(
    flight: Flight, replies: list[tuple[int, int]], errors: list[tuple[int, int, str, int, int]]
) -> Caught:
    """replies: (seq, hop); errors: (seq, hop, address, reason, mtu)."""

    def column(rows: Sequence[tuple[object, ...]], at: int) -> NDArray[np.int64]:
        return np.array([row[at] for row in rows], np.int64)

    count = len(flight.seq)
    names = [raw_name(address, 0) for _, _, address, _, _ in errors]
    return Caught(
        Departures(flight.seq, np.full(count, T0), np.zeros(count, np.bool_)),
        Answers(
            column(replies, 0), T0 + column(replies, 1) * HOP_MS * MS, np.full(len(replies), 64, np.uint8),
            np.zeros(len(replies), np.int64),
        ),
        Errors(
            column(errors, 0), T0 + column(errors, 1) * HOP_MS * MS,
            np.array(names, np.uint8).reshape(-1, NAME_SIZE), column(errors, 3), column(errors, 4),
            np.zeros((len(errors), 64), np.uint8), np.full(len(errors), 64), np.full(len(errors), -1),
        ),
    )  # fmt: skip
