"""WINDOW: what was measured of a link in one window by one probe in one class. Units are in the names."""

from __future__ import annotations

from linkgauge.table import Table, count, histogram, real

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
        count(
            "unanswered",
            _LOSS,
            "Packets at the window's end, in order of sending, after the last that was answered at all.",
        ),
        real(
            "unanswered_s", _LOSS, "From the first of these to the window's end; NaN when nothing was sent."
        ),
        real(
            "lost_runs",
            _LOSS,
            "Runs of packets lost one after another, as sent: a burst counts once; NaN: not counted.",
        ),
        real(
            "heard",
            _LOSS,
            "Packets of the far end's own probe, all classes, that came here meanwhile; NaN: it has none.",
        ),
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
