"""Whom an agent's reflector answers, and where: that of its plan, and for a while that of the plan before.

Agents learn of a new plan at different moments. So the peers and the places of a coming plan are welcome at
once, those of the former one for `FAREWELL_NS` after the new one took over: nobody's packets are refused
because the two ends of a link did not change together.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.plan import Plan
from probes.engine.answering import Answering, Doorway, Drill
from probes.engine.self_probe import SelfProbe
from probes.sockets.raw_name import address_of
from probes.sockets.sockets import BatchSocket
from probes.stamp.policy import CAP_PPS, STAMP_PORT, Policy
from probes.stamp.reflector import Reflector

FAREWELL_NS = 60 * NS_PER_S
_CAP_TIMES = 10

Places = Sequence[tuple[str, int]]


class Welcome:
    """The reflector of an agent, bound for a plan. Raises ConfigError when an address cannot be bound.

    bind_ports: local address -> port, where it differs from the plan's. keys: peer address -> HMAC key.
    playing: the drill that may play a fault on what comes.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        bind_ports: Mapping[str, int],
        keys: Mapping[str, bytes],
        playing: Drill | None = None,
    ) -> None:
        self._bind_ports, self._keys = bind_ports, keys
        self._peers = self._peers_of(plan)
        self._coming: Plan | None = None
        self._self: SelfProbe | None = None
        self._far_ends = SelfProbe.far_ends()
        self._farewell_mono_ns: int | None = None
        policy = Policy(rate_pps=_cap_pps(plan), reflector_ports=frozenset(self._ports(plan)))
        self.reflector = Reflector(self._is_welcome, policy, keys, secrets.randbits(63))
        places = [*self._places(plan), *self._far_ends]
        self.answering = Answering(places, self.reflector, clock, playing)

    @property
    def self_port(self) -> int | None:
        """Port of the reflector on loopback; None on a host without."""
        return self.answering.sockets[-1].port if self._far_ends else None

    def know(self, probe: SelfProbe) -> None:
        """Answer this probe of our own."""
        self._self = probe

    def heard(self, plan: Plan) -> Mapping[str, int]:
        """Packets answered since the last call, of each address that the plan says may send some."""
        return {**dict.fromkeys(plan.peers, 0), **self.reflector.heard()}

    def open(self, plan: Plan) -> list[Doorway]:
        """Bind what a coming plan needs beside what is bound; from any thread. Raises ConfigError."""
        return self.answering.open(self.answering.missing(self._places(plan)))

    def expect(self, plan: Plan) -> None:
        """Answer the peers of a coming plan as well; from any thread."""
        self._coming = plan
        self._peers |= self._peers_of(plan)
        self.reflector.adapt(max(_cap_pps(plan), self.reflector.policy.rate_pps), self._ports(plan))

    def took_over(self, mono_ns: int) -> None:
        """A new plan is in force: the peers of the former are answered for a while."""
        self._farewell_mono_ns, self._coming = mono_ns + FAREWELL_NS, None

    def departing(self, plan: Plan, mono_ns: int) -> list[BatchSocket]:
        """Once the while is over answer the peers of `plan` and of one that is coming only; returns the
        sockets to be closed."""
        if self._farewell_mono_ns is None or mono_ns < self._farewell_mono_ns:
            return []
        self._farewell_mono_ns = None
        plans = [plan] if self._coming is None else [plan, self._coming]
        self._peers = frozenset().union(*map(self._peers_of, plans))
        return self.answering.beyond(
            [*(place for each in plans for place in self._places(each)), *self._far_ends]
        )

    def _is_welcome(self, name: NDArray[np.uint8]) -> bool:
        return address_of(name) in self._peers or (self._self is not None and self._self.is_own(name))

    def _peers_of(self, plan: Plan) -> frozenset[str]:
        return frozenset(plan.peers) & self._keys.keys() if plan.authenticated else frozenset(plan.peers)

    def _places(self, plan: Plan) -> Places:
        return [(address, self._bind_ports.get(address, plan.stamp_port)) for address in plan.locals]

    def _ports(self, plan: Plan) -> list[int]:
        return [STAMP_PORT, plan.stamp_port, *self._bind_ports.values()]


def _cap_pps(plan: Plan) -> float:
    """How many packets a second each peer gets answered: many times what its own plan makes it send here."""
    return max(CAP_PPS, _CAP_TIMES * len(plan.classes) * NS_PER_S / plan.stamp_interval_ns)
