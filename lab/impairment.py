"""What happens to frames on a lane beside its delay: more delay, jitter, reordering, duplicates, loss. Pure.

It is the same on every kernel, and falls on one ordered pair of addresses or on a whole lane. Frames are
those of `lab.wire_end`: a virtio_net_hdr in front of an Ethernet frame.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from lab.delay_line import UNORDERED

_HEADER_OCTETS = 10
_TYPE_AT = slice(_HEADER_OCTETS + 12, _HEADER_OCTETS + 14)
_SOURCE_AT = slice(_HEADER_OCTETS + 26, _HEADER_OCTETS + 30)
_TARGET_AT = slice(_HEADER_OCTETS + 30, _HEADER_OCTETS + 34)
_IPV4 = b"\x08\x00"
_NS_PER_US = 1_000
_DUPLICATE_AFTER_US = 100

Fate = tuple[int, int | None]
"""(extra delay in ns, queue): see `DelayLine.push`."""
_PLAIN: tuple[Fate, ...] = ((0, None),)


@dataclass(frozen=True, slots=True)
class Impairment:
    """On `lane`, of what goes from src to dst (IPv4 addresses; empty: whatever passes). Ratios 0..1.

    jitter_us: uniform from 0, order kept. reorder_us: by how much the share reorder_ratio comes later.
    """

    lane: int
    src: str = ""
    dst: str = ""
    delay_us: int = 0
    jitter_us: int = 0
    reorder_ratio: float = 0.0
    reorder_us: int = 0
    duplicate_ratio: float = 0.0
    loss_ratio: float = 0.0


class Impairments:
    """Those at work. chance: seeded, so that a run can be repeated."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._on_lane: dict[int, list[tuple[int, bytes, bytes, Impairment]]] = {}

    def set(self, wanted: Iterable[Impairment]) -> None:
        """These, and no others, from now on."""
        self._on_lane = {}
        for number, each in enumerate(wanted):
            src, dst = (socket.inet_aton(address) if address else b"" for address in (each.src, each.dst))
            self._on_lane.setdefault(each.lane, []).append((UNORDERED - 1 - number, src, dst, each))

    def fates(self, lane: int, frame: bytes) -> tuple[Fate, ...]:
        """The copies of a frame that leave: none when it is lost."""
        for queue, src, dst, each in self._on_lane.get(lane, ()):
            if not src or (
                frame[_TYPE_AT] == _IPV4 and frame[_SOURCE_AT] == src and frame[_TARGET_AT] == dst
            ):
                return self._fates(each, queue)
        return _PLAIN

    def _fates(self, each: Impairment, queue: int) -> tuple[Fate, ...]:
        chance = self._chance.random
        if each.loss_ratio and chance() < each.loss_ratio:
            return ()
        extra_us = each.delay_us + (int(chance() * each.jitter_us) if each.jitter_us else 0)
        if each.reorder_ratio and chance() < each.reorder_ratio:
            extra_us, queue = extra_us + each.reorder_us, UNORDERED
        fate = (extra_us * _NS_PER_US, queue)
        if each.duplicate_ratio and chance() < each.duplicate_ratio:
            return fate, ((extra_us + _DUPLICATE_AFTER_US) * _NS_PER_US, UNORDERED)
        return (fate,)
