"""Which links have a path MTU smaller than it was, and which surely not: evidence for places. Pure.

The sizes that pass are those of packets and of answers as long, so it is not known which way is narrow, and
what one end finds is true of the reverse link. A link is in trouble when its MTU shrank and that lasts; not
when the other end has found longer packets to pass since then, for agents look above a known MTU now and then
only, so many are late to see that it was mended. It is well when a round that ended after the trouble
was first seen, or with it, found that longer packets pass than on the links in trouble: agents sweep at
different times, and what was found before the trouble began says nothing. A link that never carried as much
as those in trouble still do says nothing either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.causes.trouble import usable_links
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from quality.places.sights import BAD, UNKNOWN, WELL, Evidence

Mask = NDArray[np.bool_]
Reals = NDArray[np.float64]
Counts = NDArray[np.int64]
Rows = NDArray[np.intp]
Sizes = Callable[[], Mapping[str, tuple[float, int, int]]]
"""By link: its MTU, and the end of the first and the last round in a row that found it so, Unix ns."""

AHEAD_NS = 60 * NS_PER_S
"""Later than this after the window no round has ended: that agent's clock is wrong."""


@dataclass(frozen=True, slots=True)
class Small:
    """Of n links, each (n,). mtu_bytes, usual_bytes: what it is and was, NaN where that is not known.
    measured: fit agents found the MTU at some time; since: also when the trouble had begun; fresh: the MTU
    changed lately. mending: how many links are known to be mended lately."""

    evidence: Evidence
    mtu_bytes: Reals
    usual_bytes: Reals
    measured: Mask
    since: Mask
    fresh: Mask
    mending: int


def small(
    state: Frame, breaches: Counts, sizes: Sizes, reverse: Rows, spell_ns: int, news_ns: int, now_ns: int
) -> Small | None:
    """None: at most one link is in trouble. breaches (n,): windows in which a link's MTU was smaller lately.
    reverse (n,): the row of the reverse link, -1 for none. spell_ns: links that shrank so long after one
    another did it for different reasons. news_ns: so long a change is fresh."""
    usable, shrunk = usable_links(state), state.real("mtu_shrunk_bytes")
    touched = (state.count("maintenance") != 0) | (state.count("drill") != 0)
    bad = ~touched & (breaches > 1) & (shrunk > 0)  # of fit agents, but perhaps not in this very window
    if np.count_nonzero(bad) < 2:
        return None
    mtu, since_ns, seen_ns = _columns(state, sizes)
    mended = bad & (reverse >= 0) & ~bad[reverse] & (mtu[reverse] > mtu) & (seen_ns[reverse] > since_ns)
    bad &= ~mended
    measured, since = usable & np.isfinite(mtu), bad.copy()
    in_time = measured & (seen_ns <= now_ns + AHEAD_NS)
    told = np.where(bad, BAD, UNKNOWN).astype(np.int8)
    network = _numbered(state, bad)
    for one in np.unique(network[bad]).tolist():
        ours = bad & (network == one) & np.isfinite(mtu)
        if not ours.any():
            continue
        begun_ns = since_ns[ours].min(where=since_ns[ours] >= since_ns[ours].max() - spell_ns, initial=2**62)
        fresh = in_time & (network == one) & (seen_ns >= begun_ns)
        told[fresh & ~(shrunk > 0) & (mtu > mtu[ours].max())] = WELL
        since |= fresh
    unknown = np.zeros(state.rows, np.int8)
    return Small(
        Evidence(unknown, unknown, told, whole=True),
        mtu,
        mtu + shrunk,
        measured | since,
        since,
        since_ns >= now_ns - news_ns,
        int(np.count_nonzero(mended | ((breaches > 0) & ~(shrunk > 0)))),
    )


def _columns(state: Frame, sizes: Sizes) -> tuple[Reals, Counts, Counts]:
    known, nothing = sizes(), (np.nan, 0, 0)
    rows = [known.get(link, nothing) for link in state.text("link").tolist()]
    mtu, since_ns, seen_ns = zip(*rows, strict=True)
    return np.array(mtu), np.array(since_ns, np.int64), np.array(seen_ns, np.int64)


def _numbered(state: Frame, bad: Mask) -> Counts:
    """The network of each link by number, of those on which a link is in trouble; -1: another."""
    names = [link.rpartition("@")[2] for link in state.text("link").tolist()]
    of_bad = {names[row] for row in np.flatnonzero(bad).tolist()}
    number = {name: at for at, name in enumerate(sorted(of_bad))}
    return np.array([number.get(name, -1) for name in names], np.int64)
