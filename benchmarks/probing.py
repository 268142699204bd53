"""What a probe costs: round trips per CPU-second of the sender, beside the same in bare C and other tools.

`python -m benchmarks.probing [--quick]` prints one JSON document. One link at a fast rate, and 1 000 targets
at 10 per second each; transmit stamps off and on. The far end is our reflector in C on the other core, so
that it is never the limit. CPU of our process is that between two deliveries of windows: start-up is left
out. The C sender comes bare (44 octets) and with the octets that our engine sends.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import compiled, ours, rivals
from benchmarks.compiled import Floor, Load
from benchmarks.machine import Goal, at_least, note, quick, ratio, show
from benchmarks.world import World, world
from linkgauge.clock import NS_PER_S
from probes.stamp.tlv import layout, tail

RUNS = 1 if quick() else 3
TWICE = () if quick() else ("fping", "collectd ping")
"""Rivals that a goal names are measured twice, the others once."""
FLOOR_S = 1.0
RIVAL_S = 1.0
FAST_PPS = 100_000
TARGETS, RATE_PPS = rivals.TARGETS, rivals.RATE_PPS
OUR_TAIL = tail(layout(0, tlvs=True, authenticated=False), 0).hex()
OUR_OCTETS = 44 + len(OUR_TAIL) // 2


@dataclass(frozen=True, slots=True)
class Case:
    """One column of the table; closed: also as fast as replies come (the C sender alone can).

    windows of window_s are measured, after one that is not.
    """

    name: str
    targets: int
    rate_pps: int
    batch: int
    closed: bool
    window_s: int
    windows: int
    rivals: dict[str, rivals.Rival]


CASES = (
    Case("one_link", 1, FAST_PPS, 256, True, 2, 1 if quick() else 2, rivals.ONE),
    Case("many_targets", TARGETS, TARGETS * RATE_PPS, 100, False, 5, 1, rivals.MANY),
)


def main() -> None:
    with world() as where, compiled.floor() as programs, _far_end(programs, where) as port:
        found = {case.name: _case(where, programs, port, case) for case in CASES}
        show("probing", where.setting, _explained(found), _goals(found))


@contextlib.contextmanager
def _far_end(programs: Floor | None, where: World) -> Iterator[int]:
    """Our C reflector; without a compiler our reflector in Python."""
    if programs:
        with compiled.reflector(programs, where):
            yield compiled.PORT
    else:
        with ours.reflector(where, compiled.PORT):
            yield compiled.PORT


def _case(where: World, programs: Floor | None, port: int, case: Case) -> dict[str, Any]:
    measured: dict[str, list[Any]] = {}
    several = programs is not None and case.targets > 1
    first = where.first_target if several else where.reflector
    peers = where.targets(case.targets) if several else [where.reflector] * case.targets
    for run in range(RUNS):
        note(f"{case.name}, run {run + 1} of {RUNS}")
        if programs:
            for name, load in _loads(case).items():
                measured.setdefault(name, []).append(compiled.send(programs, where, load, first))
        for name, stamps in (("ours", "off"), ("ours, transmit stamps", "on")):
            interval_ns = NS_PER_S * case.targets // case.rate_pps
            window_ns = case.window_s * NS_PER_S
            job = ours.Job(where.sender, peers, port, interval_ns, window_ns, case.windows + 1, stamps)
            measured.setdefault(name, []).append(asdict(ours.cost(ours.run(where, job), case.windows)))
        for name, rival in case.rivals.items():
            if run == 0 or (run == 1 and name in TWICE):
                measured.setdefault(name, []).append(_rival(where, rival))
    if programs is None:
        measured["C"] = [compiled.NO_COMPILER]
    return {name: _row(runs) for name, runs in measured.items()}


def _loads(case: Case) -> dict[str, Load]:
    """The C sender's loads by name."""
    paced, batch = case.rate_pps, case.batch
    loads = {
        "C": Load(case.targets, paced, batch, FLOOR_S),
        "C, our octets": Load(case.targets, paced, batch, FLOOR_S, tail=OUR_TAIL),
        "C, our octets, transmit stamps": Load(case.targets, paced, batch, FLOOR_S, True, OUR_TAIL),
    }
    if case.closed:
        loads["C, as fast as it goes"] = Load(case.targets, 0, batch, FLOOR_S)
        loads["C, our octets, as fast as it goes"] = Load(case.targets, 0, batch, FLOOR_S, tail=OUR_TAIL)
    return loads


def _rival(where: World, rival: rivals.Rival) -> dict[str, Any] | str:
    found = rival(where, RIVAL_S)
    return asdict(found) if isinstance(found, rivals.Cost) else found


def _row(runs: list[Any]) -> dict[str, Any] | str:
    """Median of the figure that counts, and every run."""
    costs = [run for run in runs if isinstance(run, dict)]
    if not costs:
        return str(runs[0])
    return {"per_cpu_s": round(statistics.median(one["per_cpu_s"] for one in costs)), "runs": costs}


def _figure(rows: dict[str, Any], name: str) -> float | None:
    row = rows.get(name)
    return row["per_cpu_s"] if isinstance(row, dict) else None


def _explained(found: dict[str, Any]) -> dict[str, Any]:
    """The figures with what they mean."""
    return {
        "figure": "answered probes per CPU-second of the sending process, user and system time",
        "one_link": f"one link, {FAST_PPS} per second; C in batches of 256",
        "many_targets": f"{TARGETS} targets x {RATE_PPS} per second; C in batches of 100",
        "ours": f"all windows on, one each {' and '.join(str(case.window_s) for case in CASES)} s (an "
        f"agent's own: 10 s); {OUR_OCTETS} octets with TLVs; CPU between two deliveries of windows",
        "C": "floor/send.c, 44 octets, getrusage after 0.5 s of warming up",
        "far_end": "floor/reflect.c; for ICMP tools the far kernel, on the sender's core",
        "figures": found,
    }


def _goals(found: dict[str, Any]) -> list[Goal]:
    one, many = found["one_link"], found["many_targets"]
    fast, spread = _figure(one, "ours"), _figure(many, "ours")
    daemons = [figure for name in rivals.DAEMONS if (figure := _figure(many, name)) is not None]
    return [
        at_least("one link: ours / fping", 2.3, ratio(fast, _figure(one, "fping"))),
        at_least("one link: ours / C", 0.85, ratio(fast, _figure(one, "C"))),
        at_least("one link: ours / C, as fast as it goes", 0.85, _over(one, "C, as fast as it goes")),
        at_least("one link: ours / C, our octets", 0.85, _over(one, "C, our octets")),
        at_least("1 000 targets: ours / C", 0.7, ratio(spread, _figure(many, "C"))),
        at_least("1 000 targets: ours / C, our octets", 0.7, _over(many, "C, our octets")),
        at_least("1 000 targets: ours / collectd ping", 2, _over(many, "collectd ping")),
        at_least("1 000 targets: ours / best other daemon", 5, ratio(spread, max(daemons, default=None))),
        at_least(
            "one link: transmit stamps on / off", 0.5, ratio(_figure(one, "ours, transmit stamps"), fast)
        ),
        at_least(
            "1 000 targets: transmit stamps on / off",
            0.5,
            ratio(_figure(many, "ours, transmit stamps"), spread),
        ),
    ]


def _over(rows: dict[str, Any], name: str) -> float | None:
    return ratio(_figure(rows, "ours"), _figure(rows, name))


if __name__ == "__main__":
    main()
