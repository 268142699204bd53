"""The plain judge: a window judged from all rows of the period at once. The ledger must say the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linkgauge.frame import Frame
from linkgauge.model import LinkSpec
from linkgauge.schema import STATE
from quality.evidence import gather
from quality.objectives import Objectives
from quality.verdicts import delay
from quality.verdicts.divergence import divergent
from quality.verdicts.flows import gather_flows, unequal
from quality.verdicts.judge import Window, unfit_ends, verdicts
from quality.verdicts.period import Sums, assess
from quality.verdicts.throughput import last_received_bps


def judge(
    period: Frame,
    throughput: Frame,
    flows: Frame,
    specs: Sequence[LinkSpec],
    start_ns: int,
    length_ns: int,
    judged_class: str = "0",
) -> Frame:
    """STATE rows (without signals) for the window from `start_ns`, one for each spec, in their order.

    period: WINDOW rows of the last period, this window included, those of ICMP and TCP at least of the last
    quality.divergence.WINDOWS windows; later rows are left out. throughput: THROUGHPUT rows, no older than
    a test may be; the last of each link counts. flows: FLOW rows of the last period. judged_class: the first
    of probing.stamp.classes in the inventory, as text.
    """
    objectives = Objectives.of(specs)
    end_ns = start_ns + length_ns
    evidence = gather(period, objectives, end_ns, judged_class)
    verdict = assess(evidence, last_received_bps(throughput, objectives, end_ns), objectives)
    now = evidence.where(evidence.count("start_ns") == start_ns)
    delay_us = delay.delays(now.fit.unloaded, verdict.basis, objectives.delay_quantile).value_us
    unfit_end = unfit_ends(now.each(now.count("unfit") != 0) > 0, specs)
    unlike = unequal(gather_flows(flows, objectives, judged_class, end_ns, verdict.told_elsewhere))
    apart = divergent(period, objectives, judged_class, start_ns, length_ns)
    runs = np.full(len(specs), np.nan)
    runs[now.fit.link] = now.fit.real("lost_runs")
    window = Window(start_ns, length_ns, Sums.of(now), unfit_end, delay_us, unlike, apart, runs)
    return Frame.of(STATE, verdicts(verdict, window, objectives))
