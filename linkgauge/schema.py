"""The store schema, once: every table that travels, its fields, their types, units and where they land.

The wire, the archive, InfluxDB, the dashboards and the rules all read this file. A table is one kind of
record; its rows are keyed by their text keys and the start of their window. In the archive a table is a
folder of Parquet files; in InfluxDB the fields of a table go to one or more measurements. Units are in the
names. A value that is not known is NaN (REAL) and is never written to InfluxDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from linkgauge.table import Table, count, histogram, real, text

LINK_TAGS = (
    "link", "src", "dst", "src_site", "dst_site", "src_region", "dst_region", "network", "tier",
)  # fmt: skip
"""Tags of every link measurement; `probe` and `class` follow where a table has them as keys."""

_LOSS, _DELAY = "link_loss", "link_delay"

WINDOW = Table(
    "window",
    ("link", "probe", "class"),
    (
        count("sent", _LOSS, "Packets handed to the kernel."),
        count("replied", _LOSS, "Packets with a reply inside the timeout."),
        count("late", _LOSS, "Packets with a reply after the timeout; not lost."),
        count("lost_forward", _LOSS, "Packets that the reflector did not get."),
        count("lost_backward", _LOSS, "Packets whose reply did not come back."),
        count("lost_unattributed", _LOSS, "Packets lost in a direction that cannot be told."),
        count(
            "duplicate",
            _LOSS,
            "Replies beyond the first to one packet; only a stateful far end tells which of the next two.",
        ),
        count("duplicate_forward", _LOSS, "Of these: the reflector got the packet again."),
        count("duplicate_backward", _LOSS, "Of these: one reply came more than once."),
        count("reordered", _LOSS, "Replies overtaken by a later packet's (RFC 4737 section 3)."),
        count("reorder_extent_max", _LOSS, "Largest reordering extent, packets (RFC 4737 section 4.2)."),
        count("refused", _LOSS, "Packets to a host on which nobody listens; neither carried nor lost."),
        count("unreachable", _LOSS, "Of the lost: packets that somebody on the way said he cannot deliver."),
        count("send_failed", _LOSS, "Packets that the kernel would not send; not part of sent."),
        count("unresolved", _LOSS, "Packets to a name without an address; not part of sent."),
        count("missed", _LOSS, "Slots in which the agent came too late to send; not part of sent."),
        count("unfit", _LOSS, "0: the agent was fit to measure; else the sum of the Unfit bits."),
        count("under_test", _LOSS, "1: a throughput test ran at this node in this window."),
        count("revision", _LOSS, "How often this window was reported anew because late replies came."),
        count(
            "marks", _LOSS, "Replies that told with which marks the packet arrived (RFC 8972 section 4.4)."
        ),
        count("remarked_forward", _LOSS, "Of marks: packets that arrived with another DSCP."),
        count("bleached_forward", _LOSS, "Of marks: packets that arrived with ECT removed."),
        count("ce_forward", _LOSS, "Of marks: packets that arrived marked Congestion Experienced."),
        count("remarked_backward", _LOSS, "Replies that came with another DSCP than they were sent with."),
        count("bleached_backward", _LOSS, "Replies that came with ECT removed."),
        count("ce_backward", _LOSS, "Replies that came marked Congestion Experienced."),
        real(
            "loss_forward_ratio",
            _LOSS,
            "lost_forward / (sent - refused), 0..1; NaN when the direction is unknown.",
        ),
        real("loss_backward_ratio", _LOSS, "lost_backward / packets that the reflector got, 0..1."),
        real("loss_ratio", _LOSS, "Everything lost / (sent - refused), 0..1."),
        real("rtt_min_us", _DELAY, "Round trip less reflector dwell: smallest."),
        real("rtt_mean_us", _DELAY, "Round trip: mean."),
        real("rtt_p50_us", _DELAY, "Round trip: median."),
        real("rtt_p95_us", _DELAY, "Round trip: 95th percentile, from 59 samples on."),
        real("rtt_p99_us", _DELAY, "Round trip: 99th percentile, from 299 samples on."),
        real("rtt_p999_us", _DELAY, "Round trip: 99.9th percentile, from 2 995 samples on."),
        real("rtt_max_us", _DELAY, "Round trip: largest."),
        real("pdv_us", _DELAY, "Packet delay variation: highest known percentile - min (RFC 5481)."),
        real("jitter_us", _DELAY, "RFC 3550 jitter of the round trip at the end of the window."),
        real("forward_min_us", _DELAY, "One way out: smallest; NaN when the clocks do not allow it."),
        real("forward_p50_us", _DELAY, "One way out: median."),
        real("backward_min_us", _DELAY, "One way back: smallest."),
        real("backward_p50_us", _DELAY, "One way back: median."),
        real("one_way_error_us", _DELAY, "Bound on the error of the one-way values (both Error Estimates)."),
        real("dwell_p50_us", _DELAY, "Time between the reflector's two stamps: median."),
        count("one_way_negative", _LOSS, "Packets with a negative one-way value: the clocks are apart."),
        count("sent_stamped", _LOSS, "Replied packets whose T1 is the kernel's transmit stamp."),
        count("reply_stamped", _LOSS, "Replied packets whose T3 is the far kernel's transmit stamp."),
        real("class_gap_us", _DELAY, "Median round trip less that of the link's first class."),
        real("hops_forward", _DELAY, "Hops out, by the hop limit as it arrived: 255 - seen, most frequent."),
        real("hops_backward", _DELAY, "Hops back."),
        real("dscp_forward", _LOSS, "DSCP with which most packets arrived at the far end."),
        real("dscp_backward", _LOSS, "DSCP with which most replies came back."),
        histogram("rtt_ns", "Round trip, ns."),
        histogram("forward_ns", "One way out, ns; signed, unsynchronised clocks included."),
        histogram("backward_ns", "One way back, ns; signed, unsynchronised clocks included."),
    ),
)

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

_AGENT = "agent_health"

HEALTH = Table(
    "health",
    ("agent",),
    (
        count("fit", _AGENT, "1: fit to measure in this window."),
        count("unfit", _AGENT, "Why it was not: the sum of the Unfit bits."),
        real("loop_lag_max_us", _AGENT, "Longest delay of the probe loop behind its timetable."),
        count("receive_dropped", _AGENT, "Datagrams dropped by full receive queues."),
        count("malformed", _AGENT, "Datagrams that were no valid packet."),
        count("unmatched", _AGENT, "Replies that belong to no packet sent."),
        count("too_late", _AGENT, "Replies that came after their window could still be corrected."),
        count(
            "echo_discarded",
            _AGENT,
            "Of ICMP and TLS: answers to no packet of a round, malformed, or dropped by a full queue.",
        ),
        count(
            "path_discarded", _AGENT, "Of sweeps: answers to none that is under way, malformed extensions."
        ),
        count(
            "path_postponed",
            _AGENT,
            "Sweeps put off to the next round; changes, MTUs and shifts of delay without a clear result.",
        ),
        count("send_retried", _AGENT, "Times that the kernel's send buffer was full for a moment."),
        count("missed", _AGENT, "Slots of the timetable in which the agent came too late to send."),
        count("reflected", _AGENT, "Packets answered as reflector."),
        count("reflect_refused", _AGENT, "Packets not answered; the sum of the next six."),
        count(
            "refused_peer",
            _AGENT,
            "Not answered: no peer of the plan, or a reflector's own packet.",
        ),
        count("refused_malformed", _AGENT, "Not answered: too short, too long, or corrupt."),
        count("refused_authentication", _AGENT, "Not answered: the HMAC is wrong or the mode differs."),
        count("refused_replay", _AGENT, "Not answered: an authenticated number that came before."),
        count("refused_rate", _AGENT, "Not answered: the peer sends more than it may."),
        count("refused_table", _AGENT, "Not answered: no room for another session."),
        count("clock_synchronised", _AGENT, "1: an outside source steers the wall clock."),
        real("clock_error_us", _AGENT, "Bound on the wall clock's error."),
        count("outbox_batches", _AGENT, "Batches that wait for the collector."),
        count("outbox_dropped", _AGENT, "Batches dropped unsent since the outbox was made."),
        real("plan_age_s", _AGENT, "Time since the collector last confirmed the plan."),
        real("cpu_s", _AGENT, "Processor time of the agent in this window."),
        real("cpu_steal_ratio", _AGENT, "Share of the host's processor time that its hypervisor took, 0..1."),
        real("cpu_throttled_s", _AGENT, "Time in which the agent's control group was held back."),
        real("suspended_s", _AGENT, "Time in which the machine was suspended."),
        real("self_rtt_p50_us", _AGENT, "Round trip of the probe to itself over loopback: median."),
        real("self_rtt_max_us", _AGENT, "The same: largest."),
        count("self_lost", _AGENT, "Probes to itself that did not come back."),
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
        real("loss_backward_ratio", _STATE, "Loss of this window, back."),
        real("loss_backward_lower_ratio", _STATE, "Its lower bound."),
        real("loss_backward_upper_ratio", _STATE, "Its upper bound."),
        real(
            "loss_backward_excess_ratio",
            _STATE,
            "Lower bound - objective; unknown where the far end measures this direction as its own link.",
        ),
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
    ),
)

_COLLECTOR = "collector_health"

COLLECTOR = Table(
    "collector",
    ("collector",),
    (
        count("batches_accepted", _COLLECTOR, "Batches journalled since the start."),
        count("batches_duplicate", _COLLECTOR, "Batches that were already in the journal."),
        count("batches_refused", _COLLECTOR, "Batches refused, all reasons."),
        count("journal_batches", _COLLECTOR, "Batches in the journal that some sink has not taken."),
        real("archive_lag_s", _COLLECTOR, "Age of the oldest batch that the archive has not taken."),
        real("influx_lag_s", _COLLECTOR, "Age of the oldest batch that InfluxDB has not taken."),
        count("rows_rejected", _COLLECTOR, "Rows that a store refused, kept as dead letters."),
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (WINDOW, FLOW, PATH, EVENT, CERTIFICATE, THROUGHPUT, HEALTH, STATE, COLLECTOR)
    }
)
AGENT_TABLES = ("window", "flow", "path", "event", "certificate", "throughput", "health")
"""The tables that an agent may report; the others are the collector's own."""
