"""What an answer costs: replies per CPU-second of `linkgauge reflector`, a process of its own.

`python -m benchmarks.reflecting [--quick]` prints one JSON document. The load is our sender in C on the other
core, at most 1 024 packets on the way, so that nothing is dropped; packets of 44 octets and such as our
agents send. CPU is the process's clock and replies are its kernel's count, both between the same two moments.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import Any

from benchmarks import compiled, ours
from benchmarks.compiled import Floor
from benchmarks.machine import at_least, note, quick, show
from benchmarks.probing import OUR_OCTETS, OUR_TAIL
from benchmarks.world import World, cpu_s, packets_counted, resident_mb, world

RUNS = 1 if quick() else 3
SECONDS = 1.5 if quick() else 4.0
PORT = 18_862
FAST = "as fast as it goes"
LOADS = {
    "44 octets, one session": ("-", 1, 0),
    "44 octets, 1 000 sessions": ("-", 1000, 0),
    f"{OUR_OCTETS} octets with TLVs, one session": (OUR_TAIL, 1, 0),
    f"{OUR_OCTETS} octets with TLVs, 1 000 sessions": (OUR_TAIL, 1000, 0),
    f"{OUR_OCTETS} octets with TLVs, 1 000 sessions, 10 000 per second": (OUR_TAIL, 1000, 10_000),
}
"""What the sender does: TLVs in hex, sessions, packets per second (0: as fast as replies come)."""


def main() -> None:
    with world() as where, compiled.floor() as programs:
        found: dict[str, Any] = {}
        for name, load in LOADS.items():
            found[name] = _several(where, programs, name, load) if programs else compiled.NO_COMPILER
        first = found["44 octets, one session"]
        reached = first["per_cpu_s"] if isinstance(first, dict) else None
        ours_ = found[f"{OUR_OCTETS} octets with TLVs, 1 000 sessions"]
        with_tlvs = ours_["per_cpu_s"] if isinstance(ours_, dict) else None
        goals = [
            at_least("replies per CPU-second, 44 octets", 150_000, reached),
            at_least("replies per CPU-second, as our agents ask", 150_000, with_tlvs),
        ]
        figure = "replies per CPU-second of the reflector's process, user and system time, steady state"
        show("reflecting", where.setting, {"figure": figure, "figures": found}, goals)


def _several(where: World, programs: Floor, name: str, load: tuple[str, int, int]) -> dict[str, Any]:
    note(name)
    runs = [_measure(where, programs, *load) for _ in range(RUNS)]
    return {"per_cpu_s": round(statistics.median(run["per_cpu_s"] for run in runs)), "runs": runs}


def _measure(where: World, programs: Floor, tail: str, sessions: int, rate_pps: int) -> dict[str, Any]:
    target = where.first_target if sessions > 1 else where.reflector
    load = compiled.Load(sessions, rate_pps, 100 if rate_pps else 256, 60, tail=tail)
    listen = ("--listen", "0.0.0.0") if sessions > 1 else ("--listen", where.reflector)
    with ours.reflector(where, PORT, *listen) as process:
        sender = subprocess.Popen(
            where.at_sender(compiled.argv(programs, load, target, PORT)), stdout=subprocess.DEVNULL
        )
        try:
            time.sleep(1)
            before = _reading(where, process.pid)
            time.sleep(SECONDS)
            after = _reading(where, process.pid)
            memory_mb = resident_mb(process.pid)
        finally:
            sender.terminate()
            sender.wait()
    wall, cpu, replies = (b - a for a, b in zip(before, after, strict=True))
    return {
        "per_cpu_s": round(replies / cpu),
        "rate_pps": round(replies / wall),
        "cpu_ratio": round(cpu / wall, 3),
        "resident_mb": round(memory_mb, 1),
    }


def _reading(where: World, pid: int) -> tuple[float, float, int]:
    return time.monotonic(), cpu_s(pid), packets_counted(where.reflector_space, "Udp", "OutDatagrams")


if __name__ == "__main__":
    main()
