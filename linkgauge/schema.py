"""The store schema, once: every table that travels, its fields, their types, units and where they land.

The wire, the archive, InfluxDB, the dashboards and the rules all read this file. A table is one kind of
record; its rows are keyed by their text keys and the start of their window. In the archive a table is a
folder of Parquet files; in InfluxDB the fields of a table go to one or more measurements. Units are in the
names. A value that is not known is NaN (REAL) and is never written to InfluxDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Kind(Enum):
    """Type of a column: text keys, whole counts (int64), reals (float64, NaN = unknown), delay histograms."""

    TEXT = "text"
    COUNT = "count"
    REAL = "real"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Field:
    """One column. measurement: where it lands in InfluxDB, None = archive only."""

    name: str
    kind: Kind
    measurement: str | None
    help: str


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of record. Key columns (TEXT) and `start_ns` identify a row; a second copy is the same row."""

    name: str
    keys: tuple[str, ...]
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field of that name; KeyError when there is none."""
        for field in self.columns:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def columns(self) -> tuple[Field, ...]:
        """Every column in order: keys, start_ns, length_ns, fields."""
        keys = tuple(Field(key, Kind.TEXT, None, "key") for key in self.keys)
        return (*keys, START, LENGTH, *self.fields)

    @property
    def measurements(self) -> tuple[str, ...]:
        """InfluxDB measurements that this table feeds, in order of first field."""
        return tuple(dict.fromkeys(f.measurement for f in self.fields if f.measurement))


START = Field("start_ns", Kind.COUNT, None, "Start of the window, Unix ns.")
LENGTH = Field("length_ns", Kind.COUNT, None, "Length of the window, ns.")

LINK_TAGS = (
    "link", "src", "dst", "src_site", "dst_site", "src_region", "dst_region", "network", "tier",
)  # fmt: skip
"""Tags of every link measurement; `probe` and `class` follow where a table has them as keys."""


def _count(name: str, measurement: str | None, text: str) -> Field:
    return Field(name, Kind.COUNT, measurement, text)


def _real(name: str, measurement: str | None, text: str) -> Field:
    return Field(name, Kind.REAL, measurement, text)


def _histogram(name: str, text: str) -> Field:
    return Field(name, Kind.HISTOGRAM, None, text)


_LOSS, _DELAY = "link_loss", "link_delay"

WINDOW = Table(
    "window",
    ("link", "probe", "class"),
    (
        _count("sent", _LOSS, "Packets handed to the kernel."),
        _count("replied", _LOSS, "Packets with a reply inside the timeout."),
        _count("late", _LOSS, "Packets with a reply after the timeout; not lost."),
        _count("lost_forward", _LOSS, "Packets that the reflector did not get."),
        _count("lost_backward", _LOSS, "Packets whose reply did not come back."),
        _count("lost_unattributed", _LOSS, "Packets lost in a direction that cannot be told."),
        _count("duplicate", _LOSS, "Replies beyond the first to one packet."),
        _count("reordered", _LOSS, "Replies overtaken by a later packet's (RFC 4737 section 3)."),
        _count("refused", _LOSS, "Packets to a host on which nobody listens; neither carried nor lost."),
        _count("send_failed", _LOSS, "Packets that the kernel would not send; not part of sent."),
        _count("missed", _LOSS, "Slots in which the agent came too late to send; not part of sent."),
        _count("unfit", _LOSS, "0: the agent was fit to measure; else the sum of the Unfit bits."),
        _count("under_test", _LOSS, "1: a throughput test ran at this node in this window."),
        _real(
            "loss_forward_ratio",
            _LOSS,
            "lost_forward / (sent - refused), 0..1; NaN when the direction is unknown.",
        ),
        _real("loss_backward_ratio", _LOSS, "lost_backward / packets that the reflector got, 0..1."),
        _real("loss_ratio", _LOSS, "Everything lost / (sent - refused), 0..1."),
        _real("rtt_min_us", _DELAY, "Round trip less reflector dwell: smallest."),
        _real("rtt_mean_us", _DELAY, "Round trip: mean."),
        _real("rtt_p50_us", _DELAY, "Round trip: median."),
        _real("rtt_p95_us", _DELAY, "Round trip: 95th percentile, from 59 samples on."),
        _real("rtt_p99_us", _DELAY, "Round trip: 99th percentile, from 299 samples on."),
        _real("rtt_max_us", _DELAY, "Round trip: largest."),
        _real("pdv_us", _DELAY, "Packet delay variation: highest known percentile - min (RFC 5481)."),
        _real("jitter_us", _DELAY, "RFC 3550 jitter of the round trip at the end of the window."),
        _real("forward_min_us", _DELAY, "One way out: smallest; NaN when the clocks do not allow it."),
        _real("forward_p50_us", _DELAY, "One way out: median."),
        _real("backward_min_us", _DELAY, "One way back: smallest."),
        _real("backward_p50_us", _DELAY, "One way back: median."),
        _real("one_way_error_us", _DELAY, "Bound on the error of the one-way values (both Error Estimates)."),
        _real("dwell_p50_us", _DELAY, "Time between the reflector's two stamps: median."),
        _histogram("rtt_ns", "Round trip, ns."),
        _histogram("forward_ns", "One way out, ns; signed, unsynchronised clocks included."),
        _histogram("backward_ns", "One way back, ns; signed, unsynchronised clocks included."),
    ),
)

_RATE = "link_throughput"

THROUGHPUT = Table(
    "throughput",
    ("link",),
    (
        _count("outcome", _RATE, "0 measured, 1 busy, 2 unreachable, 3 failed, 4 iperf3 absent."),
        _real("received_bps", _RATE, "Goodput at the receiver, bit/s."),
        _real("sent_bps", _RATE, "Rate at the sender, bit/s."),
        _real("retransmits", _RATE, "Segments sent again."),
        _real("loaded_rtt_us", _RATE, "Mean round trip of the test's own connection, under its load."),
        _real("duration_s", _RATE, "How long the test sent."),
    ),
)

_AGENT = "agent_health"

HEALTH = Table(
    "health",
    ("agent",),
    (
        _count("fit", _AGENT, "1: fit to measure in this window."),
        _real("loop_lag_max_us", _AGENT, "Longest delay of the probe loop behind its timetable."),
        _count("receive_dropped", _AGENT, "Datagrams dropped by full receive queues."),
        _count("malformed", _AGENT, "Datagrams that were no valid packet."),
        _count("unmatched", _AGENT, "Replies that belong to no packet sent."),
        _count("reflected", _AGENT, "Packets answered as reflector."),
        _count(
            "reflect_refused", _AGENT, "Packets not answered: peer not in the plan, too short, table full."
        ),
        _count("clock_synchronised", _AGENT, "1: an outside source steers the wall clock."),
        _real("clock_error_us", _AGENT, "Bound on the wall clock's error."),
        _count("outbox_batches", _AGENT, "Batches that wait for the collector."),
        _count("outbox_dropped", _AGENT, "Batches dropped unsent since the outbox was made."),
        _real("plan_age_s", _AGENT, "Time since the collector last confirmed the plan."),
        _real("cpu_s", _AGENT, "Processor time of the agent in this window."),
    ),
)

_STATE = "link_state"

STATE = Table(
    "state",
    ("link",),
    (
        _count("verdict", _STATE, "Over the period: 0 unknown, 1 met, 2 missed."),
        _count("verdict_delay", _STATE, "Delay over the period: 0 unknown, 1 met, 2 missed."),
        _count("verdict_loss", _STATE, "Loss over the period: 0 unknown, 1 met, 2 missed."),
        _count("verdict_throughput", _STATE, "Throughput over the period: 0 unknown, 1 met, 2 missed."),
        _count("measured", _STATE, "1: this window has packets of this link."),
        _count("fit", _STATE, "1: measured by a fit agent."),
        _count("delay_basis", _STATE, "Delay is judged on: 0 nothing, 1 one way, 2 half the round trip."),
        _real("delay_us", _STATE, "Delay of this window at the tier's quantile, on that basis."),
        _real("delay_objective_us", _STATE, "The tier's one-way delay."),
        _real("delay_excess_us", _STATE, "delay_us - delay_objective_us."),
        _real("loss_objective_ratio", _STATE, "The tier's loss one way, 0..1."),
        _real("loss_forward_ratio", _STATE, "Loss of this window, out."),
        _real("loss_forward_lower_ratio", _STATE, "Its lower bound (Clopper-Pearson, 99 % one-sided)."),
        _real("loss_forward_upper_ratio", _STATE, "Its upper bound (Clopper-Pearson, 99 % one-sided)."),
        _real("loss_forward_excess_ratio", _STATE, "loss_forward_lower_ratio - loss_objective_ratio."),
        _real("loss_backward_ratio", _STATE, "Loss of this window, back."),
        _real("loss_backward_lower_ratio", _STATE, "Its lower bound."),
        _real("loss_backward_upper_ratio", _STATE, "Its upper bound."),
        _real(
            "loss_backward_excess_ratio",
            _STATE,
            "Lower bound - objective; unknown where the far end measures this direction as its own link.",
        ),
        _real("period_loss_upper_ratio", _STATE, "Upper bound of the period's loss, the worse direction."),
        _real("period_delay_us", _STATE, "Delay of the period at the tier's quantile."),
        _real("availability_ratio", _STATE, "Share of the period's measured windows with loss below 50 %."),
        _real("received_bps", _STATE, "Last throughput measured in the period."),
        _real("promised_bps", _STATE, "Throughput promised; unknown when nothing was."),
    ),
)

_COLLECTOR = "collector_health"

COLLECTOR = Table(
    "collector",
    ("collector",),
    (
        _count("batches_accepted", _COLLECTOR, "Batches journalled since the start."),
        _count("batches_duplicate", _COLLECTOR, "Batches that were already in the journal."),
        _count("batches_refused", _COLLECTOR, "Batches refused, all reasons."),
        _count("journal_batches", _COLLECTOR, "Batches in the journal that some sink has not taken."),
        _real("archive_lag_s", _COLLECTOR, "Age of the oldest batch that the archive has not taken."),
        _real("influx_lag_s", _COLLECTOR, "Age of the oldest batch that InfluxDB has not taken."),
        _count("rows_rejected", _COLLECTOR, "Rows that a store refused, kept as dead letters."),
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for table in (WINDOW, THROUGHPUT, HEALTH, STATE, COLLECTOR)}
)
AGENT_TABLES = ("window", "throughput", "health")
"""The tables that an agent may report; the others are the collector's own."""


class Unfit(Enum):
    """Why an agent was not fit to measure; values are bits of the field `unfit`."""

    LOOP_LAG = 1
    CLOCK_STEP = 2
    RECEIVE_DROPPED = 4


class Outcome(Enum):
    """How a throughput test ended; values of the field `outcome`."""

    MEASURED = 0
    BUSY = 1
    UNREACHABLE = 2
    FAILED = 3
    ABSENT = 4
