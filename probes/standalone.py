"""A STAMP reflector alone: no plan, no collector, only addresses and an allow-list of peers."""

from __future__ import annotations

import ipaddress
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import DRIFT, Clock, ClockQuality
from linkgauge.errors import ConfigError
from probes.engine.answering import Answering
from probes.engine.waiting import Waiting
from probes.sockets.raw_name import address_of
from probes.stamp.packet import error_estimate
from probes.stamp.policy import Policy, Refusal
from probes.stamp.reflector import Reflector

_QUALITY_EVERY_NS = 10_000_000_000
_LOOK_EVERY_NS = 200_000_000
"""How often the loop looks whether it is to stop."""
_UNKNOWN_ERROR_NS = 16_000_000_000

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
    """Answers peers of `allowed` at each (address, port) of `where`.

    keys: HMAC key by peer address; these peers must sign. Raises ConfigError when an address is taken, or
    when a peer that must sign is not allowed.
    """

    def __init__(
        self,
        where: Sequence[tuple[str, int]],
        allowed: Allowed,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
        policy: Policy | None = None,
        keys: Mapping[str, bytes] | None = None,
    ) -> None:
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        for network in allowed:
            shift = network.max_prefixlen - network.prefixlen
            nets = self._prefixes.setdefault((network.version, shift), set())
            nets.add(int(network.network_address) >> shift)
        for peer in keys or {}:
            if not self._is_allowed(ipaddress.ip_address(peer)):
                raise ConfigError(
                    f"the keys file has a key of {peer}, which is not allowed; add --allow {peer}"
                )
        self._reflector = Reflector(self._is_peer, policy, keys, secrets.randbits(64))
        self._answering = Answering(where, self._reflector, clock)
        self._clock, self._clock_quality = clock, clock_quality

    @property
    def ports(self) -> list[int]:
        """The bound ports, in the order of `where`."""
        return [sock.port for sock in self._answering.sockets]

    def counters(self) -> dict[str, int]:
        """While it runs: packets answered, refused by reason, lost by full queues; sessions at present; how
        often transmit stamps were switched off because there were too many replies."""
        refused = {
            f"refused_{reason.name.lower()}": int(self._reflector.refused[reason]) for reason in Refusal
        }
        sockets = self._answering.sockets
        return {
            "reflected": self._reflector.reflected,
            **refused,
            "receive_dropped": sum(sock.dropped for sock in sockets),
            "send_retried": sum(sock.send_retried for sock in sockets),
            "send_failed": sum(sock.send_failed for sock in sockets),
            "unstamped": sum(sock.unstamped for sock in sockets),
            "stamps_switched_off": sum(each.switched_off for each in self._answering.departures),
            "sessions": self._reflector.sessions,
        }

    def run(self, stop: threading.Event) -> dict[str, int]:
        """Answer until `stop` is set, then close; returns the counters at the end."""
        waiting = Waiting(self._answering.sockets)
        due_ns, error = 0, 1
        while not stop.is_set():
            now_ns = self._clock.now().mono_ns
            if now_ns >= due_ns:
                error, due_ns = self._error(), now_ns + _QUALITY_EVERY_NS
            waiting.until(now_ns + _LOOK_EVERY_NS, now_ns)
            before = self._reflector.reflected
            self._answering.answer(error)
            waiting.answered(self._reflector.reflected - before, self._clock.now().mono_ns)
        counters = self.counters()
        waiting.close()
        self._answering.close()
        return counters

    def _error(self) -> int:
        try:
            quality = self._clock_quality()
        except OSError:  # a kernel that does not say how good its clock is has one that is not synchronised
            quality = ClockQuality(False, _UNKNOWN_ERROR_NS, 0)
        return error_estimate(quality.error_ns + _QUALITY_EVERY_NS // DRIFT, quality.synchronised)

    def _is_peer(self, name: NDArray[np.uint8]) -> bool:
        text = address_of(name)
        return bool(text) and self._is_allowed(ipaddress.ip_address(text))

    def _is_allowed(self, peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        number = int(peer)
        return any(
            version == peer.version and number >> shift in nets
            for (version, shift), nets in self._prefixes.items()
        )
