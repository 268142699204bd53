"""Sweeps the flows of all links by rounds and tells which way they go, what passes, and what changed.

Every packet of a sweep is a STAMP packet from the source port of a flow in a class of the plan, because a
packet of another 5-tuple or class may take another way. It leaves by the engine's own UDP sockets; ICMP
errors come back by IP_RECVERR with kernel stamps, the quoted packet and its extension (IP_RECVERR_RFC4884).
So no privilege is needed, and with CAP_NET_RAW raw sockets would add nothing: they see the same errors,
only without the kernel's matching to our sockets.

Pace: at most `MOST_PPS` packets per second, in bursts of a fifth of it; a round is stretched over `SPREAD`
of the interval. Each hop gets one packet for each flow, at most 3 where it is silent, 6 more where it seems
to have changed. Sweeps that do not fit into a round come first in the next. A change is told only when a
second sweep right after confirms it, which a balancer that sprays single packets does not pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.frame import Frame
from linkgauge.plan import Plan
from probes.engine.flight import Caught
from probes.path.book import Book, Flow
from probes.path.event import Events, event_frame
from probes.path.exchange import Exchange, Launcher, Target
from probes.path.extension import Extensions
from probes.path.hops import Hops, Packets
from probes.path.rota import Rota
from probes.path.row import Row, moves, path_frame
from probes.path.sizes import SMALLEST, Sizes
from probes.path.sweep import CONFIRMED_HOPS, STRETCH, Sweep, answers, confirming, is_confirmed
from probes.path.watch import Watch
from probes.path.way import Way

MOST_PPS, LEAST_PPS = 200.0, 10.0
SPREAD, FULL, LATEST = 0.4, 0.6, 0.8
"""Shares of the interval: over which a round is stretched, that a full one takes, after which it ends."""
THOROUGH_ROUNDS = 10
"""Rounds between two full searches of the MTU; in the others one packet of the known size is sent."""
MOST_WAIT_NS = NS_PER_S
_FAR = 255


@dataclass(frozen=True, slots=True)
class Counts:
    """What was discarded since the start.

    malformed: extensions of ICMP errors. foreign: answers to no packet of the sweep under way, late ones too.
    postponed: sweeps that did not fit into their round. unconfirmed: changes that a second sweep did not
    confirm. mtu_untold: MTU searches without a clear result. shifts_untold: shifts of delay without sweeps on
    both sides of them.
    """

    malformed: int
    foreign: int
    postponed: int
    unconfirmed: int
    mtu_untold: int
    shifts_untold: int


class PathProber:
    """Sweeps the links of a plan. `caught` and `observe` may be called from other threads than `round`."""

    def __init__(self, plan: Plan, launcher: Launcher, clock: Clock, seed: int | None = None) -> None:
        self._plan, self._clock = plan, clock
        self._coming = plan
        self._exchange = Exchange(launcher, clock, seed)
        self._ends = {link.link: (link.local, link.peer) for link in plan.links}
        self._rota = Rota(list(self._ends), plan.classes, plan.flows, plan.path_flows)
        self._book, self._sizes, self._extensions = Book(), Sizes(), Extensions()
        self._interval_ns = max(plan.path_interval_ns, NS_PER_S)
        slack_ns = 2 * plan.window_ns
        self._events = Events(plan.window_ns, slack_ns, 8 * plan.window_ns, 3 * self._interval_ns + slack_ns)
        self._watch = Watch(slack_ns)
        self._lock = threading.Lock()  # of the book and the events
        self._wait_ns = min(plan.stamp_timeout_ns, MOST_WAIT_NS)
        self._seq = int(np.random.default_rng(seed).integers(1 << 32))
        self._rounds = self._unconfirmed = self._foreign = 0

    def caught(self, caught: Caught) -> None:
        """What came of packets of sweeps; never blocks."""
        self._exchange.put(caught)

    def follow(self, plan: Plan) -> None:
        """Sweep the links of this plan, which is swept in the same way, from the next round on; what is known
        of those that stay is kept. Thread safe."""
        self._coming = plan

    def stop(self) -> None:
        """End a running round soon; it returns no rows."""
        self._exchange.stop()

    def counts(self) -> Counts:
        """What was discarded."""
        return Counts(
            self._extensions.malformed, self._foreign, self._rota.postponed,
            self._unconfirmed, self._sizes.untold, self._events.untold,
        )  # fmt: skip

    def observe(self, window: Frame) -> Frame:
        """Take WINDOW rows; returns the EVENT rows that are clear by now."""
        now_ns = self._clock.now().wall_ns
        with self._lock:
            for step in self._watch.take(window, now_ns):
                self._events.shifted(step)
            return event_frame(self._events.settle(now_ns, self._book))

    def round(self) -> Frame:
        """Sweep the flows whose turn it is; returns PATH rows. Blocks for at most about the interval."""
        self._take_over(self._coming)
        start = self._clock.now()
        self._rounds += 1
        self._book.forget_sprayed(self._rounds)
        flows = self._rota.next(self._room())
        targets = [Target(*self._ends[link], dscp, flow) for link, dscp, flow in flows]
        may_go_on = self._until(start.mono_ns + int(LATEST * self._interval_ns))
        swept = self._sweep(flows, targets, may_go_on) if flows else []
        differing = {
            at: apart
            for at, flow in enumerate(flows)
            if swept and (apart := self._book.differing(flow, swept[at].way))
        }
        changed = self._confirm(targets, swept, flows, differing) if differing and may_go_on() else set()
        found = self._find_mtus(flows, swept, changed, may_go_on)
        end_ns = max(self._clock.now().wall_ns, start.wall_ns + 1)
        if self._exchange.stopped:
            return path_frame([], 0, 0)
        with self._lock:
            rows = self._note(flows, swept, set(differing), changed, start.wall_ns)
            for move in moves(rows, end_ns):
                self._events.moved(move)
            for event in self._sizes.learn(found, self._plan.classes[0], start.wall_ns, end_ns):
                self._events.add(event)
        rows = [replace(row, mtu=self._mtu_of(row, found)) for row in rows]
        return path_frame(rows, start.wall_ns, end_ns - start.wall_ns)

    def _take_over(self, plan: Plan) -> None:
        if plan is not self._plan:
            self._plan, postponed = plan, self._rota.postponed
            self._ends = {link.link: (link.local, link.peer) for link in plan.links}
            self._rota = Rota(list(self._ends), plan.classes, plan.flows, plan.path_flows)
            self._rota.postponed = postponed

    def _room(self) -> int:
        """How many sweeps fit into a round."""
        depths = [self._book.depth(link) or STRETCH for link in self._ends]
        packets = FULL * self._interval_ns / NS_PER_S * MOST_PPS
        return max(1, int(packets / (np.mean(depths) + 1))) if depths else 0

    def _until(self, mono_ns: int) -> Callable[[], bool]:
        return lambda: not self._exchange.stopped and self._clock.now().mono_ns < mono_ns

    def _sweep(
        self, flows: Sequence[Flow], targets: Sequence[Target], may_go_on: Callable[[], bool]
    ) -> list[Hops]:
        """What each flow's sweep saw."""
        sweep = Sweep(flows, self._book, self._plan.path_max_hops)
        packets = self._packets(targets)
        rate_pps = LEAST_PPS
        while may_go_on():
            rows, hops = sweep.wave(packets)
            if not len(rows):
                break
            rate_pps = max(rate_pps, min(len(rows) * NS_PER_S / (SPREAD * self._interval_ns), MOST_PPS))
            self._carry(packets, rows, hops, np.full(len(rows), SMALLEST), targets, rate_pps)
        self._foreign += packets.foreign
        return packets.hops(packets.first_answers(self._plan.path_max_hops))

    def _confirm(
        self,
        targets: Sequence[Target],
        swept: Sequence[Hops],
        flows: Sequence[Flow],
        differing: dict[int, list[int]],
    ) -> set[int]:
        """Ask the hops at which flows seem to have changed once more; returns the flows that have changed."""
        at = list(differing)
        ways, chosen = [swept[row].way for row in at], [targets[row] for row in at]
        apart = [places[:CONFIRMED_HOPS] for places in differing.values()]
        rows, hops = confirming(apart)
        packets = self._packets(chosen)
        self._carry(packets, rows, hops, np.full(len(rows), SMALLEST), chosen, MOST_PPS)
        self._foreign += packets.foreign
        told = [[answers(packets, at, place + 1) for place in places] for at, places in enumerate(apart)]
        for flow, way, places, addresses in zip([flows[row] for row in at], ways, apart, told, strict=True):
            self._note_sprayed(flow, way, places, addresses)
        changed = {
            row
            for row, way, places, addresses in zip(at, ways, apart, told, strict=True)
            if is_confirmed(way, places, addresses) and self._book.differing(flows[row], way)
        }
        self._unconfirmed += len(at) - len(changed)
        return changed

    def _note_sprayed(self, flow: Flow, way: Way, places: Sequence[int], told: Sequence[set[str]]) -> None:
        """Where several routers answered for one hop right after each other, all are one to us."""
        known = self._book.known(flow)
        for place, addresses in zip(places, told, strict=True):
            if known and len(addresses) > 1:
                old = known.way.hops[place : place + 1]
                self._book.sprayed({*addresses, *old, way.hops[place]}, self._rounds)

    def _find_mtus(
        self, flows: Sequence[Flow], swept: Sequence[Hops], changed: set[int], more: Callable[[], bool]
    ) -> dict[str, int]:
        """MTU of flow 0 of each link that was reached."""
        dscp = self._plan.classes[0]
        reached = dict.fromkeys(flow[0] for flow, hops in zip(flows, swept, strict=True) if hops.way.reached)
        targets = {link: Target(*self._ends[link], dscp, 0) for link in reached}
        thorough = {flows[row][0] for row in changed} | {li for li in reached if not self._sizes.known(li)}
        if self._rounds % THOROUGH_ROUNDS == 0:
            thorough |= set(reached)
        return self._sizes.search(targets, thorough, self._send_sizes, more) if targets else {}

    def _send_sizes(
        self, rows: NDArray[np.intp], sizes: NDArray[np.int64], targets: Sequence[Target]
    ) -> Packets:
        packets = self._packets(targets)
        self._carry(packets, rows, np.full(len(rows), _FAR), sizes, targets, MOST_PPS)
        self._foreign += packets.foreign
        return packets

    def _packets(self, targets: Sequence[Target]) -> Packets:
        return Packets([target.peer for target in targets], self._seq, self._extensions)

    def _carry(
        self,
        packets: Packets,
        sweep: NDArray[np.intp],
        hops: NDArray[np.int64],
        sizes: NDArray[np.int64],
        targets: Sequence[Target],
        rate_pps: float,
    ) -> None:
        rows = packets.add(sweep, hops, sizes)
        self._exchange.carry(packets, rows, targets, rate_pps, self._wait_ns)
        self._seq = packets.next_seq

    def _note(
        self, flows: Sequence[Flow], swept: Sequence[Hops], apart: set[int], changed: set[int], at_ns: int
    ) -> list[Row]:
        """Write what was seen into the book; returns the rows, still without MTU."""
        rows = []
        for at, (flow, hops) in enumerate(zip(flows, swept, strict=True)):
            before = self._book.known(flow) if at in changed else None
            if at in changed:
                self._book.changed(flow, hops.way, at_ns)
            elif at not in apart:
                self._book.seen(flow, hops.way, at_ns)
            known = self._book.known(flow)
            rows.append(Row(flow, hops, (known.way if known else hops.way).fingerprint, before))
        return rows

    def _mtu_of(self, row: Row, found: dict[str, int]) -> float:
        """The MTU of the flow that was searched holds for all flows that go the same way."""
        first = self._book.known((row.flow[0], self._plan.classes[0], 0))
        same = first is not None and first.way.fingerprint == row.fingerprint
        return found.get(row.flow[0], np.nan) if same else np.nan
