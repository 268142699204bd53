"""Our engine in a process of its own at the sender's end, as the benchmarks need it; and our reflector.

Run as a module it is the child: takes a Job as a line of JSON on its standard input, runs the engine until it
has delivered so many windows or its input ends, and prints what each delivery brought.
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.world import World, running
from linkgauge.clock import NS_PER_S, SystemClock, read_clock_quality
from linkgauge.frame import Frame
from linkgauge.plan import PLAN_VERSION, Plan, PlanLink
from linkgauge.table import Kind
from probes.engine.engine import Engine
from probes.engine.noted import Fitness

REAL_COLUMNS = ("rtt_min_us", "rtt_p50_us")


@dataclass(frozen=True, slots=True)
class Job:
    """What the engine does: a link to each peer, packets every interval_ns; ends after so many windows.

    rows: also tell each row of each window, by link and start, not only the sums.
    """

    local: str
    peers: list[str]
    port: int
    interval_ns: int
    window_ns: int
    windows: int
    transmit_stamps: str
    rows: bool = False
    timeout_ns: int = NS_PER_S


@dataclass(frozen=True, slots=True)
class Delivery:
    """One window as it was handed over: the process's CPU time and the clock then; sums of its counts.

    waited_s: how long its threads have waited so far for a core that others had.
    """

    cpu_s: float
    mono_s: float
    waited_s: float
    start_ns: int
    loop_lag_max_us: float
    unfit: int
    sums: dict[str, int]
    rows: list[dict[str, Any]] = field(default_factory=list)


def plan_of(job: Job) -> Plan:
    """The plan of such an agent; ICMP, TCP and throughput are off."""
    links = [PlanLink(f"a>b{at}@bench", job.local, peer) for at, peer in enumerate(job.peers)]
    return Plan(
        version=PLAN_VERSION, agent="a", window_ns=job.window_ns, links=links, peers=[], locals=[],
        stamp_interval_ns=job.interval_ns, stamp_timeout_ns=job.timeout_ns, stamp_port=job.port,
        classes=[0], icmp_interval_ns=0, icmp_timeout_ns=0, tcp_interval_ns=0, tcp_timeout_ns=0, tcp_port=0,
        throughput_port=0, throughput_duration_ns=0, cycle_ns=0, turns=[],
        transmit_stamps=job.transmit_stamps,
    )  # fmt: skip


@contextlib.contextmanager
def engine(world: World, job: Job) -> Iterator[subprocess.Popen[str]]:
    """The child at the sender's end; `deliveries` waits for what it tells, `end` ends it before."""
    argv = world.at_sender([sys.executable, "-m", "benchmarks.ours"])
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def deliveries(process: subprocess.Popen[str]) -> list[Delivery]:
    """What the child told, once it has ended by itself. Raises RuntimeError when it failed."""
    assert process.stdout is not None
    told = process.stdout.read()
    if process.wait():
        raise RuntimeError(f"the engine's process ended with {process.returncode}")
    return [Delivery(**one) for one in json.loads(told)]


def end(process: subprocess.Popen[str]) -> None:
    """Tell the child to end before it has delivered all its windows."""
    assert process.stdin is not None
    process.stdin.close()


def run(world: World, job: Job) -> list[Delivery]:
    """Run a job to its end."""
    with engine(world, job) as process:
        return deliveries(process)


@dataclass(frozen=True, slots=True)
class Cost:
    """Steady state of a job: from the first delivered window to the one before the unfinished last.

    waited_ratio: share of the time in which the engine would have run but others had its core.
    """

    per_cpu_s: float
    rate_pps: float
    cpu_ratio: float
    answered: int
    lost: int
    missed: int
    loop_lag_max_us: float
    waited_ratio: float


def cost(found: list[Delivery], windows: int) -> Cost:
    """Of windows 2..windows + 1, by the CPU time between the deliveries of the first and the last."""
    whole = [one for one in found if one.sums["revision"] == 0][: windows + 1]
    if len(whole) < 2:
        raise RuntimeError("the engine delivered fewer than two windows; it measures too short a time")
    first, last, kept = whole[0], whole[-1], whole[1:]
    cpu, wall = last.cpu_s - first.cpu_s, last.mono_s - first.mono_s
    answered = sum(one.sums["replied"] + one.sums["late"] for one in kept)
    return Cost(
        round(answered / cpu),
        round(answered / wall),
        round(cpu / wall, 4),
        answered,
        sum(one.sums["sent"] for one in kept) - answered,
        sum(one.sums["missed"] for one in kept),
        round(max(one.loop_lag_max_us for one in kept), 1),
        round((last.waited_s - first.waited_s) / wall, 4),
    )


@contextlib.contextmanager
def reflector(world: World, port: int, *listen: str) -> Iterator[subprocess.Popen[str]]:
    """`linkgauge reflector` at the far end, for the sender alone. listen: options, else the one address."""
    argv = [
        sys.executable, "-m", "console.main", "reflector", "--allow", world.sender,
        "--rate-pps", "0", "--port", str(port), *(listen or ("--listen", world.reflector)),
    ]  # fmt: skip
    with running(world.at_reflector(argv), ready="answering at") as process:
        yield process


def _child() -> None:
    job = Job(**json.loads(sys.stdin.readline()))
    ended = threading.Event()
    taken: list[tuple[float, float, float, Frame, Fitness]] = []
    whole: list[bool] = []

    def deliver(frames: Mapping[str, Frame], fitness: Fitness) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        window = frames["window"]
        taken.append((usage.ru_utime + usage.ru_stime, time.monotonic(), _waited_s(), window, fitness))
        whole.append(not window.count("revision").any())
        if sum(whole) > job.windows:
            ended.set()

    def until_input_ends() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=until_input_ends, daemon=True).start()
    made = Engine(plan_of(job), SystemClock(), read_clock_quality, deliver, lambda start, end: False)
    made.start()
    ended.wait()
    made.stop()
    json.dump([asdict(_told(job, *one)) for one in taken], sys.stdout)


def _waited_s() -> float:
    """Of all threads of this process (the run-queue wait of schedstat)."""
    files = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(file.read_text(encoding="ascii").split()[1]) for file in files) / 1e9


def _told(job: Job, cpu_s: float, mono_s: float, waited_s: float, frame: Frame, fitness: Fitness) -> Delivery:
    counts = [one.name for one in frame.table.fields if one.kind is Kind.COUNT]
    sums = {name: int(frame.count(name).sum()) for name in counts}
    rows: list[dict[str, Any]] = []
    if job.rows:
        columns: dict[str, list[Any]] = {name: frame.count(name).tolist() for name in counts}
        columns |= {name: frame.real(name).tolist() for name in REAL_COLUMNS}
        columns |= {"link": frame.text("link").tolist(), "start_ns": frame.count("start_ns").tolist()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Delivery(
        cpu_s, mono_s, waited_s, fitness.start_ns, fitness.loop_lag_max_us, fitness.unfit, sums, rows
    )


if __name__ == "__main__":
    _child()
