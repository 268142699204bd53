"""A host and its router in two namespaces, and echo rounds run by a child inside the host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ICMP = "from probes.icmp.probe import IcmpProber as make"
_CHILD = """
import json, math, sys
from linkgauge.plan import PlanLink
{make}
links = [PlanLink(*words) for words in json.loads(sys.argv[1])]
prober = make(sorted({{link.local for link in links}}))
out = prober.round(links, int(float(sys.argv[2]) * 1e9))
rtt_ns = [None if math.isnan(value) else value for value in out.rtt_ns]
raw = [door.raw for door in getattr(prober, "_doors", {{}}).values()]
print(json.dumps([out.fate.tolist(), rtt_ns, raw, out.duplicate.tolist()]))
"""


@dataclass(frozen=True)
class Told:
    """What a round in the host gave: fate, rtt_ns (None = unknown), duplicate per target, raw per socket."""

    fate: list[int]
    rtt_ns: list[float | None]
    raw: list[bool]
    duplicate: list[int]


@dataclass(frozen=True)
class Router:
    """Namespaces `host` (10.77.0.1, fd77::1 on lgi0) and `router` (.2, ::2)."""

    host: str
    router: str

    def run_round(self, make: str, *links: tuple[str, str, str], timeout_s: float = 3) -> Told:
        """Run one round in the host. make: import that defines `make(locals)`, which gives the prober."""
        code = _CHILD.format(make=make)
        return Told(
            *json.loads(inside(self.host, sys.executable, "-c", code, json.dumps(links), str(timeout_s)))
        )


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(name: str, *argv: str) -> str:
    return run("ip", "netns", "exec", name, *argv)


def routed(prefix: str) -> Iterator[Router]:
    """The two namespaces; the router knows no way to 10.88.0.0/24 and fd88::/64 and says so by ICMP.

    It prohibits 10.89.0.0/24 and fd89::/64, and says that too.
    """
    made = Router(f"{prefix}{os.getpid()}h", f"{prefix}{os.getpid()}r")
    run("ip", "netns", "add", made.host)
    run("ip", "netns", "add", made.router)
    try:
        inside(
            made.host,
            "ip",
            "link",
            "add",
            "lgi0",
            "type",
            "veth",
            "peer",
            "name",
            "lgi1",
            "netns",
            made.router,
        )
        for name, end, last in ((made.host, "lgi0", "1"), (made.router, "lgi1", "2")):
            inside(name, "ip", "address", "add", f"10.77.0.{last}/24", "dev", end)
            inside(name, "ip", "address", "add", f"fd77::{last}/64", "dev", end, "nodad")
            for link in ("lo", end):
                inside(name, "ip", "link", "set", link, "up")
        inside(made.router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for family, kind, far, way in (
            ("-4", "unreachable", "10.88.0.0/24", "10.77.0.2"), ("-6", "unreachable", "fd88::/64", "fd77::2"),
            ("-4", "prohibit", "10.89.0.0/24", "10.77.0.2"), ("-6", "prohibit", "fd89::/64", "fd77::2"),
        ):  # fmt: skip
            inside(made.router, "ip", family, "route", "add", kind, far)
            inside(made.host, "ip", family, "route", "add", far, "via", way)
        deadline = time.monotonic() + 60  # IPv6 takes a while to find its neighbours
        while made.run_round(ICMP, ("a>b@n", "fd77::1", "fd77::2")).fate != [0]:
            assert time.monotonic() < deadline, "the router never answered"
        yield made
    finally:
        run("ip", "netns", "delete", made.host)
        run("ip", "netns", "delete", made.router)
