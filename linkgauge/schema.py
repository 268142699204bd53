"""The store schema, once: every table that travels, its fields, their types, units and where they land.

The wire, the archive, InfluxDB, the dashboards and the rules all read this file. A table is one kind of
record; its rows are keyed by their text keys and the start of their window. In the archive a table is a
folder of Parquet files; in InfluxDB the fields of a table go to one or more measurements. Units are in the
names. A value that is not known is NaN (REAL) and is never written to InfluxDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from linkgauge.judged_tables import ALERT, MEMBER, NODE, NODE_SCORE, PLACE, SCORE, SIGNALS, SINK
from linkgauge.own_tables import COLLECTOR, HEALTH
from linkgauge.rollup_tables import WINDOW_1H, WINDOW_5M
from linkgauge.table import Table, count, real, text
from linkgauge.window_table import WINDOW

__all__ = [
    "AGENT_TABLES", "ALERT", "CERTIFICATE", "COLLECTOR", "EVENT", "FLOW", "HEALTH", "LINK_TAGS", "MEMBER",
    "NODE", "NODE_SCORE", "PATH", "PLACE", "RAW_TABLES", "ROLLUPS", "SCORE", "SINK", "STATE", "TABLES",
    "THROUGHPUT", "WINDOW", "WINDOW_1H", "WINDOW_5M",
]  # fmt: skip

LINK_TAGS = (
    "link", "src", "dst", "src_site", "dst_site", "src_region", "dst_region", "network", "tier",
)  # fmt: skip
"""Tags of every link measurement; `probe` and `class` follow where a table has them as keys."""

FLOW = Table(
    "flow",
    ("link", "probe", "class", "flow"),
    (
        count("port", None, "Source port of the flow."),
        count("sent", None, "Packets handed to the kernel."),
        count("replied", None, "Packets with a reply, late ones included."),
        count("lost_forward", None, "Packets that the reflector did not get."),
        count("lost_backward", None, "Packets whose reply did not come back."),
        count("lost_unattributed", None, "Packets lost in a direction that cannot be told."),
        count("unfit", None, "As in the window."),
        real("rtt_min_us", None, "Smallest round trip of the flow."),
        real("rtt_mean_us", None, "Mean round trip of the flow."),
    ),
)

_PATH = "link_path"

PATH = Table(
    "path",
    ("link", "class", "flow"),
    (
        count("reached", _PATH, "1: the far end answered the sweep."),
        count("hops", _PATH, "Hops up to the far end, or up to the last one that answered."),
        count("silent", _PATH, "Hops that did not answer."),
        count("fingerprint", _PATH, "Hash of the addresses on the way; the same way, the same number."),
        count("changed", _PATH, "1: another way than in the sweep before."),
        real("mtu_bytes", _PATH, "Largest IP packet that arrived unfragmented."),
        text("path", _PATH, "Addresses of the hops, in order, * where a hop was silent."),
        text("path_before", _PATH, "The same of the sweep before; empty when nothing changed."),
        text("hop_rtt_us", _PATH, "Round trip to each hop, us, * where a hop was silent."),
        text("mpls", _PATH, "MPLS labels that each hop told (RFC 4950), - where it told none."),
    ),
)

_EVENT = "link_event"

EVENT = Table(
    "event",
    ("link", "class", "kind"),
    (
        count("flows", _EVENT, "Flows that saw it."),
        text("before", _EVENT, "What was: the way, the MTU or the smallest delay."),
        text("after", _EVENT, "What is now."),
        real("before_us", _EVENT, "Smallest round trip before."),
        real("after_us", _EVENT, "Smallest round trip after."),
    ),
)

_CERTIFICATE = "link_certificate"

CERTIFICATE = Table(
    "certificate",
    ("link",),
    (
        count("presented", _CERTIFICATE, "1: the far end showed a certificate."),
        count("trusted", _CERTIFICATE, "1: it is signed by an authority that this host trusts."),
        real("days_left", _CERTIFICATE, "Days until it expires; negative when it has."),
        text("subject", _CERTIFICATE, "Whose it is."),
    ),
)

_RATE = "link_throughput"

THROUGHPUT = Table(
    "throughput",
    ("link",),
    (
        count("outcome", _RATE, "0 measured, 1 busy, 2 unreachable, 3 failed, 4 iperf3 absent."),
        real("received_bps", _RATE, "Goodput at the receiver, bit/s."),
        real("sent_bps", _RATE, "Rate at the sender, bit/s."),
        real("retransmits", _RATE, "Segments sent again."),
        real("loaded_rtt_us", _RATE, "Mean round trip of the test's own connection, under its load."),
        real("duration_s", _RATE, "How long the test sent."),
    ),
)

_STATE = "link_state"

STATE = Table(
    "state",
    ("link",),
    (
        count("verdict", _STATE, "Over the period: 0 unknown, 1 met, 2 missed."),
        count("verdict_delay", _STATE, "Delay over the period: 0 unknown, 1 met, 2 missed."),
        count("verdict_loss", _STATE, "Loss over the period: 0 unknown, 1 met, 2 missed."),
        count("verdict_throughput", _STATE, "Throughput over the period: 0 unknown, 1 met, 2 missed."),
        count("measured", _STATE, "1: this window has packets of this link."),
        count("fit", _STATE, "1: measured by a fit agent."),
        count("delay_basis", _STATE, "Delay is judged on: 0 nothing, 1 one way, 2 half the round trip."),
        real("delay_us", _STATE, "Delay of this window at the tier's quantile, on that basis."),
        real("delay_objective_us", _STATE, "The tier's one-way delay."),
        real("delay_excess_us", _STATE, "delay_us - delay_objective_us."),
        real("loss_objective_ratio", _STATE, "The tier's loss one way, 0..1."),
        real("loss_forward_ratio", _STATE, "Loss of this window, out."),
        real("loss_forward_lower_ratio", _STATE, "Its lower bound (Clopper-Pearson, 99 % one-sided)."),
        real("loss_forward_upper_ratio", _STATE, "Its upper bound (Clopper-Pearson, 99 % one-sided)."),
        real("loss_forward_excess_ratio", _STATE, "loss_forward_lower_ratio - loss_objective_ratio."),
        real(
            "loss_forward_spread_ratio",
            _STATE,
            "Lower bound of the loss with each burst counted as one packet, - the objective.",
        ),
        real("loss_backward_ratio", _STATE, "Loss of this window, back."),
        real("loss_backward_lower_ratio", _STATE, "Its lower bound."),
        real("loss_backward_upper_ratio", _STATE, "Its upper bound."),
        real(
            "loss_backward_excess_ratio",
            _STATE,
            "Lower bound - objective; unknown where the far end measures this direction as its own link.",
        ),
        real("loss_backward_spread_ratio", _STATE, "As forward; unknown where the excess is."),
        real("period_loss_upper_ratio", _STATE, "Upper bound of the period's loss, the worse direction."),
        real("period_delay_us", _STATE, "Delay of the period at the tier's quantile."),
        real("availability_ratio", _STATE, "Share of the period's measured windows with loss below 50 %."),
        count("flows", _STATE, "Flows whose loss was compared."),
        count("flows_bad", _STATE, "Of these: flows that lose significantly more than the others."),
        real("flows_bad_loss_ratio", _STATE, "Loss of the bad flows together, 0..1."),
        count(
            "divergent", _STATE, "Probes that see trouble while another sees none: 1 stamp, 2 icmp, 4 tcp."
        ),
        real("received_bps", _STATE, "Last throughput measured in the period."),
        real("promised_bps", _STATE, "Throughput promised; unknown when nothing was."),
        *SIGNALS,
    ),
)

RAW_TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            WINDOW,
            FLOW,
            PATH,
            EVENT,
            CERTIFICATE,
            THROUGHPUT,
            HEALTH,
            STATE,
            COLLECTOR,
            NODE,
            MEMBER,
            SINK,
            PLACE,
            ALERT,
        )
    }
)
"""What is reported and judged; in InfluxDB it stands in the raw database."""
ROLLUPS: Mapping[str, Table] = MappingProxyType({"5m": WINDOW_5M, "1h": WINDOW_1H})
"""Roll-ups by the ending of their database."""
TABLES: Mapping[str, Table] = MappingProxyType(
    {**RAW_TABLES, **{table.name: table for table in (*ROLLUPS.values(), SCORE, NODE_SCORE)}}
)
AGENT_TABLES = ("window", "flow", "path", "event", "certificate", "throughput", "health")
"""The tables that an agent may report; the others are the collector's own."""
