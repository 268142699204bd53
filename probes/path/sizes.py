"""The MTU of one flow of each link, found for all links side by side, and remembered. Pure: sending is given.

The flow is number 0 in the first class: the MTU is followed on one flow, so that flows with other ways do not
look like a change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from linkgauge.code import EventKind
from probes.path.event import Event
from probes.path.exchange import Target
from probes.path.hops import Fate, Packets
from probes.path.mtu import MtuSearch, headers_bytes

SMALLEST = 44
"""Octets of UDP payload of the smallest STAMP packet."""
Send = Callable[[NDArray[np.intp], NDArray[np.int64], Sequence[Target]], Packets]
"""Sends packets (n,): row of the target, octets of UDP payload; and the targets. Returns what came."""
Dated = tuple[int, int]
"""MTU and when it was last seen to pass, Unix ns."""


class Sizes:
    """MTUs of links."""

    def __init__(self) -> None:
        self._known: dict[str, Dated] = {}
        self.untold = 0
        """Searches that gave no clear MTU."""

    def known(self, link: str) -> int | None:
        """The MTU of flow 0 of a link as last found."""
        return self._known[link][0] if link in self._known else None

    def search(
        self, targets: Mapping[str, Target], thorough: Collection[str], send: Send, more: Callable[[], bool]
    ) -> dict[str, int]:
        """Find the MTU of these links; those not in `thorough` are only checked, while `more()` allows."""
        links = list(targets)
        floors = {link: SMALLEST + _headers(targets[link]) for link in links}
        searches = {
            link: MtuSearch(floors[link], self.known(link) or 0, thorough=link in thorough) for link in links
        }
        while more() and (open_ := [link for link in links if not searches[link].done]):
            _step(open_, searches, targets, send)
        found = {link: mtu for link in links if (mtu := searches[link].mtu) is not None}
        self.untold += len(links) - len(found)
        return found

    def learn(self, found: Mapping[str, int], dscp: int, start_ns: int, end_ns: int) -> list[Event]:
        """Remember what a round found (Unix ns); returns an event for each MTU that changed."""
        events = []
        for link, mtu in found.items():
            old, seen_ns = self._known.get(link, (mtu, start_ns))
            if mtu != old:
                span = (seen_ns, max(end_ns - seen_ns, 1))
                events.append(Event(link, dscp, EventKind.MTU, *span, 1, str(old), str(mtu)))
            self._known[link] = (mtu, start_ns)
        return events


def _step(
    links: Sequence[str], searches: Mapping[str, MtuSearch], targets: Mapping[str, Target], send: Send
) -> None:
    """Send the next size of each search and tell it what came."""
    chosen = [replace(targets[link], flow=0) for link in links]
    copies = [searches[link].copies for link in links]
    payload = [searches[link].size - _headers(targets[link]) for link in links]
    rows = np.repeat(np.arange(len(links)), copies)
    packets = send(rows, np.repeat(np.array(payload), copies), chosen)
    for row, link in enumerate(links):
        mine = packets.sweep == row
        _tell(searches[link], packets.fate[mine], packets.info[mine])


def _tell(search: MtuSearch, fate: NDArray[np.int8], info: NDArray[np.int64]) -> None:
    """What the kernel would not send may have other causes than its size: as silence, it is tried again."""
    if (fate == Fate.REACHED).any():
        search.passed()
    elif (fate == Fate.TOO_BIG).any():
        search.too_big(int(info.max()))
    else:
        search.silent()


def _headers(target: Target) -> int:
    return headers_bytes(v6=":" in target.peer)
