"""Sinks of one server are told once: a server that is away holds them all, and one alert is enough. Pure.

Such sinks are named after the server: influxdb, influxdb-5m, influxdb-1h. While an earlier of them is held
or far behind, a later one is not told; once the earlier one goes on and the later one does not, it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from linkgauge.judged_tables import BEHIND_S

Fields = dict[str, float | int]


def told_once(sinks: Mapping[str, Fields]) -> dict[str, Fields]:
    """The fields of SINK rows by sink, in the order of the sinks, with `stuck_ratio` and `behind_s`."""
    made: dict[str, Fields] = {}
    first: set[str] = set()
    for name, row in sinks.items():
        server = name.partition("-")[0]
        alone = server not in first
        made[name] = {
            **row,
            "stuck_ratio": row["held_ratio"] if alone else 0.0,
            "behind_s": row["lag_s"] if alone else 0.0,
        }
        if row["held_ratio"] or row["lag_s"] > BEHIND_S:
            first.add(server)
    return made
