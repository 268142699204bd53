"""The crews of an engine: who sends now, who is to take over, and who only waits for the last replies.

All but `prepare` and `discard` belong to the engine's loop.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from linkgauge.clock import NS_PER_S, Clock, Instant
from linkgauge.plan import Plan, PlanLink
from probes.engine.closing import Closings
from probes.engine.counters import Counters
from probes.engine.crew import Crew, Shift, going_on
from probes.engine.flight import Caught, Flight
from probes.engine.sender import Sender
from probes.stamp.window import Span

_LEAD_NS = 100_000_000
_LONGEST_WAIT_NS = 120 * NS_PER_S
_FLIGHT_NS = 3_000_000_000


@dataclass(frozen=True, slots=True)
class _Coming:
    """What is to take over at `from_ns`, Unix ns: the links that go on, a crew for the others."""

    plan: Plan
    from_ns: int
    kept: Mapping[str, PlanLink]
    crew: Crew | None


class Roster:
    """Begins with the links of `plan`. Raises ConfigError when an address is not here.

    senders, closings: of all crews; the engine may put others into them. flow_ns: how often flows are told.
    """

    def __init__(self, plan: Plan, keys: Mapping[str, bytes], flow_ns: int, start_mono_ns: int) -> None:
        self.plan, self._keys, self._flow_ns = plan, keys, flow_ns
        self.crews: list[Crew] = []
        self.senders: list[Sender] = []
        self.closings: list[Closings] = []
        self._lock = threading.Lock()
        self._coming: _Coming | None = None
        self._enlist(Crew(plan, keys, flow_ns), start_mono_ns)

    def prepare(self, plan: Plan, clock: Clock) -> int:
        """Have a plan take over at a window's start; returns which, Unix ns. One that waited to
        is forgotten.

        Raises ConfigError when something cannot be bound; all stays as it is then.
        """
        while True:
            base = self.plan
            kept = going_on(base, plan, self.crews)
            added = [link for link in plan.links if link.link not in kept]
            fresh = msgspec.structs.replace(plan, links=added)
            crew = Crew(fresh, self._keys, self._flow_ns) if added else None
            with self._lock:
                if base is self.plan:
                    earliest_ns = max(plan.takes_over_ns, clock.now().wall_ns + _LEAD_NS)
                    from_ns = -(-earliest_ns // plan.window_ns) * plan.window_ns
                    former, self._coming = self._coming, _Coming(plan, from_ns, kept, crew)
                    break
            if crew is not None:
                crew.sender.close()
        if former is not None and former.crew is not None:
            former.crew.sender.close()
        return from_ns

    def discard(self) -> None:
        """Close what waits to take over."""
        with self._lock:
            coming, self._coming = self._coming, None
        if coming is not None and coming.crew is not None:
            coming.crew.sender.close()

    def end(self, span: Span) -> Sequence[Shift]:
        """The window that has just ended, for each crew."""
        return [Shift(crew, crew.closings.end(span)) for crew in self.crews]

    def take_over(self, now: Instant, window: int) -> bool:
        """Put the next plan in force when its time has come, or when the clock was set so that it would be
        long; says whether it did. window: start of the one that begins."""
        with self._lock:
            coming = self._coming
            if coming is None or 0 < coming.from_ns - window < self.plan.window_ns + _LONGEST_WAIT_NS:
                return False
            self._coming, self.plan = None, coming.plan
            for crew in self.crews:
                crew.keep(coming.kept)
            if coming.crew is not None:
                self._enlist(coming.crew, window - now.offset_ns)
        return True

    def dismiss(self, shifts: Sequence[Shift], counters: Counters) -> None:
        """Close crews whose links are gone and whose last window was told and corrected."""
        for crew in [shift.crew for shift in shifts if shift.idle]:
            if crew not in self.crews or len(self.crews) == 1:
                continue  # with windows shorter than the timeout several wait to be told
            counters.leave([crew.sender], [crew.closings])
            self.crews.remove(crew)
            self.senders.remove(crew.sender)
            self.closings.remove(crew.closings)
            crew.sender.close()

    def launch(self, flight: Flight, error: int, clock: Clock) -> None:
        """Send a flight from the port of its flow."""
        serving = [crew for crew in self.crews if crew.serves(flight.local, flight.peer)]
        crew = (serving or self.crews)[-1]
        crew.flights.launch(flight, crew.sender.ports, error, clock)
        crew.sender.hurry(clock.now().mono_ns + _FLIGHT_NS)

    def caught(self) -> Iterator[Caught]:
        """What came of flights since the last time."""
        for crew in self.crews:
            if (caught := crew.flights.collect()) is not None:
                yield caught

    def _enlist(self, crew: Crew, mono_ns: int) -> None:
        crew.begin(mono_ns)
        self.crews.append(crew)
        self.senders.append(crew.sender)
        self.closings.append(crew.closings)
