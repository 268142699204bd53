"""What the API tells of one link, from its last rows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.live.last_rows import Row
from linkgauge.clock import NS_PER_S
from linkgauge.model import DelayBasis, LinkSpec, Probe, Verdict

STALE_WINDOWS, LEAST_STALE_S = 3, 60.0
"""A link that was not measured for longer, by both, is unknown, whatever its period was."""
_DIVERGENT = {Probe.STAMP: 1, Probe.ICMP: 2, Probe.TCP: 4}
"""Bits of the field `divergent`."""


@dataclass(frozen=True, slots=True)
class LastOfLink:
    """The last row of each probe, throughput test and verdict of one link; None where there is none."""

    probes: Mapping[Probe, Row | None]
    test: Row | None
    state: Row | None


def link_facts(spec: LinkSpec, last: LastOfLink, now_ns: int) -> dict[str, Any]:
    """For JSON: tags, verdicts in words, last numbers of each probe; None = unknown. Of a link that was not
    measured lately verdicts and numbers are unknown; `probes` and `state` are the last rows."""
    state, test = last.state, last.test
    probes = {probe.value: row for probe, row in last.probes.items() if row}
    stamp = probes.get(Probe.STAMP.value, {})
    seen_ns = max((row["start_ns"] + row["length_ns"] for row in probes.values()), default=None)
    now, judged = (stamp, state) if _fresh(last, seen_ns, now_ns) else ({}, None)
    return {
        "link": str(spec.link),
        "tags": dict(spec.tags),
        "verdict": _word(judged, "verdict"),
        "verdict_delay": _word(judged, "verdict_delay"),
        "verdict_loss": _word(judged, "verdict_loss"),
        "verdict_throughput": _word(judged, "verdict_throughput"),
        "delay_basis": DelayBasis(state["delay_basis"]).word if state else DelayBasis.NONE.word,
        "delay_us": _known((judged or {}).get("delay_us")),
        "rtt_p50_us": _known(now.get("rtt_p50_us")),
        "loss_forward_ratio": _told("loss_forward_ratio", now, judged),
        "loss_backward_ratio": _told("loss_backward_ratio", now, judged),
        "received_bps": _known((test or {}).get("received_bps")),
        "flows_bad": state["flows_bad"] if state else None,
        "divergent": [p.value for p, bit in _DIVERGENT.items() if state and state["divergent"] & bit],
        "age_s": None if seen_ns is None else (now_ns - seen_ns) / NS_PER_S,
        "probes": {name: plain(row) for name, row in probes.items()},
        "state": plain(state) if state else None,
        "throughput": plain(test) if test else None,
    }


def _fresh(last: LastOfLink, seen_ns: int | None, now_ns: int) -> bool:
    """Whether the link was measured lately, or there is nothing of it that could be old."""
    lengths = [int(row["length_ns"]) for row in last.probes.values() if row]
    if seen_ns is None or not lengths:
        return True
    return now_ns - seen_ns <= max(STALE_WINDOWS * max(lengths), round(LEAST_STALE_S * NS_PER_S))


def _word(state: Row | None, name: str) -> str:
    return Verdict(state[name]).word if state else Verdict.UNKNOWN.word


def _told(name: str, *rows: Row | None) -> Any:
    """The value of the first row that knows it: a window alone may not tell the direction of its losses."""
    known = (_known(row.get(name)) for row in rows if row)
    return next((value for value in known if value is not None), None)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def plain(row: Row) -> dict[str, Any]:
    """A row for JSON, which has no NaN."""
    return {name: _known(value) for name, value in row.items()}
