"""Five namespaces in a row, the second way through the middle: host - first - (upper | lower) - third - far.

Addresses are 10.71.N.1 and .2, fd71:N::1 and ::2 for the two ends of wire N: 0 host-first, 1 first-upper,
2 first-lower, 3 upper-third, 4 lower-third, 5 third-far. All goes by `upper` until a test says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab import namespace

WIRES = [
    ("host", "first"), ("first", "upper"), ("first", "lower"),
    ("upper", "third"), ("lower", "third"), ("third", "far"),
]  # fmt: skip
PLACES = ("host", "first", "upper", "lower", "third", "far")
DEFAULTS = {"host": (0, 2), "upper": (3, 2), "lower": (4, 2), "far": (5, 1)}
"""Wire and end by which a place sends what it knows no other way for."""
V4 = ("10.71.0.1", "10.71.5.2")
V6 = ("fd71::1", "fd71:5::2")


def v4(wire: int, end: int) -> str:
    return f"10.71.{wire}.{end}"


def v6(wire: int, end: int) -> str:
    return f"fd71:{wire}::{end}" if wire else f"fd71::{end}"


@dataclass(frozen=True)
class World:
    """Names of the namespaces begin with `prefix`."""

    prefix: str

    def name(self, place: str) -> str:
        return f"{self.prefix}-{place}"

    def run(self, place: str, script: str) -> None:
        namespace.run_inside({self.name(place): script})

    def route(self, *middle: str) -> None:
        """Have `first` send what goes to `far` by these of the two."""
        wires = [{"upper": 1, "lower": 2}[name] for name in middle]
        for flag, far, at in (("-4", "10.71.5.0/24", v4), ("-6", "fd71:5::/64", v6)):
            hops = " ".join(f"nexthop via {at(wire, 2)} dev w{wire}" for wire in wires)
            self.run("first", f"ip {flag} route replace {far} {hops}")


def _script(place: str) -> str:
    lines = ["ip link set lo up"]
    for wire, ends in enumerate(WIRES):
        if place in ends:
            end = ends.index(place) + 1
            lines += [
                f"ip address add {v4(wire, end)}/24 dev w{wire}",
                f"ip address add {v6(wire, end)}/64 dev w{wire} nodad",
                f"ip link set w{wire} up",
            ]
    for flag, every, at in (("-4", "0.0.0.0/0", v4), ("-6", "::/0", v6)):
        if place in DEFAULTS:
            lines.append(f"ip {flag} route add {every} via {at(*DEFAULTS[place])}")
    if place in ("upper", "lower"):
        wire = {"upper": 1, "lower": 2}[place]
        lines += [f"ip route add 10.71.0.0/24 via {v4(wire, 1)}", f"ip route add fd71::/64 via {v6(wire, 1)}"]
    if place == "third":
        lines += [f"ip route add 10.71.0.0/24 via {v4(3, 1)}", f"ip route add fd71::/64 via {v6(3, 1)}"]
    if place not in ("host", "far"):
        lines.append(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0"
            " net.ipv6.icmp.ratelimit=0 net.ipv4.fib_multipath_hash_policy=1"
            " net.ipv6.fib_multipath_hash_policy=1"
        )
    return "\n".join(lines)


@contextmanager
def built(prefix: str) -> Iterator[World]:
    """The world, removed at the end whatever happens."""
    world = World(f"{prefix}{os.getpid()}")
    names = [world.name(place) for place in PLACES]
    try:
        namespace.ip_batch(
            "".join(f"netns add {name}\n" for name in names)
            + "".join(
                f"link add w{wire} netns {world.name(one)} type veth"
                f" peer name w{wire} netns {world.name(other)}\n"
                for wire, (one, other) in enumerate(WIRES)
            )
        )
        namespace.run_inside({world.name(place): _script(place) for place in PLACES})
        world.route("upper")
        yield world
    finally:
        namespace.remove(names)
