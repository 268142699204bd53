"""The part of the overview that tells whether the measuring itself is well: agents and collector."""

from __future__ import annotations

from dashboards.panel import (
    BLUE,
    COUNT,
    MICROSECONDS,
    ORANGE,
    RATIO,
    SECONDS,
    STEP,
    VERMILLION,
    Json,
    placed,
    row,
    series,
    target,
    thresholds,
    timeline,
    where,
    words,
)
from linkgauge.code import Unfit
from linkgauge.schema import HEALTH

FITNESS = words({1: ("fit", BLUE), 0: ("unfit", VERMILLION)}, "no data")


def _health(ref_id: str, value: str, name: str, measurement: str, alias: str) -> Json:
    tag = measurement.partition("_")[0]
    query = f'SELECT {value} AS "{name}" FROM "{measurement}" {where()} {STEP},"{tag}" fill(null)'
    return target(ref_id, query, alias)


def agents(y: int) -> list[Json]:
    """The agents' own health, from grid row `y` on; 28 rows high."""
    fit = timeline(
        "Agents fit to measure",
        "Unfit: the agent itself was late, dropped packets or saw its clock step, so its windows judge "
        "nothing. A gap: the agent did not report.",
        _health("A", 'min("fit")', "fit", "agent_health", "$tag_agent"),
        FITNESS,
    )
    outbox = series(
        "Batches waiting at the agents",
        "Batches that the collector has not acknowledged. A rising line: the collector is not reached.",
        [_health("A", 'max("outbox_batches")', "batches", "agent_health", "$tag_agent")],
        COUNT,
        defaults={"thresholds": thresholds((0, BLUE), (60, ORANGE))},
    )
    clock = series(
        "Error bound of the agents' clocks",
        "What the kernel guarantees of the wall clock. One-way delay is withheld where it is above a tenth "
        "of the tier.",
        [_health("A", 'max("clock_error_us")', "error", "agent_health", "$tag_agent")],
        MICROSECONDS,
        defaults={"thresholds": thresholds((0, BLUE), (2000, ORANGE))},
    )
    return [
        placed(row("Agents"), 0, y, 24, 1),
        placed(fit, 0, y + 1, 24, 6),
        placed(outbox, 0, y + 7, 12, 7),
        placed(clock, 12, y + 7, 12, 7),
        *_causes(y + 14),
        *_probing(y + 21),
    ]


def _causes(y: int) -> list[Json]:
    """Why agents were not fit to measure; 7 rows high."""
    reasons = series(
        "Windows not fit, by reason",
        "Windows of all agents in each step that judge nothing, for each reason; a window may have several.",
        [_reason(chr(ord("A") + at), reason) for at, reason in enumerate(Unfit)],
        COUNT,
        defaults={"thresholds": thresholds((0, BLUE), (1, ORANGE))},
    )
    steal = series(
        "Processor time stolen from the agents' hosts",
        "Share of the host's processor time that its hypervisor gave to others: packets wait meanwhile.",
        [_health("A", 'max("cpu_steal_ratio")', "stolen", "agent_health", "$tag_agent")],
        RATIO,
        defaults={"thresholds": thresholds((0, BLUE), (0.05, ORANGE))},
    )
    throttled = series(
        "Agents held back by their control group",
        "Time in each window in which the agent was not let run. Raise its CPUQuota when this is not zero.",
        [_health("A", 'max("cpu_throttled_s")', "throttled", "agent_health", "$tag_agent")],
        SECONDS,
        defaults={"thresholds": thresholds((0, BLUE), (0.1, ORANGE))},
    )
    return [placed(reasons, 0, y, 8, 7), placed(steal, 8, y, 8, 7), placed(throttled, 16, y, 8, 7)]


def _reason(ref_id: str, reason: Unfit) -> Json:
    """How many windows have the bit of this reason."""
    word = reason.name.lower().replace("_", " ")
    each = f'SELECT ("unfit" & {reason.value}) / {reason.value} AS "is" FROM "agent_health" {where()}'
    return target(ref_id, f'SELECT sum("is") AS "{word}" FROM ({each}) {where()} {STEP} fill(null)', word)


