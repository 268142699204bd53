"""A STAMP reflector alone: no plan, no collector, only addresses and an allow-list of peers."""

from __future__ import annotations

import ipaddress
import select
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import Clock, ClockQuality
from linkgauge.errors import ConfigError
from probes.answering import Answering
from probes.raw_name import address_of
from probes.stamp.packet import error_estimate
from probes.stamp.policy import Refusal
from probes.stamp.reflector import Reflector

_QUALITY_EVERY_NS = 10_000_000_000

Allowed = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def parse_allowed(texts: Sequence[str]) -> Allowed:
    """Addresses or prefixes as networks; raises ConfigError naming the one that is wrong."""
    allowed = []
    for text in texts:
        try:
            allowed.append(ipaddress.ip_network(text))
        except ValueError as err:
            raise ConfigError(f"{text!r} is no address or prefix that can be allowed: {err}") from None
    return allowed


class StandaloneReflector:
    """Answers peers of `allowed` at each (address, port) of `where`. Raises ConfigError when one is taken."""

    def __init__(
        self,
        where: Sequence[tuple[str, int]],
        allowed: Allowed,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
    ) -> None:
        self._allowed = allowed
        self._reflector = Reflector(self._is_peer)
        self._answering = Answering(where, self._reflector, clock)
        self._clock, self._clock_quality = clock, clock_quality

    @property
    def ports(self) -> list[int]:
        """The bound ports, in the order of `where`."""
        return [sock.port for sock in self._answering.sockets]

    def counters(self) -> dict[str, int]:
        """Packets answered, refused by reason, dropped by full queues, and sessions at present."""
        refused = {
            f"refused_{reason.name.lower()}": int(self._reflector.refused[reason]) for reason in Refusal
        }
        dropped = sum(sock.dropped for sock in self._answering.sockets)
        return {
            "reflected": self._reflector.reflected,
            **refused,
            "receive_dropped": dropped,
            "sessions": self._reflector.sessions,
        }

    def run(self, stop: threading.Event) -> None:
        """Answer until `stop` is set, then close."""
        poll = select.epoll()
        for sock in self._answering.sockets:
            poll.register(sock.fileno(), select.EPOLLIN)
        due_ns, error = 0, 1
        while not stop.is_set():
            now = self._clock.now()
            if now.mono_ns >= due_ns:
                quality = self._clock_quality()
                error = error_estimate(quality.error_ns, quality.synchronised)
                due_ns = now.mono_ns + _QUALITY_EVERY_NS
            poll.poll(0.2)
            self._answering.answer(error)
        poll.close()
        self._answering.close()

    def _is_peer(self, name: NDArray[np.uint8]) -> bool:
        text = address_of(name)
        if not text:
            return False
        peer = ipaddress.ip_address(text)
        return any(peer in network for network in self._allowed if network.version == peer.version)
