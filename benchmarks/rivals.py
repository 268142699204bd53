"""What a probe costs with other tools, in the same world and on the same core as ours.

Each function of ONE and MANY takes a world and the seconds to measure, and returns a Cost, or the word why
there is none. Only what is installed here is measured. ICMP is answered by the far kernel in the sender's own
softirq, so an ICMP tool pays for both ways of a probe on veth, and a UDP tool for the way out.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.world import World, cpu_s, packets_counted, running
from lab import namespace

NOT_INSTALLED = "not installed"
TARGETS, RATE_PPS = 1000, 10
_ECHO = ("Icmp", "InEchoReps")
_STEADY, _WHOLE = "steady state", "whole process"


@dataclass(frozen=True, slots=True)
class Cost:
    """Answered probes per CPU-second and per second; load: what the tool was told; span: of what time."""

    per_cpu_s: float
    rate_pps: float
    load: str
    span: str


Measured = Cost | str
Rival = Callable[[World, float], Measured]


def fping_one(world: World, seconds: float) -> Measured:
    """One target as fast as it goes; fping takes at most 65 535 probes in 10 s, so it runs to its end."""
    program = shutil.which("fping")
    if program is None:
        return NOT_INSTALLED
    count = min(60_000, int(seconds * 30_000))
    costs = []
    for period in ("0.05", "0.02", "0.01"):
        argv = [program, "-q", "-c", str(count), "-i", "0", "-p", period, world.reflector]
        process = subprocess.Popen(
            world.at_sender(argv), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        began = time.monotonic()
        answered = int(process.stderr.read().partition(" = ")[2].split("/")[1])
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        wall, cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
        if answered > 0.95 * count:
            costs.append(
                Cost(answered / cpu, answered / wall, f"-i 0 -p {period}, the best of three", _WHOLE)
            )
    return max(costs, key=lambda cost: cost.per_cpu_s) if costs else "lost more than 5 %"


def fping_many(world: World, seconds: float) -> Measured:
    """600 targets: with 1 000 it runs out of sequence numbers and ends."""
    argv = ["fping", "-q", "-c", "100000", "-i", "0.01", "-p", "100", *world.targets(600)]
    return _steady(world, argv, seconds, "600 targets x 10 per second")


def ping_one(world: World, seconds: float) -> Measured:
    return _steady(world, ["ping", "-f", "-q", world.reflector], seconds, "-f")


def collectd_many(world: World, seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "collectd.conf")
        hosts = "".join(f'Host "{address}"\n' for address in world.targets(TARGETS))
        config.write_text(
            f'BaseDir "{folder}"\nPIDFile "{folder}/pid"\nInterval 10\nLoadPlugin ping\n'
            f"<Plugin ping>\n{hosts}Interval 0.1\nTimeout 0.09\n</Plugin>\n",
            encoding="ascii",
        )
        argv = ["collectd", "-f", "-C", str(config)]
        return _steady(world, argv, seconds, "1 000 targets x 10 per second", warm_s=3)


def smokeping_one(world: World, seconds: float) -> Measured:
    return _smokeping(world, seconds, [world.reflector], "1ms")


def smokeping_many(world: World, seconds: float) -> Measured:
    return _smokeping(world, seconds, world.targets(TARGETS), "100ms")


def blackbox_one(world: World, seconds: float) -> Measured:
    return _blackbox(world, seconds, [world.reflector])


def blackbox_many(world: World, seconds: float) -> Measured:
    return _blackbox(world, seconds, world.targets(TARGETS))


def irtt_one(world: World, seconds: float) -> Measured:
    if shutil.which("irtt") is None:
        return NOT_INSTALLED
    with running(world.at_reflector(["irtt", "server", "-i", "0"])):
        time.sleep(0.5)
        argv = ["irtt", "client", "-Q", "-d", "10m", "-i", "20us", world.reflector]
        return _steady(world, argv, seconds, "-i 20us", counter=("Udp", "InDatagrams"))


def icmplib_one(world: World, seconds: float) -> Measured:
    call = "icmplib.ping(sys.argv[1], count=500, interval=0, privileged=False)"
    return _icmplib(world, seconds, call, [world.reflector], "interval 0")


def icmplib_many(world: World, seconds: float) -> Measured:
    call = "icmplib.multiping(sys.argv[1:], count=1, interval=0, privileged=False)"
    return _icmplib(world, seconds, call, world.targets(TARGETS), "1 000 targets, as fast as it goes")


ONE: dict[str, Rival] = {
    "fping": fping_one,
    "ping -f": ping_one,
    "irtt": irtt_one,
    "icmplib": icmplib_one,
    "smokeping_prober": smokeping_one,
    "blackbox_exporter": blackbox_one,
}
MANY: dict[str, Rival] = {
    "fping": fping_many,
    "collectd ping": collectd_many,
    "smokeping_prober": smokeping_many,
    "blackbox_exporter": blackbox_many,
    "icmplib multiping": icmplib_many,
}
DAEMONS = ("smokeping_prober", "blackbox_exporter", "icmplib multiping")
"""Those of MANY that are neither fping nor collectd."""


def _steady(
    world: World,
    argv: Sequence[str],
    seconds: float,
    load: str,
    warm_s: float = 1.0,
    counter: tuple[str, str] = _ECHO,
) -> Measured:
    """Run a tool and read its CPU clock and the kernel's count of answers at two moments."""
    if shutil.which(argv[0]) is None:
        return NOT_INSTALLED
    with running(world.at_sender(argv)) as process:
        time.sleep(warm_s)
        return _between(world, process, seconds, load, counter)