def _probing(y: int) -> list[Json]:
    """How well the agents send and answer; 7 rows high."""
    self_probe = series(
        "Agents' probe to themselves",
        "Round trip over loopback: what the host itself adds to every delay. p50: the worst window's median; "
        "max: the slowest packet.",
        [
            _health("A", 'max("self_rtt_p50_us")', "p50", "agent_health", "$tag_agent p50"),
            _health("B", 'max("self_rtt_max_us")', "max", "agent_health", "$tag_agent max"),
        ],
        MICROSECONDS,
        defaults={"thresholds": thresholds((0, BLUE), (1000, ORANGE))},
    )
    names = [field.name for field in HEALTH.fields if field.name.startswith(("refused_", "echo_", "path_"))]
    refused = series(
        "Packets not answered, and answers not used, by reason",
        "Packets that the reflectors of all agents refused in each step. peer: not in the plan; replay: an "
        "authenticated packet seen before; rate: more than the peer may send; table: no room for a session. "
        "echo_discarded, path_discarded: answers that belonged to nothing or could not be read; "
        "path_postponed: sweeps put off, or without a clear result.",
        [_refused(chr(ord("A") + at), name) for at, name in enumerate(names)],
        COUNT,
        defaults={"thresholds": thresholds((0, BLUE), (1, ORANGE))},
    )
    missed = series(
        "Slots missed, and own probes lost",
        "Slots in which the agent came too late to send, and probes to itself that did not come back.",
        [
            _health("A", 'sum("missed")', "missed", "agent_health", "$tag_agent missed"),
            _health("B", 'sum("self_lost")', "lost", "agent_health", "$tag_agent lost"),
        ],
        COUNT,
        defaults={"thresholds": thresholds((0, BLUE), (1, ORANGE))},
    )
    return [placed(self_probe, 0, y, 8, 7), placed(refused, 8, y, 8, 7), placed(missed, 16, y, 8, 7)]


def _refused(ref_id: str, name: str) -> Json:
    word = name.removeprefix("refused_")
    query = f'SELECT sum("{name}") AS "{word}" FROM "agent_health" {where()} {STEP} fill(null)'
    return target(ref_id, query, word)


def collector(y: int) -> list[Json]:
    """The collector's own health, from grid row `y` on; 9 rows high."""
    lag = series(
        "Lag of the stores",
        "Age of the oldest batch that the archive or InfluxDB has not taken.",
        [
            _health("A", 'max("archive_lag_s")', "archive", "collector_health", "$tag_collector archive"),
            _health("B", 'max("influx_lag_s")', "influx", "collector_health", "$tag_collector InfluxDB"),
        ],
        SECONDS,
        defaults={"thresholds": thresholds((0, BLUE), (120, ORANGE), (600, VERMILLION))},
    )
    taken = series(
        "Batches accepted, refused, already known",
        "Counted since the collector's start; a fall to zero is a restart.",
        [
            _health(ref, f'max("batches_{name}")', name, "collector_health", f"$tag_collector {name}")
            for ref, name in (("A", "accepted"), ("B", "refused"), ("C", "duplicate"))
        ],
        COUNT,
    )
    kept = series(
        "Journal and dead letters",
        "Batches that some store has not taken yet, and rows that a store refused for good.",
        [
            _health("A", 'max("journal_batches")', "journal", "collector_health", "$tag_collector journal"),
            _health("B", 'max("rows_rejected")', "rejected", "collector_health", "$tag_collector rejected"),
        ],
        COUNT,
    )
    return [
        placed(row("Collector"), 0, y, 24, 1),
        placed(lag, 0, y + 1, 8, 8),
        placed(taken, 8, y + 1, 8, 8),
        placed(kept, 16, y + 1, 8, 8),
    ]
