"""Two namespaces joined by a veth pair, made for one benchmark: nobody else's traffic is in them.

The sender's side is pinned to one core and the reflector's to another where there are two. Any number of
targets lives at the reflector's end, behind one neighbour. Where the benchmark is not root, both ends are on
loopback. On veth the receiver's softirq work is charged to the sender of a packet.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.machine import ROOT
from console.interrupt import interrupted_once
from lab import namespace

_MOST_TARGETS = 60_000


@dataclass(frozen=True, slots=True)
class World:
    """Where the ends are. sender_space, reflector_space: namespaces, None on loopback; device: likewise.

    wire: namespace of a bridge between the ends, None without one; its ports are sender_port and
    reflector_port.
    """

    sender: str
    reflector: str
    first_target: str
    sender_space: str | None
    reflector_space: str | None
    sender_device: str
    reflector_device: str
    wire: str | None = None
    sender_port: str = ""
    reflector_port: str = ""

    @property
    def setting(self) -> str:
        """In words."""
        where = "veth between two namespaces" if self.sender_space else "loopback, as this is not root"
        if self.wire:
            where = "two namespaces, each on a veth pair to a bridge in a third"
        cores = "ends on different cores" if len(_cores()) > 1 else "both ends on one core"
        return f"{where}; {cores}"

    def targets(self, count: int) -> list[str]:
        """Addresses at which the reflector's end answers, consecutive."""
        assert count <= _MOST_TARGETS
        first = ipaddress.IPv4Address(self.first_target)
        return [str(first + at) for at in range(count)]

    def at_sender(self, argv: Sequence[str]) -> list[str]:
        """The command that runs argv at the sender's end, on its core; the process is the one started."""
        return _inside(self.sender_space, _cores()[0], argv)

    def at_reflector(self, argv: Sequence[str]) -> list[str]:
        """Likewise at the reflector's end."""
        return _inside(self.reflector_space, _cores()[-1], argv)


@contextlib.contextmanager
def world(*, wire: bool = False) -> Iterator[World]:
    """Make it, and remove it in the end, also at SIGTERM, with all that runs inside. wire: with a bridge
    between the ends. For the main thread only."""
    if os.geteuid() != 0:
        yield World("127.77.0.1", "127.77.0.2", "127.78.0.1", None, None, "lo", "lo")
        return
    mark = os.getpid() % 100_000
    sender, reflector, middle = f"lgbs{mark}", f"lgbr{mark}", f"lgbw{mark}"
    made = World("10.77.0.1", "10.77.0.2", "10.78.0.1", sender, reflector, sender, reflector)
    if wire:
        made = replace(made, wire=middle, sender_port=f"lgbp{mark}", reflector_port=f"lgbq{mark}")
    with interrupted_once():
        try:
            _build(made, sender, reflector)
            yield made
        finally:
            namespace.remove([sender, reflector, middle])


def cpu_s(pid: int) -> float:
    """Processor time of a process and all its threads so far, user and system, s (its POSIX CPU clock)."""
    return time.clock_gettime(~pid << 3 | 2)


def packets_counted(space: str | None, protocol: str, counter: str) -> int:
    """A counter of /proc/net/snmp in a namespace (None: this one's), e.g. Icmp InEchoReps."""

    def read() -> str:
        return Path("/proc/thread-self/net/snmp").read_text(encoding="ascii")

    told = namespace.inside(space, read) if space else read()
    rows = [line.split() for line in told.splitlines() if line.startswith(f"{protocol}:")]
    return int(rows[1][rows[0].index(counter)])


def resident_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def resident_peak_mb(pid: int) -> float:
    """The most that it ever was."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024 / 1e6


@contextlib.contextmanager
def running(argv: Sequence[str], ready: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ours that is ended with SIGTERM; `ready`: wait for a line on its stderr that has this.

    What it prints is thrown away. environment: beside our own.
    """
    stderr = subprocess.PIPE if ready else subprocess.DEVNULL
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=stderr, text=True, env={**os.environ, **environment}, cwd=ROOT
    )
    try:
        if ready:
            _await_line(process, ready)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()


def _await_line(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return
    raise RuntimeError(f"{process.args!r} ended before it was ready: {''.join(seen)[-300:]}")


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _inside(space: str | None, core: int, argv: Sequence[str]) -> list[str]:
    enter = ["nsenter", f"--net={namespace.path(space)}"] if space else []
    return [*enter, "taskset", "-c", str(core), *argv]


def _build(made: World, sender: str, reflector: str) -> None:
    namespace.ip_batch(f"netns add {sender}\nnetns add {reflector}\n")
    if made.wire:
        namespace.ip_batch(
            f"netns add {made.wire}\n"
            + _pair(sender, made.sender_device, made.wire, made.sender_port)
            + _pair(reflector, made.reflector_device, made.wire, made.reflector_port)
        )
        ports = "".join(
            f"link set {port} master bridge\nlink set {port} up\n"
            for port in (made.sender_port, made.reflector_port)
        )
        _ip(made.wire, f"link add bridge type bridge forward_delay 0\n{ports}link set bridge up\n")
    else:
        namespace.ip_batch(_pair(sender, made.sender_device, reflector, made.reflector_device))
    targets = "10.78.0.0/16"
    for name, device, address, route in (
        (sender, made.sender_device, made.sender, f"{targets} via {made.reflector}"),
        (reflector, made.reflector_device, made.reflector, f"local {targets} dev lo"),
    ):
        up = f"link set lo up\nlink set {device} up\naddr add {address}/30 dev {device}\n"
        _ip(name, f"{up}route add {route}\n")
    ping_sockets = "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range\n"
    namespace.run_inside({sender: ping_sockets})


def _pair(space: str, device: str, peer_space: str, peer: str) -> str:
    return f"link add {device} netns {space} type veth peer name {peer} netns {peer_space}\n"


def _ip(space: str, lines: str) -> None:
    namespace.run(["ip", "-n", space, "-batch", "-"], lines)
