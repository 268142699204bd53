"""How many series an inventory leads to in each database of the hot store. Pure.

A series is a measurement with one set of tags; InfluxDB 1.x keeps an index of all of them in memory and
refuses points above its max-series-per-database. Counted are the series that a running mesh can have: every
link with every probe and class, sweeps with every flow, events of every kind. The flows of STAMP go to the
archive only. Of alerts and places, which have series only once they were told, it is a guess with room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.plans.plan import flows_for
from linkgauge.code import EventKind
from linkgauge.inventory import Inventory
from linkgauge.schema import (
    ALERT,
    CERTIFICATE,
    COLLECTOR,
    EVENT,
    HEALTH,
    MEMBER,
    NODE,
    NODE_SCORE,
    PATH,
    PLACE,
    RAW_TABLES,
    SCORE,
    SINK,
    STATE,
    TABLES,
    THROUGHPUT,
    WINDOW,
    WINDOW_1H,
    WINDOW_5M,
)

WARN_RATIO = 0.8
_COLLECTORS = 2
_SINKS = 6
"""Of one collector: archive, roll-up, three databases, peer."""
_ALERTS_OF_LINK, _PLACES_OF_MEMBER = 4, 3
"""Different alerts that a link has within the time that the store keeps; directions of a place."""
DATABASES: Mapping[str, tuple[str, ...]] = {
    "": tuple(RAW_TABLES),
    "_5m": (WINDOW_5M.name,),
    "_1h": (WINDOW_1H.name, THROUGHPUT.name, SCORE.name, NODE_SCORE.name),
}
"""Tables of each database, by the ending of its name."""


def series(inventory: Inventory) -> dict[str, int]:
    """Series of the raw, the 5-minute and the 1-hour database, by the ending of its name."""
    sets = tag_sets(inventory)
    return {
        ending: sum(len(TABLES[name].measurements) * sets.get(name, 0) for name in names)
        for ending, names in DATABASES.items()
    }


def tag_sets(inventory: Inventory) -> dict[str, int]:
    """Sets of keys that each table can have, at most."""
    probing, links = inventory.probing, len(inventory.links)
    classes = len(probing.stamp.classes)
    echoes = sum(probe is not None for probe in (probing.icmp, probing.tcp, probing.tls))
    windows = links * (classes + echoes)
    swept = links * classes if probing.path else 0
    members = sum(len(node.addresses) for node in inventory.nodes.values())
    return {
        WINDOW.name: windows,
        WINDOW_5M.name: windows,
        WINDOW_1H.name: windows,
        PATH.name: swept * flows_for(probing.stamp.paths),
        EVENT.name: swept * len(EventKind),
        CERTIFICATE.name: links if probing.tls else 0,
        THROUGHPUT.name: links if probing.throughput else 0,
        STATE.name: links,
        SCORE.name: links,
        NODE_SCORE.name: len(
            {(link.src, link.network, spec.tier.name) for link, spec in inventory.links.items()}
        ),
        HEALTH.name: len(inventory.nodes),
        NODE.name: len(inventory.nodes),
        MEMBER.name: members,
        COLLECTOR.name: _COLLECTORS,
        SINK.name: _COLLECTORS * _SINKS,
        ALERT.name: _ALERTS_OF_LINK * links,
        PLACE.name: _PLACES_OF_MEMBER * members,
    }


def warnings(found: Mapping[str, int], most: int) -> Iterator[str]:
    """A sentence for each database that has, or will have, more than WARN_RATIO of `most` series."""
    for database, count in found.items():
        if count > WARN_RATIO * most:
            yield (
                f"database {database}: {count} series, the bound is {most}; "
                "raise max-series-per-database there and influxdb.max_series here, or thin the mesh"
            )