def _between(
    world: World,
    process: subprocess.Popen[str],
    seconds: float,
    load: str,
    counter: tuple[str, str] = _ECHO,
) -> Measured:
    try:
        before = time.monotonic(), cpu_s(process.pid), packets_counted(world.sender_space, *counter)
        time.sleep(seconds)
        after = time.monotonic(), cpu_s(process.pid), packets_counted(world.sender_space, *counter)
    except OSError:
        return f"ended by itself with {process.poll()}"
    wall, cpu, answered = (b - a for a, b in zip(before, after, strict=True))
    return Cost(answered / cpu, answered / wall, load, _STEADY) if answered and cpu else "no answer"


def _smokeping(world: World, seconds: float, targets: Sequence[str], interval: str) -> Measured:
    program = _program("prometheus-smokeping-prober", "smokeping_prober")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "empty.yml")
        config.write_text("targets: []\n", encoding="ascii")
        listen = f"--web.listen-address={world.sender}:9374"
        argv = [program, f"--config.file={config}", listen, f"--ping.interval={interval}", *targets]
        return _steady(world, argv, seconds, f"{len(targets)} targets, interval {interval}", warm_s=3)


def _blackbox(world: World, seconds: float, targets: Sequence[str]) -> Measured:
    program = _program("prometheus-blackbox-exporter", "blackbox_exporter")
    if shutil.which(program) is None:
        return NOT_INSTALLED
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "blackbox.yml")
        module = "modules: {icmp: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip4}}}\n"
        config.write_text(module, encoding="ascii")
        argv = [program, f"--config.file={config}", f"--web.listen-address={world.sender}:9115"]
        with running(world.at_sender(argv)) as process:
            time.sleep(1)
            with _asking(world, targets):
                time.sleep(0.5)
                load = f"{len(targets)} targets over 4 HTTP connections, as fast as it goes"
                return _between(world, process, seconds, load)


@contextlib.contextmanager
def _asking(world: World, targets: Sequence[str]) -> Iterator[None]:
    """Four connections that ask the exporter for one target after the other; their cost is not its."""
    ended = threading.Event()

    def connect() -> socket.socket:
        return socket.create_connection((world.sender, 9115), 5)

    def ask(first: int) -> None:
        client = http.client.HTTPConnection(world.sender, 9115)
        client.sock = namespace.inside(world.sender_space, connect) if world.sender_space else connect()
        for target in itertools.cycle(targets[first:] or targets):
            if ended.is_set():
                break
            client.request("GET", f"/probe?target={target}&module=icmp")
            client.getresponse().read()
        client.close()

    threads = [threading.Thread(target=ask, args=(at * len(targets) // 4,)) for at in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _icmplib(world: World, seconds: float, call: str, targets: Sequence[str], load: str) -> Measured:
    for python in (sys.executable, "/usr/bin/python3"):
        tried = subprocess.run([python, "-c", "import icmplib"], check=False, capture_output=True)
        if tried.returncode == 0:
            code = f"import sys, icmplib\nwhile True:\n    {call}"
            return _steady(world, [python, "-c", code, *targets], seconds, load, warm_s=2)
    return NOT_INSTALLED


def _program(*names: str) -> str:
    """The first of these names that is installed, else the first."""
    return next((name for name in names if shutil.which(name)), names[0])
