"""The part of the overview that tells whether the measuring itself is well: agents and collector."""

from __future__ import annotations

from dashboards.panel import (
    BLUE,
    COUNT,
    MICROSECONDS,
    ORANGE,
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

FITNESS = words({1: ("fit", BLUE), 0: ("unfit", VERMILLION)}, "no data")


def _health(ref_id: str, value: str, name: str, measurement: str, alias: str) -> Json:
    tag = measurement.partition("_")[0]
    query = f'SELECT {value} AS "{name}" FROM "{measurement}" {where()} {STEP},"{tag}" fill(null)'
    return target(ref_id, query, alias)


def agents(y: int) -> list[Json]:
    """The agents' own health, from grid row `y` on; 14 rows high."""
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
    ]


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
