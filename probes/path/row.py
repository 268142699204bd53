"""Rows of the table `path`, and the changes of ways in them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from linkgauge.frame import Frame
from linkgauge.schema import PATH
from linkgauge.way_text import SILENT
from probes.path.book import Flow, Known
from probes.path.event import Move
from probes.path.hops import Hops
from probes.path.way import joined


@dataclass(frozen=True, slots=True)
class Row:
    """What a round found of one flow.

    fingerprint: of the way as known, so that a hop that is silent now and then changes nothing. before: the
    way that it took before, None when it did not change. mtu: octets, NaN = unknown.
    """

    flow: Flow
    hops: Hops
    fingerprint: int
    before: Known | None = None
    mtu: float = math.nan


def path_frame(rows: Sequence[Row], start_ns: int, length_ns: int) -> Frame:
    """PATH rows; start_ns (Unix) and length_ns of the round."""
    ways = [row.hops.way for row in rows]
    columns = {
        "link": [row.flow[0] for row in rows],
        "class": [str(row.flow[1]) for row in rows],
        "flow": [str(row.flow[2]) for row in rows],
        "start_ns": [start_ns] * len(rows),
        "length_ns": [length_ns] * len(rows),
        "reached": [int(way.reached) for way in ways],
        "hops": [len(way.hops) for way in ways],
        "silent": [way.silent for way in ways],
        "fingerprint": [row.fingerprint for row in rows],
        "changed": [int(row.before is not None) for row in rows],
        "mtu_bytes": [row.mtu for row in rows],
        "path": [way.text for way in ways],
        "path_before": [row.before.way.text if row.before else "" for row in rows],
        "hop_rtt_us": [joined(map(_rtt, row.hops.rtt_us)) for row in rows],
        "mpls": [joined(row.hops.labels) for row in rows],
    }
    return Frame.of(PATH, columns, len(rows))


def moves(rows: Sequence[Row], end_ns: int) -> list[Move]:
    """The changes of a round that ended at end_ns (Unix), one for each link and class."""
    changed: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row.before is not None:
            changed.setdefault(row.flow[:2], []).append(row)
    return [_move(link, dscp, some, end_ns) for (link, dscp), some in changed.items()]


def _move(link: str, dscp: int, rows: Sequence[Row], end_ns: int) -> Move:
    old = [row.before for row in rows if row.before is not None]
    before, after = old[0].way.text, rows[0].hops.way.text
    return Move(link, dscp, len(rows), before, after, min(known.seen_ns for known in old), end_ns)


def _rtt(rtt_us: float) -> str:
    return SILENT if math.isnan(rtt_us) else f"{rtt_us:.1f}"
