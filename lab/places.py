"""The topologies that ship with the lab: the demo's, its twin on loopback addresses, and the drills'.

The first two have the same sites, nodes and networks. In the demo's, metro links have a true one-way delay of
300 us, links inside the region 2 000 to 2 600 us, links between regions 15 000 to 15 600 us, private links
1 000 or 10 000 us. On loopback every delay is 0 and no capacity is limited.

The drills' have four sites behind two core routers. Between these is one trunk that all pairs of sites of the
two sides share, or two equal ways over routers `mid-a` and `mid-b`.
"""

from __future__ import annotations

from lab.topology import Hub, Member, NetworkPlane, NodePlace, SitePlace, Topology, Trunk

_SITES = (
    SitePlace("jinan", "shandong", "unicom", 36.65, 117.12),
    SitePlace("qingdao", "shandong", "telecom", 36.07, 120.38),
    SitePlace("guiyang", "guizhou", "mobile", 26.65, 106.63),
)
_BACKBONE_BPS = 20_000_000
_PRIVATE_BPS = 40_000_000
_SECOND_NODE_US = 300
_PRIVATE_US = {"jinan": 500, "qingdao": 500, "guiyang": 9_500}


def demo_topology() -> Topology:
    """Three sites in two regions, six nodes, a routed `backbone` and a bridged `private` network."""
    return Topology(
        sites=_SITES,
        nodes=tuple(NodePlace(name, site, f"10.230.0.{k}{n}") for name, site, k, n in _nodes()),
        planes=(_backbone(), _private()),
        center_address="10.230.0.1",
    )


def loopback_topology() -> Topology:
    """The demo's sites, nodes and networks on addresses of 127.0.0.0/8, without delay or limit."""
    backbone = tuple(Member(name, "host", f"127.64.{k}.{n}", 0) for name, _, k, n in _nodes())
    private = tuple(Member(name, "host", f"127.65.{k}.{n}", 0) for name, _, k, n in _nodes() if n == 1)
    host = (Hub("host"),)
    return Topology(
        sites=_SITES,
        nodes=tuple(NodePlace(name, site, f"127.66.{k}.{n}") for name, site, k, n in _nodes()),
        planes=(
            NetworkPlane("backbone", "loopback", "127.64.0.0/16", 0, host, backbone),
            NetworkPlane("private", "loopback", "127.65.0.0/16", 0, host, private),
        ),
        center_address="127.66.0.1",
    )


_DRILL_SITES = (*_SITES, SitePlace("zunyi", "guizhou", "telecom", 27.73, 106.93))
_DRILL_NODES = (("jinan", 1), ("jinan", 2), ("qingdao", 1), ("guiyang", 1), ("guiyang", 2), ("zunyi", 1))
_CORE = {"jinan": "east", "qingdao": "east", "guiyang": "west", "zunyi": "west"}
_UPLINK_US = 500
_CORE_US = 3_000


def drill_topology(paths: int = 1) -> Topology:
    """Four sites, six nodes, one network `backbone`; paths: equal ways between the two sides, 1 or 2."""
    number = {site.name: k for k, site in enumerate(_DRILL_SITES, 1)}
    return Topology(
        sites=_DRILL_SITES,
        nodes=tuple(
            NodePlace(f"{site}-{n}", site, f"10.230.0.{number[site]}{n}") for site, n in _DRILL_NODES
        ),
        planes=(_drill_backbone(paths, number),),
        center_address="10.230.0.1",
    )


def _drill_backbone(paths: int, number: dict[str, int]) -> NetworkPlane:
    middle = [f"mid-{letter}" for letter in "ab"[:paths]] if paths > 1 else []
    uplinks = [
        Trunk(site, f"10.210.{100 + k}.1", _CORE[site], f"10.210.{100 + k}.2", _UPLINK_US)
        for site, k in number.items()
    ]
    core = [] if middle else [Trunk("east", "10.210.120.1", "west", "10.210.120.2", _CORE_US)]
    for k, hub in enumerate(middle):
        core += [
            Trunk("east", f"10.210.{130 + k}.1", hub, f"10.210.{130 + k}.2", 0),
            Trunk(hub, f"10.210.{140 + k}.1", "west", f"10.210.{140 + k}.2", _CORE_US),
        ]
    return NetworkPlane(
        name="backbone",
        kind="routed",
        prefix="10.210.0.0/16",
        capacity_bps=_BACKBONE_BPS,
        hubs=(
            *(Hub(site, f"10.210.{k}.1") for site, k in number.items()),
            *(Hub(name) for name in ("east", "west", *middle)),
        ),
        members=tuple(
            Member(f"{site}-{n}", site, f"10.210.{number[site]}.1{n}", 0) for site, n in _DRILL_NODES
        ),
        trunks=(*uplinks, *core),
    )


def _nodes() -> list[tuple[str, str, int, int]]:
    """(node, site, number of the site, number of the node in its site), numbers from 1."""
    return [(f"{site.name}-{n}", site.name, k, n) for k, site in enumerate(_SITES, 1) for n in (1, 2)]


def _backbone() -> NetworkPlane:
    jinan, qingdao, guiyang = (site.name for site in _SITES)
    return NetworkPlane(
        name="backbone",
        kind="routed",
        prefix="10.210.0.0/16",
        capacity_bps=_BACKBONE_BPS,
        hubs=tuple(Hub(site.name, f"10.210.{k}.1") for k, site in enumerate(_SITES, 1)),
        members=tuple(
            Member(name, site, f"10.210.{k}.1{n}", _SECOND_NODE_US if n == 2 else 0)
            for name, site, k, n in _nodes()
        ),
        trunks=(
            Trunk(jinan, "10.210.100.1", qingdao, "10.210.100.2", 2_000),
            Trunk(jinan, "10.210.101.1", guiyang, "10.210.101.2", 15_000),
            Trunk(qingdao, "10.210.102.1", guiyang, "10.210.102.2", 15_000),
        ),
    )


def _private() -> NetworkPlane:
    return NetworkPlane(
        name="private",
        kind="bridged",
        prefix="10.220.0.0/24",
        capacity_bps=_PRIVATE_BPS,
        hubs=(Hub("px"),),
        members=tuple(
            Member(name, "px", f"10.220.0.{k}{n}", _PRIVATE_US[site])
            for name, site, k, n in _nodes()
            if n == 1
        ),
    )
