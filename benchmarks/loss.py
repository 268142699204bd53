"""Loss by direction against the counters of nftables, which drop at random: the two must agree exactly.

`python -m benchmarks.loss [--quick]` prints one JSON document. 100 links send 100 packets a second each to
`linkgauge reflector`; packets are dropped where they arrive, at the reflector's end (forward) or the sender's
(backward). After 100 000 packets dropping ends, and a second later the engine: so every lost packet is
followed by one that is not, which is what tells its direction.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from benchmarks import ours
from benchmarks.machine import Goal, note, quick, show
from benchmarks.world import World, packets_counted, world
from lab import namespace
from linkgauge.clock import NS_PER_S

PACKETS = 20_000 if quick() else 100_000
LINKS, INTERVAL_NS = 100, 10_000_000
PORT = 18_862
LATEST_S = 60
CASES = ((1, 0), (10, 0), (0, 1), (0, 10), (1, 1), (10, 10))
"""Percent dropped forward and backward."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: what nftables dropped and what the windows say."""

    forward_percent: int
    backward_percent: int
    sent: int
    replied: int
    dropped_forward: int
    dropped_backward: int
    lost_forward: int
    lost_backward: int
    lost_unattributed: int
    missed: int

    @property
    def exact(self) -> bool:
        """Whether both directions agree, with nothing left over."""
        told = (self.lost_forward, self.lost_backward, self.lost_unattributed)
        return told == (self.dropped_forward, self.dropped_backward, 0)


def main() -> None:
    with world() as where:
        if where.sender_space is None or where.reflector_space is None:
            goal = Goal("loss by direction", "exact", None, None, "namespaces and nft need root")
            show("loss", where.setting, {}, [goal])
            return
        found = []
        for forward, backward in CASES:
            note(f"{forward} % forward, {backward} % backward")
            found.append(_measure(where, where.sender_space, where.reflector_space, forward, backward))
        goals = [
            Goal(
                f"{one.forward_percent} % forward, {one.backward_percent} % backward",
                f"{one.dropped_forward} / {one.dropped_backward}",
                f"{one.lost_forward} / {one.lost_backward}, {one.lost_unattributed} of unknown direction",
                one.exact,
            )
            for one in found
        ]
        load = f"{LINKS} links x {NS_PER_S // INTERVAL_NS} per second, at least {PACKETS} packets with drops"
        show("loss", where.setting, {"load": load, "figures": [asdict(one) for one in found]}, goals)


def _measure(where: World, sender: str, reflector: str, forward: int, backward: int) -> Outcome:
    _drop(reflector, where.reflector_device, f"udp dport {PORT}", forward)
    _drop(sender, where.sender_device, f"udp sport {PORT}", backward)
    peers = [where.reflector] * LINKS
    job = ours.Job(where.sender, peers, PORT, INTERVAL_NS, 2 * NS_PER_S, 1000, "off", rows=True)
    with ours.reflector(where, PORT), ours.engine(where, job) as process:
        _await_packets(where.sender_space)
        for space in (sender, reflector):
            _nft(space, "insert", "rule", "ip", "lgb", "arrivals", "accept")
        time.sleep(1)
        dropped = _dropped(reflector), _dropped(sender)
        ours.end(process)
        found = ours.deliveries(process)
    sums = _sums(found)
    names = ("sent", "replied", "lost_forward", "lost_backward", "lost_unattributed", "missed")
    sent, replied, lost_forward, lost_backward, unattributed, missed = (sums[name] for name in names)
    return Outcome(
        forward, backward, sent, replied, *dropped, lost_forward, lost_backward, unattributed, missed
    )


def _sums(found: list[ours.Delivery]) -> dict[str, int]:
    """Sums over all windows, a rewritten one as it was told last."""
    last = {(row["link"], row["start_ns"]): row for one in found for row in one.rows}
    names = [name for name in next(iter(last.values())) if name in found[0].sums]
    return {name: sum(row[name] for row in last.values()) for name in names}


def _await_packets(space: str | None) -> None:
    began, before = time.monotonic(), packets_counted(space, "Udp", "OutDatagrams")
    while packets_counted(space, "Udp", "OutDatagrams") - before < PACKETS:
        time.sleep(0.05)
        if time.monotonic() - began > LATEST_S:
            raise RuntimeError(f"fewer than {PACKETS} packets in {LATEST_S} s")


def _drop(space: str, device: str, match: str, percent: int) -> None:
    rule = f"iifname {device} {match} numgen random mod 100 < {percent} counter drop" if percent else ""
    chain = f"chain arrivals {{ type filter hook input priority 0;\n{rule}\n}}"
    text = f"add table ip lgb\ndelete table ip lgb\ntable ip lgb {{\n{chain}\n}}\n"
    _nft(space, "-f", "-", text=text)


def _dropped(space: str) -> int:
    told = json.loads(_nft(space, "-j", "list", "table", "ip", "lgb"))
    counters = [
        part["counter"]["packets"]
        for one in told["nftables"]
        for part in one.get("rule", {}).get("expr", [])
        if "counter" in part
    ]
    return sum(counters)


def _nft(space: str, *words: str, text: str = "") -> str:
    return namespace.run(["nsenter", f"--net={namespace.path(space)}", "nft", *words], text)


if __name__ == "__main__":
    main()
