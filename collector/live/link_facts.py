"""What the API tells of one link, from its last rows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.live.last_rows import Row
from linkgauge.clock import NS_PER_S
from linkgauge.model import DelayBasis, LinkSpec, Probe, Verdict

_DIVERGENT = {Probe.STAMP: 1, Probe.ICMP: 2, Probe.TCP: 4}
"""Bits of the field `divergent`."""


@dataclass(frozen=True, slots=True)
class LastOfLink:
    """The last row of each probe, throughput test and verdict of one link; None where there is none."""

    probes: Mapping[Probe, Row | None]
    test: Row | None
    state: Row | None


def link_facts(spec: LinkSpec, last: LastOfLink, now_ns: int) -> dict[str, Any]:
    """For JSON: tags, verdicts in words, last numbers of each probe; None = unknown."""
    state, test = last.state, last.test
    probes = {probe.value: row for probe, row in last.probes.items() if row}
    stamp = probes.get(Probe.STAMP.value, {})
    seen_ns = max((row["start_ns"] + row["length_ns"] for row in probes.values()), default=None)
    return {
        "link": str(spec.link),
        "tags": dict(spec.tags),
        "verdict": _word(state, "verdict"),
        "verdict_delay": _word(state, "verdict_delay"),
        "verdict_loss": _word(state, "verdict_loss"),
        "verdict_throughput": _word(state, "verdict_throughput"),
        "delay_basis": DelayBasis(state["delay_basis"]).word if state else DelayBasis.NONE.word,
        "delay_us": _known((state or {}).get("delay_us")),
        "rtt_p50_us": _known(stamp.get("rtt_p50_us")),
        "loss_forward_ratio": _told("loss_forward_ratio", stamp, state),
        "loss_backward_ratio": _told("loss_backward_ratio", stamp, state),
        "received_bps": _known((test or {}).get("received_bps")),
        "flows_bad": state["flows_bad"] if state else None,
        "divergent": [p.value for p, bit in _DIVERGENT.items() if state and state["divergent"] & bit],
        "age_s": None if seen_ns is None else (now_ns - seen_ns) / NS_PER_S,
        "probes": {name: plain(row) for name, row in probes.items()},
        "state": plain(state) if state else None,
        "throughput": plain(test) if test else None,
    }


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
