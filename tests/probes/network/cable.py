"""Two namespaces joined by a cable, near and far, with many pairs of addresses, and nft between them.

A lane is a pair of addresses of one family: links of their own, for which nft can have rules of their own.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from lab import namespace

PORT = 862
FAMILIES = ("v4", "v6")
DEVICE = "lgt0"
T = TypeVar("T")
_serial = itertools.count()


def address(lane: int, family: str, end: str) -> str:
    """Of near or far on that lane."""
    last = 1 if end == "near" else 2
    return f"10.70.{lane}.{last}" if family == "v4" else f"fd70:{lane:x}::{last}"


def link(lane: int, family: str) -> str:
    return f"l{lane}{family}>far@n"


def request(lane: int, family: str) -> str:
    """What matches a lane's requests."""
    ip = "ip" if family == "v4" else "ip6"
    return f"{ip} daddr {address(lane, family, 'far')} udp dport {PORT}"


def reply(lane: int, family: str) -> str:
    """What matches a lane's replies."""
    ip = "ip" if family == "v4" else "ip6"
    return f"{ip} saddr {address(lane, family, 'far')} udp sport {PORT}"


@dataclass(frozen=True, slots=True)
class Cable:
    """near, far: names of the namespaces."""

    near: str
    far: str

    def inside(self, end: str, work: Callable[[], T]) -> T:
        """Sockets that work() makes stay in the namespace of that end."""
        return namespace.inside(getattr(self, end), work)

    def run(self, end: str, *argv: str, text: str = "") -> str:
        return namespace.run(["nsenter", f"--net={namespace.path(getattr(self, end))}", *argv], text)

    def rules(self, end: str, incoming: Sequence[str] = (), outgoing: Sequence[str] = ()) -> None:
        """Add rules for what comes in or goes out at that end; `counter name x` makes a counter."""
        words = " ".join([*incoming, *outgoing]).split()
        names = {words[i + 2] for i in range(len(words) - 2) if words[i : i + 2] == ["counter", "name"]}
        text = "table inet lgt {\n" + "".join(f"counter {name} {{ }}\n" for name in sorted(names))
        text += "chain incoming { type filter hook input priority 0;\n" + "\n".join(incoming) + "\n}\n"
        text += "chain outgoing { type filter hook output priority 0;\n" + "\n".join(outgoing) + "\n}\n}\n"
        self.run(end, "nft", "-f", "-", text=text)

    def lift(self, end: str) -> None:
        """End all rules; the counters stay."""
        self.run(end, "nft", "flush table inet lgt")

    def counters(self, end: str) -> dict[str, int]:
        """Packets of each named counter."""
        told = json.loads(self.run(end, "nft", "-j", "list counters"))
        counters = (item["counter"] for item in told["nftables"] if "counter" in item)
        return {counter["name"]: int(counter["packets"]) for counter in counters}


@contextmanager
def joined(lanes: int) -> Iterator[Cable]:
    """A cable with lanes 1..lanes of both families; taken down at the end, with all that runs in it."""
    prefix = f"lgt{os.getpid()}x{next(_serial)}"
    made = Cable(prefix + "n", prefix + "f")
    try:
        namespace.ip_batch(
            f"netns add {made.near}\nnetns add {made.far}\n"
            f"link add {DEVICE} netns {made.near} type veth peer name {DEVICE} netns {made.far}\n"
        )
        namespace.run_inside({getattr(made, end): _furniture(end, lanes) for end in ("near", "far")})
        yield made
    finally:
        namespace.remove([made.near, made.far])


def _furniture(end: str, lanes: int) -> str:
    lines = ["sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv6.conf.all.accept_dad=0"]
    lines += [f"ip link set {device} up" for device in ("lo", DEVICE)]
    for lane in range(1, lanes + 1):
        lines.append(f"ip address add {address(lane, 'v4', end)}/24 dev {DEVICE}")
        lines.append(f"ip address add {address(lane, 'v6', end)}/64 dev {DEVICE} nodad")
    return "\n".join(lines) + "\n"
