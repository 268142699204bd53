"""Error of the reported round trip against AF_PACKET stamps of the same packets: ours, ping and fping.

`python -m benchmarks.accuracy [--quick]` prints one JSON document. 10 packets a second, idle and with a busy
loop on each core. Ours: windows as long as the interval hold one packet each, so that the smallest round trip
of a window is that packet's. The truth is by stamps of arrival alone, so that the taps do not delay what they
stamp: an end's packet arrives at a bridge over a veth pair of its own, which is when it left. Ours: (T4 - T1)
- (T3 - T2). ping and fping: reply less request, as what the far kernel does is part of theirs.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import ours, tap
from benchmarks.machine import Goal, at_most, note, quick, ratio, show
from benchmarks.rivals import NOT_INSTALLED
from benchmarks.world import World, running, world
from lab import namespace
from probes.sockets.raw_name import raw_name
from probes.sockets.sockets import BatchSocket

PACKETS = 50 if quick() else 310
INTERVAL_NS = 100_000_000
PORT = 18_862
_ECHO_LINE = re.compile(r"(?:icmp_seq=|\[)(\d+).*?([0-9.]+) ms")

Errors = list[float]

LIMIT = (
    "what is left of ours is the way of a packet from the kernel's transmit stamp through the driver to its "
    "arrival at the other end of the cable, at both ends: twice transmit_stamp_to_wire_us, which is measured "
    "with a socket that does nothing else. The kernel has no stamp that is nearer to the wire."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A device of a namespace."""

    space: str
    device: str


@dataclass(frozen=True, slots=True)
class Wire:
    """Where packets are stamped: as they leave an end (at the bridge), and as they arrive there."""

    left_sender: Place
    at_reflector: Place
    left_reflector: Place
    at_sender: Place


def main() -> None:
    with world(wire=True) as where:
        if where.sender_space is None or where.reflector_space is None or where.wire is None:
            goal = Goal("error of the round trip", "", None, None, "namespaces and AF_PACKET need root")
            show("accuracy", where.setting, {}, [goal])
            return
        wire = Wire(
            Place(where.wire, where.sender_port),
            Place(where.reflector_space, where.reflector_device),
            Place(where.wire, where.reflector_port),
            Place(where.sender_space, where.sender_device),
        )
        found: dict[str, dict[str, Any]] = {}
        for state, busy in (("idle", contextlib.nullcontext), ("both cores busy", lambda: _busy(where))):
            found[state] = {}
            for tool, measure in _tools(where, wire).items():
                note(f"{state}: {tool}")
                with busy():
                    errors_us = measure()
                found[state][tool] = _summary(errors_us) if errors_us is not None else NOT_INSTALLED
        load = f"{PACKETS} packets of each tool, 10 per second; errors are reported - true, us"
        note("from the kernel's transmit stamp to the wire")
        figures = {"load": load, "figures": found, "transmit_stamp_to_wire_us": _to_wire_us(where, wire)}
        show("accuracy", where.setting, {**figures, "limit": LIMIT}, _goals(found))


def _tools(where: World, wire: Wire) -> dict[str, Callable[[], Errors | None]]:
    seconds = INTERVAL_NS / 1e9
    ping = ["ping", "-c", str(PACKETS), "-i", f"{seconds:g}", where.reflector]
    fping = ["fping", "-c", str(PACKETS), "-p", f"{1000 * seconds:g}", where.reflector]
    return {
        "ours": lambda: _ours(where, wire),
        "ping": lambda: _echo(where, wire, ping, first=1),
        "fping": lambda: _echo(where, wire, fping, first=0),
    }


@contextlib.contextmanager
def _taps(*places: Place) -> Iterator[list[list[tap.Passed]]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(tap.tap(place.space, place.device)) for place in places]


