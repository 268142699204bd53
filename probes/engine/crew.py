"""The sessions of some links, laid out together: what sends them, and the windows that they are counted in.

An engine has one crew for the links of its plan. Links that a later plan adds come in a crew of their own, so
that the sessions of the others, their ports, numbers and what is awaited of them stay as they are. A crew
whose links are all gone stays for one more window, in which late replies still correct its last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from linkgauge.frame import Frame, concat
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import FLOW, WINDOW
from probes.engine.closing import Closings
from probes.engine.flights import Flights
from probes.engine.noted import Fitness
from probes.engine.plan_sessions import staff
from probes.stamp.packet import AUTHENTICATED_SIZE, SIZE
from probes.stamp.window import Span

MOST_CREWS = 8


class Crew:
    """Of the links of `plan`. Raises ConfigError when an address is not here. It sends once begun."""

    def __init__(self, plan: Plan, keys: Mapping[str, bytes], flow_ns: int) -> None:
        size = AUTHENTICATED_SIZE if plan.authenticated else SIZE
        self.flights = Flights(plan.stamp_port, size, dict(keys))
        staffed = staff(plan, keys, 0, self.flights)
        self.sender, self._groups = staffed.sender, staffed.groups
        self.closings = Closings(self.sender.sessions, staffed.groups, flow_ns)
        self.links = {link.link: link for link in plan.links}
        """Those that it still sends for, by name."""
        self._ends = {(link.local, link.peer) for link in plan.links}
        self._laid_out = len(self.links)

    @property
    def sparse(self) -> bool:
        """Whether more than half of its links are gone."""
        return 2 * len(self.links) < self._laid_out

    def begin(self, mono_ns: int) -> None:
        """Send from this monotonic time on."""
        self.sender.begin(mono_ns)

    def keep(self, links: Mapping[str, PlanLink]) -> None:
        """Send no more for the links that are not among these."""
        gone = self.links.keys() - links.keys()
        if gone:
            self.links = {name: link for name, link in self.links.items() if name in links}
            self._ends = {(link.local, link.peer) for link in self.links.values()}
            kept = np.array([name in self.links for name in self._groups.names], np.bool_)
            self.sender.keep(kept[self._groups.of])

    def serves(self, local: str, peer: str) -> bool:
        """Whether it sends from this address to that one."""
        return (local, peer) in self._ends

    def ended(self, span: Span) -> bool:
        """Whether it has no links any more, and sent nothing after this window."""
        return not self.links and bool((span.end == self.sender.sessions.next_seq).all())


@dataclass(frozen=True, slots=True)
class Shift:
    """A window of a crew."""

    crew: Crew
    span: Span

    def report(self, unfit: int, last: bool) -> dict[str, Frame]:
        """The rows of the window; unfit: what was found to spoil it meanwhile; last: no other comes."""
        span = replace(self.span, unfit=unfit)
        return self.crew.closings.close(span, last or self.crew.ended(span))[0]

    @property
    def idle(self) -> bool:
        """Whether the crew has no links any more, and sent nothing in this window."""
        return not self.crew.links and bool((self.span.end == self.span.first).all())


@dataclass(frozen=True, slots=True)
class Ended:
    """A window that has ended and waits for its late replies, of every crew and of the probe to oneself."""

    due_mono_ns: int
    shifts: Sequence[Shift]
    self_span: Span | None
    fitness: Fitness

    def unfit(self, why: int) -> Ended:
        """The same window, spoiled by this as well."""
        return replace(self, fitness=replace(self.fitness, unfit=self.fitness.unfit | why))

    def frames(self, last: bool) -> dict[str, Frame]:
        """Rows of all crews by table; last: no other window comes."""
        parts = [shift.report(self.fitness.unfit, last) for shift in self.shifts]
        return {
            table.name: concat(table, [part[table.name] for part in parts if table.name in part])
            for table in (WINDOW, FLOW)
            if any(table.name in part for part in parts)
        }


def going_on(former: Plan, plan: Plan, crews: Sequence[Crew]) -> Mapping[str, PlanLink]:
    """Links of `plan` whose sessions need not change: probed as before, by a crew that is not too sparse.

    Many crews of few links each would be many sockets: then all links begin anew, together.
    """
    at_work = sum(bool(crew.links) for crew in crews)
    if _way(former) != _way(plan) or at_work >= MOST_CREWS:
        return {}
    there = {name: link for crew in crews if not crew.sparse for name, link in crew.links.items()}
    return {link.link: link for link in plan.links if there.get(link.link) == link}


def _way(plan: Plan) -> tuple[object, ...]:
    """How sessions are probed, whoever the links are."""
    return (
        plan.stamp_interval_ns, plan.stamp_timeout_ns, plan.stamp_port, plan.classes, plan.flows,
        plan.poisson, plan.authenticated, plan.size_bytes, plan.transmit_stamps, plan.window_ns,
    )  # fmt: skip
