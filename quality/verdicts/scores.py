"""One summary for each link over a span of windows of any length: for the API, reports and the demo. Pure.

The same arithmetic as the judgement of a window (quality.verdicts.period). Counts are of windows that a fit
agent measured; round-trip percentiles are of those without a throughput test of our own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Frame
from linkgauge.merged import Merged
from linkgauge.model import DelayBasis, LinkSpec, Verdict
from quality.evidence import Evidence, gather
from quality.objectives import Objectives
from quality.statistics.confidence import VERDICT_CONFIDENCE
from quality.verdicts.period import Period, assess
from quality.verdicts.throughput import last_received_bps

LEAST_SAMPLES = {"p50": (0.5, 1), "p95": (0.95, 59), "p99": (0.99, 299)}
"""Percentiles told, and the number of samples from which the largest bounds them with 95 %."""
COUNTS = ("sent", "replied", "late", "lost_forward", "lost_backward", "lost_unattributed", "refused")
_LATEST = 2**62


@dataclass(frozen=True, slots=True)
class LinkSummary:
    """What is known of one link. Ratios 0..1; a real that is not known is NaN; bounds hold with 95 %."""

    link: str
    network: str
    tier: str
    windows: int
    unfit_windows: int
    sent: int
    replied: int
    late: int
    lost_forward: int
    lost_backward: int
    lost_unattributed: int
    refused: int
    loss_forward_ratio: float
    loss_forward_lower_ratio: float
    loss_forward_upper_ratio: float
    loss_backward_ratio: float
    loss_backward_lower_ratio: float
    loss_backward_upper_ratio: float
    rtt_p50_us: float
    rtt_p95_us: float
    rtt_p99_us: float
    delay_basis: DelayBasis
    delay_us: float
    delay_lower_us: float
    delay_upper_us: float
    availability_ratio: float
    received_bps: float
    verdict_loss: Verdict
    verdict_delay: Verdict
    verdict_throughput: Verdict
    verdict: Verdict


def as_dict(summary: LinkSummary) -> dict[str, str | int | float | None]:
    """Plain values for JSON: what is not finite is None, verdicts and basis are words."""
    return {name: _plain(value) for name, value in asdict(summary).items()}


def _plain(value: str | int | float | Verdict | DelayBasis) -> str | int | float | None:
    if isinstance(value, Verdict | DelayBasis):
        return value.word
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summarise(
    windows: Frame, throughput: Frame, specs: Sequence[LinkSpec], judged_class: str = "0"
) -> list[LinkSummary]:
    """A summary of every spec, in their order, over all rows of WINDOW and THROUGHPUT given.

    judged_class: the first of probing.stamp.classes in the inventory, as text.
    """
    objectives = Objectives.of(specs)
    evidence = gather(windows, objectives, _LATEST, judged_class)
    period = assess(evidence, last_received_bps(throughput, objectives, _LATEST), objectives)
    numbers = {
        "unfit_windows": evidence.each(evidence.count("unfit") != 0),
        **{name: evidence.fit.total(name) for name in COUNTS},
        **_percentiles(evidence.fit.unloaded),
        **_judged(period),
    }
    columns = {name: column.tolist() for name, column in numbers.items()}
    verdicts = [name for name in columns if name.startswith("verdict")]
    columns |= {name: [Verdict(each) for each in columns[name]] for name in verdicts}
    columns["delay_basis"] = [DelayBasis(each) for each in columns["delay_basis"]]
    return [
        LinkSummary(
            link=str(spec.link),
            network=spec.link.network,
            tier=spec.tier.name,
            **{name: column[row] for name, column in columns.items()},
        )
        for row, spec in enumerate(specs)
    ]


def _percentiles(evidence: Evidence) -> dict[str, np.ndarray]:
    merged = Merged.of(evidence.windows.histograms("rtt_ns"), evidence.row, evidence.link, evidence.links)
    return {
        f"rtt_{name}_us": merged.quantile_ns(quantile, least) / NS_PER_US
        for name, (quantile, least) in LEAST_SAMPLES.items()
    }


def _judged(period: Period) -> dict[str, np.ndarray]:
    columns = {
        "windows": period.windows,
        "delay_basis": period.basis,
        "delay_us": period.delay.value_us,
        "delay_lower_us": period.delay.lower_us,
        "delay_upper_us": period.delay.upper_us,
        "availability_ratio": period.availability_ratio,
        "received_bps": period.received_bps,
        "verdict_loss": period.verdict_loss,
        "verdict_delay": period.verdict_delay,
        "verdict_throughput": period.verdict_throughput,
        "verdict": period.verdict,
    }
    for name, losses in (("forward", period.forward), ("backward", period.backward)):
        columns[f"loss_{name}_ratio"] = losses.ratio
        columns[f"loss_{name}_lower_ratio"] = losses.lower(VERDICT_CONFIDENCE)
        columns[f"loss_{name}_upper_ratio"] = losses.upper(VERDICT_CONFIDENCE)
    return columns
