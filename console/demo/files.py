"""The demo's configuration, written from the lab's topology as an operator would write it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from collector.http.tokens import issue
from console.token import write_secret
from lab.topology import Topology
from lab.world import World
from linkgauge.model import DEFAULT_TIERS, Link

DATABASE = "linkgauge"
WINDOW_S = 3
PERIOD_S = 60
RATE_PPS = 20.0
STAMP_TIMEOUT_S = 1.0
THROUGHPUT_S = 1.0
THROUGHPUT_EVERY_S = 60.0
PATH_EVERY_S = 15.0
LOOPBACK_LIMIT_BPS = 50_000_000
"""Nothing limits loopback but the processor, which the probes need too."""
_PROMISED_SHARE = 0.8
LOSS_RATIO = 0.005
"""The demo's loss objective: 598 packets without loss prove it (95 %), which a minute can give."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the demo binds on every node's addresses."""

    stamp: int
    tcp: int
    throughput: int


NAMESPACE_PORTS = Ports(862, 8620, 5201)
LOOPBACK_PORTS = Ports(18_620, 18_621, 15_201)


def inventory(topology: Topology, ports: Ports) -> dict[str, Any]:
    """The inventory of the lab's world; a node promises four fifths of what the lab lets it send."""
    return {
        "version": 1,
        "window_s": WINDOW_S,
        "period_s": PERIOD_S,
        "tiers": {
            tier.name: {"delay_us": tier.delay_us, "loss_ratio": LOSS_RATIO}
            for tier in DEFAULT_TIERS.values()
        },
        "sites": [
            {
                "name": site.name,
                "region": site.region,
                "operator": site.operator,
                "latitude_deg": site.latitude_deg,
                "longitude_deg": site.longitude_deg,
            }
            for site in topology.sites
        ],
        "networks": [
            {
                "name": plane.name,
                "kind": "private" if plane.name == "private" else "backbone",
                "promised_bps": int(plane.capacity_bps * _PROMISED_SHARE),
            }
            for plane in topology.planes
        ],
        "nodes": [
            {
                "name": node.name,
                "site": node.site,
                "addresses": {
                    plane.name: topology.address(node.name, plane.name)
                    for plane in topology.planes
                    if any(member.node == node.name for member in plane.members)
                },
                "compute_id": f"lab:research:{node.site}:intelligent:{node.name}",
            }
            for node in topology.nodes
        ],
        "probing": {
            "stamp": {"rate_pps": RATE_PPS, "timeout_s": STAMP_TIMEOUT_S, "port": ports.stamp},
            "icmp": {"interval_s": 1, "timeout_s": 1},
            "tcp": {"interval_s": 2, "timeout_s": 1, "port": ports.tcp},
            "path": {"interval_s": PATH_EVERY_S, "flows": 1},
            "throughput": {
                "every_s": THROUGHPUT_EVERY_S,
                "duration_s": THROUGHPUT_S,
                "limit_bps": 0
                if any(plane.capacity_bps for plane in topology.planes)
                else LOOPBACK_LIMIT_BPS,
                "port": ports.throughput,
            },
        },
    }


def write_collector(
    folder: Path, inventory_path: Path, webhook: str, influxdb: str | None, database: str = DATABASE
) -> Path:
    """collector.yaml; listening sockets are handed over, so `listen` is left out."""
    settings: dict[str, Any] = {
        "inventory": str(inventory_path),
        "data_dir": str(folder / "collector"),
        "tokens": str(folder / "tokens.yaml"),
        "archive": {"flush_s": WINDOW_S},
        "webhooks": [{"name": "demo", "url": webhook}],
        "read_access": "open",
    }
    if influxdb is not None:
        settings["influxdb"] = {"url": influxdb, "database": database}
    return write_yaml(folder / "collector.yaml", settings)


def write_agent(folder: Path, node: str, world: World, collector: str, ports: Ports) -> Path:
    """agent.yaml and the token of one node."""
    home = folder / node
    home.mkdir(parents=True, exist_ok=True)
    write_secret(home / "token", issue(folder / "tokens.yaml", node))
    topology = world.topology
    bound = {}
    for plane in topology.planes:
        if any(member.node == node for member in plane.members):
            port = world.reflector_port(node, plane.name, ports.stamp)
            if port != ports.stamp:
                bound[topology.address(node, plane.name)] = port
    settings = {
        "node": node,
        "collectors": [collector],
        "token_file": "token",
        "data_dir": "data",
        "bind_ports": bound,
    }
    return write_yaml(home / "agent.yaml", settings)


def write_yaml(path: Path, value: dict[str, Any]) -> Path:
    """Write a settings file; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    return path


def fault_link(topology: Topology) -> Link:
    """The link that loses packets: the first between two regions on the backbone."""
    sites = {node.name: topology.site(node.site) for node in topology.nodes}
    return next(
        Link(src, dst, network)
        for src, dst, network in topology.links()
        if network == "backbone" and sites[src].region != sites[dst].region
    )
