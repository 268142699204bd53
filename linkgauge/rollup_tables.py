"""Roll-ups of WINDOW: all windows of a link, probe and class in 5 minutes, and in an hour.

Counts are sums, histograms are merged, quantiles come from the merged histogram, so they are those of all
packets. Windows in which the agent was not fit are counted and left out. A slot that is made again, because
rows came late, is a row with the same key that replaces the former.
"""

from __future__ import annotations

from linkgauge.table import Field, Table, count
from linkgauge.window_table import WINDOW

_NOT_ROLLED = (
    "unfit", "under_test", "revision", "jitter_us", "class_gap_us", "hops_forward", "hops_backward",
    "dscp_forward", "dscp_backward", "dwell_p50_us", "unanswered", "unanswered_s", "heard", "lost_runs",
)  # fmt: skip
"""What has no sum, no largest and no quantile over windows."""
_LOSS = "link_loss"


def _rolled() -> tuple[Field, ...]:
    own = (
        count("windows", _LOSS, "Windows with a row of a fit agent."),
        count("windows_unfit", _LOSS, "Windows left out, because the agent was not fit."),
        count("windows_under_test", _LOSS, "Of `windows`: a throughput test ran at the node."),
    )
    return (*own, *(field for field in WINDOW.fields if field.name not in _NOT_ROLLED))


WINDOW_5M = Table("window_5m", WINDOW.keys, _rolled())
WINDOW_1H = Table("window_1h", WINDOW.keys, _rolled())