def _ours(where: World, wire: Wire) -> Errors:
    job = ours.Job(where.sender, [where.reflector], PORT, INTERVAL_NS, INTERVAL_NS, PACKETS, "on", rows=True)
    places = (wire.left_sender, wire.at_reflector, wire.left_reflector, wire.at_sender)
    with ours.reflector(where, PORT), _taps(*places) as passed:
        found = ours.run(where, job)
    truth_us = tap.stamp_truth_us(passed, PORT)
    last = {row["start_ns"]: row for one in found for row in one.rows}
    errors, seq = [], 0
    for _, row in sorted(last.items())[:PACKETS]:  # the last one of a run has no follow-up of T3
        if row["sent"] == row["replied"] == 1 and seq in truth_us:
            errors.append(row["rtt_min_us"] - truth_us[seq])
        seq += row["sent"]
    return errors


def _echo(where: World, wire: Wire, argv: list[str], first: int) -> Errors | None:
    """Of a tool that prints a line for each echo, numbered from `first`."""
    if shutil.which(argv[0]) is None:
        return None
    with _taps(wire.left_sender, wire.at_sender) as passed:
        done = subprocess.run(where.at_sender(argv), capture_output=True, text=True, check=False)
    truth_us = tap.echo_truth_us(*passed)
    errors = []
    for line in done.stdout.splitlines():
        match = _ECHO_LINE.search(line)
        at = int(match[1]) - first if match else -1
        if match and 0 <= at < len(truth_us) and (true_us := truth_us[at]) is not None:
            errors.append(1000 * float(match[2]) - true_us)
    return errors


def _to_wire_us(where: World, wire: Wire) -> float:
    """Median of arrival at the bridge less the kernel's transmit stamp, us, 10 packets per second, idle."""

    def open_socket() -> BatchSocket:
        return BatchSocket(where.sender, 0, transmit_stamps=True)

    sock = namespace.inside(wire.at_sender.space, open_socket)
    name = raw_name(where.reflector, PORT + 1)[None]
    left_ns: list[int] = []
    with _taps(wire.left_sender) as (arrived,):
        for seq in range(PACKETS // 5):
            packet = np.zeros((1, tap.STAMP_PACKET_OCTETS), np.uint8)
            packet[0, :4] = list(seq.to_bytes(4, "big"))
            sock.send(packet, name)
            time.sleep(INTERVAL_NS / 1e9)
            returned = sock.returned()
            left_ns.append(int(returned.stamp_ns[0]) if returned and len(returned.stamp_ns) else 0)
    sock.close()
    at_ns = tap.request_stamps(arrived, PORT + 1)
    crossings = [(at_ns[seq] - left) / 1e3 for seq, left in enumerate(left_ns) if left and seq in at_ns]
    return round(float(np.median(crossings)), 3)


@contextlib.contextmanager
def _busy(where: World) -> Iterator[None]:
    """A loop that never rests on each core."""
    loop = [sys.executable, "-c", "while True: pass"]
    with running(where.at_sender(loop)), running(where.at_reflector(loop)):
        yield


def _summary(errors_us: Errors) -> dict[str, Any]:
    absolute = np.abs(errors_us)
    median, p99 = np.percentile(absolute, [50, 99])
    return {
        "packets": len(errors_us),
        "median_abs_us": round(float(median), 3),
        "p99_abs_us": round(float(p99), 3),
        "max_abs_us": round(float(absolute.max()), 3),
        "median_signed_us": round(float(np.median(errors_us)), 3),
    }


def _goals(found: dict[str, dict[str, Any]]) -> list[Goal]:
    idle, busy = found["idle"], found["both cores busy"]
    goals = [
        at_most("idle: median, us", 2, _figure(idle, "ours", "median_abs_us")),
        at_most("idle: p99, us", 10, _figure(idle, "ours", "p99_abs_us")),
    ]
    for tool in ("ping", "fping"):
        for name, key in (("median", "median_abs_us"), ("p99", "p99_abs_us")):
            share = ratio(_figure(idle, "ours", key), _figure(idle, tool, key))
            goals.append(at_most(f"idle: {name}, ours / {tool}", 0.1, share))
    return [*goals, at_most("both cores busy: median, us", 10, _figure(busy, "ours", "median_abs_us"))]


def _figure(row: dict[str, Any], tool: str, key: str) -> float | None:
    return row[tool][key] if isinstance(row.get(tool), dict) else None


if __name__ == "__main__":
    main()
