"""What agents and collectors report of themselves. Counts of things that happened are since the start of
the process unless they say otherwise.
"""

from __future__ import annotations

from linkgauge.table import Table, count, real, text

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
        count("flows_deferred", _AGENT, "Windows with loss whose flows had to wait for the minute, by link."),
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
        count(
            "reflect_refused",
            _AGENT,
            "Packets not answered: the next six, and those from a reflector's port.",
        ),
        count("refused_peer", _AGENT, "Not answered: no peer of the plan."),
        count("refused_malformed", _AGENT, "Not answered: too short, too long, or corrupt."),
        count("refused_authentication", _AGENT, "Not answered: the HMAC is wrong or the mode differs."),
        count("refused_replay", _AGENT, "Not answered: an authenticated number that came before."),
        count("refused_rate", _AGENT, "Not answered: the peer sends more than it may."),
        count("refused_table", _AGENT, "Not answered: no room for another session."),
        count("clock_synchronised", _AGENT, "1: an outside source steers the wall clock."),
        real("clock_error_us", _AGENT, "Bound on the wall clock's error."),
        count("drill", _AGENT, "1: its reflector plays a fault on purpose."),
        count("outbox_batches", _AGENT, "Batches that wait for the collector."),
        count("outbox_octets", _AGENT, "Their size."),
        real("outbox_oldest_s", _AGENT, "Age of the oldest of them; 0 when none waits."),
        count("outbox_added", _AGENT, "Batches put into the outbox since it was made."),
        count("outbox_acknowledged", _AGENT, "Of these: a collector has them."),
        count("outbox_rejected", _AGENT, "Of these: refused for good, kept as dead letters."),
        count("outbox_dropped", _AGENT, "Of these: dropped unsent, by age, size, or a disk that was full."),
        count("upload_failed", _AGENT, "Requests that no collector took, since the agent's start."),
        count("upload_deferred", _AGENT, "Batches that wait for a clock or a name to be mended."),
        count("upload_address", _AGENT, "Which collector address is in use; 0 is the preferred one."),
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

_COLLECTOR = "collector_health"

COLLECTOR = Table(
    "collector",
    ("collector",),
    (
        count("batches_accepted", _COLLECTOR, "Batches journalled since the start."),
        count("batches_duplicate", _COLLECTOR, "Batches that were already in the journal."),
        count("batches_refused", _COLLECTOR, "Batches refused, all reasons."),
        count("rows_accepted", _COLLECTOR, "Rows journalled since the start."),
        count("rows_left_out", _COLLECTOR, "Rows of accepted batches that were not taken: see the metrics."),
        count("rows_rejected", _COLLECTOR, "Rows that a store refused, kept as dead letters."),
        count("dead_letters", _COLLECTOR, "Dead letters that are kept."),
        count("journal_batches", _COLLECTOR, "Batches in the journal that some sink has not taken."),
        count("journal_octets", _COLLECTOR, "Their size."),
        count("journal_dropped", _COLLECTOR, "Batches dropped by the journal's bounds since it was made."),
        count("archive_batches", _COLLECTOR, "Batches that the archive has not taken."),
        count("influx_batches", _COLLECTOR, "Batches that InfluxDB has not taken."),
        count("rollup_slots", _COLLECTOR, "Roll-ups that are due and not made."),
        count("series", _COLLECTOR, "Series that the inventory leads to in InfluxDB's raw database."),
        count("faults", _COLLECTOR, "Unexpected faults, all parts; the log has them."),
        real("archive_lag_s", _COLLECTOR, "Age of the oldest batch that the archive has not taken."),
        real("influx_lag_s", _COLLECTOR, "Age of the oldest batch that InfluxDB has not taken."),
        text("archive_head", _COLLECTOR, "Last hash of the archive's manifest, so that others can hold it."),
    ),
)
